#!lua flags=allow-oom
-- Make one departure final, for exactly one caller; not if the one who left has come back meanwhile.
-- KEYS: 1 departures (sorted set: who has left, by the end of the grace in ms)  2 facts of departures (hash)
-- ARGV: 1 who  2 end of its grace  3 pub/sub channel  4 envelope to publish with it; or '', then the caller says it
--       5 ms that the caller has for that: until then it stands there with a ! in front, and afterwards it is due again
-- Returns 1 if it is the caller's, else 0.
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due or tonumber(due) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZREM', KEYS[1], ARGV[1])
local facts = redis.call('HGET', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[3], ARGV[4])
  return 1
end
local final = '!' .. string.gsub(ARGV[1], '^!', '')
local time = redis.call('TIME')
redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], final)
if facts then
  redis.call('HSET', KEYS[2], final, facts)
end
return 1
