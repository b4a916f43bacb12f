#!lua
-- Acknowledges one message: the first to come in time decides, and nothing that comes later changes it.
-- KEYS 1 record   2 awaited (sorted set of ids by deadline)
-- ARGV 1 who acknowledges, in JSON   2 message id
-- Returns {delivered | duplicate | expired | unknown, where to tell the sender or ''}
local state, reply, deadline = unpack(redis.call('HMGET', KEYS[1], 'state', 'reply', 'deadline'))
if not state then
  return {'unknown', ''}
end
if state ~= 'pending' then
  return {state == 'delivered' and 'duplicate' or 'expired', ''}
end
redis.call('ZREM', KEYS[2], ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(deadline) then
  redis.call('HSET', KEYS[1], 'state', 'delivered', 'by', ARGV[1], 'at', now)
  return {'delivered', reply}
end
redis.call('HSET', KEYS[1], 'state', 'expired')
return {'expired', reply}
