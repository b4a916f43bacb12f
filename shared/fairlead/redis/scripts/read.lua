#!lua flags=allow-oom
-- Where a durable channel stands, and what was said since a position.
-- A new channel gets its epoch now, so that no reader starts without one.
-- KEYS 1 log   2 meta   3 seen   4 term
-- ARGV 1 seconds that messages are kept   2 epoch, should the channel be new
--      3 epoch of the position, or '' to ask for the top only   4 its offset   5 its message id, or ''
--      6 entries at most
-- Returns {offset, epoch, id of the last message or '', proven 0/1, entries}
-- Proven: the channel goes on from that position, and the entries are what comes next, without a hole.
local epoch = redis.call('HGET', KEYS[2], 'e')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[2], 'e', epoch, 'o', 0)
  redis.call('DEL', KEYS[1], KEYS[3])
end
local top = tonumber(redis.call('HGET', KEYS[2], 'o'))
-- Anybody may ask for names in which nothing was ever said: those are not kept for long.
redis.call('EXPIRE', KEYS[2], ARGV[1] * (top > 0 and 10 or 1))
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local position = epoch .. '.' .. (redis.call('GET', KEYS[4]) or '0')
local answer = {top, position, #last > 0 and last[1][2][2] or '', 0, {}}

local since = tonumber(ARGV[4])
if ARGV[3] == '' or since > top or string.match(ARGV[3], '^(.*)%.') ~= epoch then
  return answer
end
if since > 0 and (ARGV[3] ~= position or ARGV[5] ~= '') then
  -- Another master may have given this offset to another message: only the message itself is a proof, as in Raft.
  local at = redis.call('XRANGE', KEYS[1], since .. '-0', since .. '-0')
  if #at > 0 and at[1][2][2] ~= ARGV[5] or #at == 0 and ARGV[3] ~= position then
    return answer
  end
end
local entries = {}
if top > since then
  entries = redis.call('XRANGE', KEYS[1], (since + 1) .. '-0', '+', 'COUNT', ARGV[6])
  local count = math.min(top - since, tonumber(ARGV[6]))
  if #entries < count or tonumber(string.match(entries[count][1], '^%d+')) ~= since + count then
    return answer
  end
end
answer[4] = 1
answer[5] = entries
return answer
