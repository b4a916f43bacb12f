#!lua flags=allow-oom
-- Write down what a replica has counted since its start, and ask whether it is the one that oversees the fleet.
-- KEYS: 1 statistics of the replica (hash)  2 what of them is in the totals already (hash)
--       3 known (sorted set: replica scored by its last report, ms)  4 lost (sorted set of replicas that have died)
--       5 turn (who oversees)
-- ARGV: 1 replica  2 how long it is remembered without another report, s  3 how long a turn lasts, ms
--       4... field, value, ...: absolute, so that it may be written twice; "@" begins what is not a counter
-- Returns {forgotten, oversees}, 0/1 each: whether nothing was known of the replica, which must then report all it has.
local time = redis.call('TIME')
local forgotten = 1 - redis.call('EXISTS', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
local holder = redis.call('GET', KEYS[5])
if holder and holder ~= ARGV[1] then
  return {forgotten, 0}
end
redis.call('SET', KEYS[5], ARGV[1], 'PX', ARGV[3])
return {forgotten, 1}
