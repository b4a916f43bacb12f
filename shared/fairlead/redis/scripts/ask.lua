#!lua
-- Asks a question, or tells how it stands with the same one that was asked before.
-- One that nobody answered in time is asked anew, once everybody has been told that it was over.
-- KEYS 1 record   2 due (sorted set of ids by when something is to be done)
-- ARGV 1 id   2 secret, should it be new   3 where the asker is told (a reply stream), or ''
--      4 milliseconds to wait   5 milliseconds to keep it after that   6 what is asked, in JSON
--      7 channels of the responders, with spaces between
-- Returns {state, secret, what is asked, responders, response, created, deadline, said, told, widened, waiters, at, now}
-- parts: asked
local now = milliseconds()
local state, deadline, told = unpack(redis.call('HMGET', KEYS[1], 'state', 'deadline', 'told'))
if not state or state == 'timed_out' and told then
  deadline = now + ARGV[4]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', 'pending', 'secret', ARGV[2], 'asked', ARGV[6], 'to', ARGV[7],
    'created', now, 'deadline', deadline, 'waiters', '')
  redis.call('PEXPIREAT', KEYS[1], deadline + ARGV[5])
  redis.call('ZADD', KEYS[2], now + SOON, ARGV[1])
elseif state == 'pending' and now >= tonumber(deadline) then
  redis.call('HSET', KEYS[1], 'state', 'timed_out', 'at', now)
  redis.call('ZADD', KEYS[2], now + SOON, ARGV[1])
end
local waiters = redis.call('HGET', KEYS[1], 'waiters') or ''
if ARGV[3] ~= '' and not string.find(waiters, ARGV[3], 1, true) then
  -- The last few who asked: who is not told looks by itself.
  redis.call('HSET', KEYS[1], 'waiters', string.sub(waiters .. ' ' .. ARGV[3], -2000))
end
return standing(KEYS[1], now)
