#!lua
-- Writes down that a user owns a task, and tells replicas where the user is to look, if that is new.
-- KEYS those of publish, not used   5 tasks (sorted set: task ids by when this was said last, ms)
-- ARGV 1 pub/sub channel   then those of publish, not used   8 the order to look, in its envelope
--      9 task id   10 tasks to remember   11 seconds to remember them
-- Returns {0, '', duplicate, receivers}
-- parts: clock
local is_new = redis.call('ZADD', KEYS[5], now_ms(), ARGV[9])
redis.call('ZREMRANGEBYRANK', KEYS[5], 0, -ARGV[10] - 1)
redis.call('EXPIRE', KEYS[5], ARGV[11])
if is_new == 0 then
  return {0, '', 1, 0}
end
return {0, '', 0, redis.call('PUBLISH', ARGV[1], ARGV[8])}
