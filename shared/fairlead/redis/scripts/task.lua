#!lua
-- Changes a task by the fields that are given, and says the whole state that comes of it (ST-2).
-- KEYS 1 log   2 meta   3 seen   4 term   5 state (hash)   6 due (sorted set: task ids by when to look at them, ms)
--      7 those that go on (sorted set: task ids by when heard of last, ms)
-- ARGV 1 pub/sub channel   2 messages to keep   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them
--      6 epoch, should the channel be new   7 message id   8 envelope as far as its frame   9 frame as far as its fields
--      10 task id   11 owner, or ''   12 watchers in JSON, or ''   13 ms of silence until it has stalled
--      ('0' for never), or ''   14 whether it is to get no offset ('1')   15 fields at most   16 name, JSON, name, JSON ... in msgpack
-- Returns {offset, epoch, duplicate, receivers, version}, or {-1, why not, status}
-- parts: say clock task
local state = KEYS[5]
local keep = ARGV[14] == '1' and '0' or ARGV[2]
local status, owner, last, version = unpack(redis.call('HMGET', state, 'status', '@owner', '@id', '@version'))

local before = ARGV[2] ~= '0' and said_before(KEYS[2], KEYS[3], KEYS[4], ARGV[7], ARGV[5])
  or last == ARGV[7] and {0, '', 1, 0}
if before then
  before[5] = tonumber(version) or 0
  return before
end

local fields = cmsgpack.unpack(ARGV[16])
local given
for i = 1, #fields, 2 do
  if fields[i] == 'status' then
    given = fields[i + 1]
  end
end
if ENDED[status] then
  if given == status then
    return {0, '', 1, 0, tonumber(version)}
  end
  return {-1, 'ended', status}
end
if owner and ARGV[11] ~= '' and owner ~= ARGV[11] then
  return {-1, 'owner', status}
end
if redis.call('HLEN', state) + #fields / 2 > tonumber(ARGV[15]) then
  local more = 0
  for i = 1, #fields, 2 do
    more = more + 1 - redis.call('HEXISTS', state, fields[i])
  end
  if redis.call('HLEN', state) + more > tonumber(ARGV[15]) then
    return {-1, 'full', status or ''}
  end
end

if not status and not given then
  fields[#fields + 1] = 'status'
  fields[#fields + 1] = '"running"'
end
for name, value in pairs({['@owner'] = ARGV[11], ['@watchers'] = ARGV[12], ['@patience'] = ARGV[13]}) do
  if value ~= '' then
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
end
version = change_task(state, KEYS[6], KEYS[7], ARGV[10], ARGV[7], now_ms(), fields)
local said = say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], keep, ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], seal(ARGV[8], task_frame(state, ARGV[9])))
said[5] = version
return said
