#!lua
-- Show one connection in a session, among the people there.
-- KEYS: 1 here (hash: connection id -> who)  2 people (hash: user id -> how many of its connections are here)
--       3 departures (sorted set: who has left, by the end of the grace)  4 facts of departures (hash)
--       5 sessions (set of those with somebody in them)
-- ARGV: 1 connection id  2 user id  3 session ("session:s1")  4 who
-- Returns 1 if the user has arrived: was not here, and did not leave within the grace; else 0.
if redis.call('HSET', KEYS[1], ARGV[1], ARGV[4]) == 0 or redis.call('HINCRBY', KEYS[2], ARGV[2], 1) > 1 then
  return 0
end
redis.call('SADD', KEYS[5], string.sub(ARGV[3], #'session:' + 1))
local departure = ARGV[3] .. ' ' .. ARGV[2]
if redis.call('ZREM', KEYS[3], departure) == 1 then
  redis.call('HDEL', KEYS[4], departure)
  return 0
end
return 1
