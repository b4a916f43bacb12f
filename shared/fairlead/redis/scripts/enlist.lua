#!lua
-- Writes a question down among those that somebody has yet to answer, or that belong to a task; not more than a limit.
-- KEYS 1 questions (sorted set of ids by deadline)   2 state (hash of a task, if it is one)
-- ARGV 1 id   2 milliseconds to its deadline   3 questions at most
-- Returns 1, or 0 when there are too many, or -1 when the task has been cancelled
if redis.call('HGET', KEYS[2], 'status') == '"cancelled"' then
  return -1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Those that are over are taken out by whoever tells it; this is for what was forgotten.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60000)
if redis.call('ZSCORE', KEYS[1], ARGV[1]) == false and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('ZADD', KEYS[1], 'GT', now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
redis.call('PEXPIREAT', KEYS[1], last + 60000)
return 1
