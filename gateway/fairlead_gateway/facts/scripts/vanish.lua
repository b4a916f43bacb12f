#!lua flags=allow-oom
-- Show one connection in a session no more; harmless when it is not shown. With the last one its user has left.
-- KEYS: 1 here (hash: connection id -> who)  2 people (hash: user id -> how many of its connections are here)
--       3 departures (sorted set: who has left, by the end of the grace)  4 facts of departures (hash)
--       5 sessions (set of those with somebody in them)
-- ARGV: 1 connection id  2 user id  3 session ("session:s1")  4 grace in ms  5 facts to keep with the departure
--       6 pub/sub channel  7 envelope that says that the user has left, or '' to have it said after the grace
-- Returns 1 if that was said now, else 0.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 or redis.call('HINCRBY', KEYS[2], ARGV[2], -1) > 0 then
  return 0
end
redis.call('HDEL', KEYS[2], ARGV[2])
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[5], string.sub(ARGV[3], #'session:' + 1))
end
if ARGV[7] ~= '' then
  redis.call('PUBLISH', ARGV[6], ARGV[7])
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local departure = ARGV[3] .. ' ' .. ARGV[2]
redis.call('ZADD', KEYS[3], now + ARGV[4], departure)
redis.call('HSET', KEYS[4], departure, string.format('%.0f ', now) .. ARGV[5])
return 0
