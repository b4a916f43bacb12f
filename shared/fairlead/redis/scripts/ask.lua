#!lua
-- Asks a question, or tells how it stands with the same one that was asked before.
-- One that nobody answered in time, or that could be shown to nobody, is asked anew, once everybody has been told
-- that it was over.
-- KEYS 1 record   2 due (sorted set of ids by when something is to be done)
-- ARGV 1 id   2 secret, should it be new   3 where the asker is told (a reply stream), or ''
--      4 milliseconds to wait   5 milliseconds to keep it after that   6 what is asked, in JSON
--      7 channels of the responders, with spaces between   8 1 if yes or no, with or without words, is an answer
-- Returns {state, secret, what is asked, responders, response, created, deadline, said, told, widened, waiters, at, late,
--   before, now}
-- parts: asked
local now = milliseconds()
local state, deadline, told, secret = unpack(redis.call('HMGET', KEYS[1], 'state', 'deadline', 'told', 'secret'))
if not state or told and (state == 'timed_out' or state == 'undeliverable') then
  deadline = now + ARGV[4]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'state', 'pending', 'secret', ARGV[2], 'asked', ARGV[6], 'to', ARGV[7], 'plain', ARGV[8],
    'created', now, 'deadline', deadline, 'waiters', '', 'before', state and secret .. ' ' .. state or '')
  redis.call('PEXPIREAT', KEYS[1], deadline + ARGV[5])
  redis.call('ZADD', KEYS[2], now + SOON, ARGV[1])
elseif state == 'pending' and now >= tonumber(deadline) then
  redis.call('HSET', KEYS[1], 'state', 'timed_out', 'at', now)
  redis.call('ZADD', KEYS[2], now + SOON, ARGV[1])
end
local waiters = redis.call('HGET', KEYS[1], 'waiters') or ''
if ARGV[3] ~= '' and not string.find(waiters, ARGV[3], 1, true) then
  -- The last few who asked: who is not told looks by itself. Half an address would be that of somebody else.
  waiters = waiters .. ' ' .. ARGV[3]
  if #waiters > 2000 then
    waiters = string.gsub(string.sub(waiters, -2000), '^%S*', '')
  end
  redis.call('HSET', KEYS[1], 'waiters', waiters)
end
return standing(KEYS[1], now)
