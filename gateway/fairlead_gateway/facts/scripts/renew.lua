#!lua
-- Renew the lease of a replica.
-- KEYS: 1 replicas (sorted set: replica scored by the end of its lease, ms)
-- ARGV: 1 replica  2 lease in ms
-- Returns 1 if the lease was held, 0 if it was new: never had, or lost and swept by another replica.
local now = redis.call('TIME')
local held = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
return held and 1 or 0
