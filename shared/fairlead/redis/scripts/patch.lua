#!lua
-- Changes the state of an instance, by a patch or by a document that takes its place, and says so in its channel;
-- the same id only once.
-- KEYS 1 log   2 meta   3 seen   4 term
--      5 state (hash: run, document, folded = its version, version, bytes of the patches since, each of these
--      patches by its version, too_large)   6 changes (sorted set: message ids of the duplicate window, by version)
-- ARGV 1 pub/sub channel   2 messages to keep   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them   6 epoch, and name of the run, should they be new
--      7 message id   8 envelope as far as the frame   9 frame without its last brace
--      10 document, or '' for a patch   11 version that it must be at, or ''   12 seconds to keep the state
--      13 patches after which it is to be folded, or told of at most   14 bytes of them, likewise
-- Returns {offset, epoch, duplicate, receivers, version, 1 if it is to be folded now},
-- {'conflict', version, the patches since the version that was given, or none of them}, or {'too_large', version}
-- parts: say
local state, changes = KEYS[5], KEYS[6]
local most_patches, most_bytes = tonumber(ARGV[13]), tonumber(ARGV[14])
local run, folded, version, too_large = unpack(redis.call('HMGET', state, 'run', 'folded', 'version', 'too_large'))
folded, version = tonumber(folded or 0), tonumber(version or 0)

local function digits(number)
  return string.format('%.0f', number)
end

local function patches_since(base)
  if base < folded or base >= version or version - base > most_patches then
    return {}
  end
  local numbers, bytes = {}, 0
  for number = base + 1, version do
    numbers[#numbers + 1] = digits(number)
  end
  local patches = redis.call('HMGET', state, unpack(numbers))
  for _, patch in ipairs(patches) do
    bytes = bytes + #patch
  end
  return bytes <= most_bytes and patches or {}
end

local first = run and redis.call('ZSCORE', changes, ARGV[7])
if first then
  -- A write, since WAIT waits for those of its own connection, and the first time may have been over another.
  redis.call('EXPIRE', changes, ARGV[5])
  local said = said_before(KEYS[2], KEYS[3], KEYS[4], ARGV[7], ARGV[5]) or {0, '', 1, 0}
  said[5], said[6] = tonumber(first), 0
  return said
end
if ARGV[11] ~= '' and tonumber(ARGV[11]) ~= version then
  return {'conflict', version, patches_since(tonumber(ARGV[11]))}
end
local is_patch = ARGV[10] == ''
if is_patch and too_large then
  return {'too_large', version}
end

if not run then
  redis.call('HSET', state, 'run', ARGV[6], 'document', '{}', 'folded', 0, 'bytes', 0)
  redis.call('DEL', changes)
end
local base = digits(version)
version = redis.call('HINCRBY', state, 'version', 1)
local frame = ARGV[9] .. ',"base_version":' .. base .. ',"version":' .. digits(version) .. '}'
local is_due = 0
if is_patch then
  redis.call('HSET', state, digits(version), frame)
  local bytes = redis.call('HINCRBY', state, 'bytes', #frame)
  -- Told to one writer at a time: should that one not do it, another will be told.
  if (version - folded) % most_patches == 0 or bytes % most_bytes < #frame then
    is_due = 1
  end
else
  redis.call('DEL', state)
  redis.call('HSET', state, 'run', run or ARGV[6], 'document', ARGV[10],
    'folded', digits(version), 'version', digits(version), 'bytes', 0)
end
redis.call('EXPIRE', state, ARGV[12])
redis.call('ZADD', changes, version, ARGV[7])
redis.call('ZREMRANGEBYRANK', changes, 0, -ARGV[4] - 1)
redis.call('EXPIRE', changes, ARGV[5])

-- Whether it was seen has been decided: an id that outlived its state must not keep this from being said.
redis.call('ZREM', KEYS[3], ARGV[7])
local said = say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], seal(ARGV[8], frame))
said[5], said[6] = version, is_due
return said
