#!lua
-- Writes down that the sender of a message waits for somebody to acknowledge it; said again, it goes on waiting.
-- KEYS 1 record   2 awaited (sorted set of ids by deadline)
-- ARGV 1 where the sender is told (a reply stream)   2 milliseconds to wait
--      3 milliseconds to keep the outcome, and the most that anybody waits   4 message id
-- Returns {state: pending | delivered | expired, by, milliseconds left}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state, by, deadline = unpack(redis.call('HMGET', KEYS[1], 'state', 'by', 'deadline'))
if state and state ~= 'pending' then
  return {state, by or '', 0}
end
deadline = tonumber(deadline or 0)
if deadline <= now then
  -- Of a deadline that passed while the record was pending nobody was told: the sender had gone, and begins anew.
  deadline = now + ARGV[2]
  redis.call('HSET', KEYS[1], 'state', 'pending', 'deadline', deadline)
  redis.call('PEXPIREAT', KEYS[1], deadline + ARGV[3])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  redis.call('ZADD', KEYS[2], deadline, ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
redis.call('HSET', KEYS[1], 'reply', ARGV[1])
return {'pending', '', deadline - now}
