#!lua flags=allow-oom
-- Renew the lease of a replica.
-- KEYS: 1 replicas (sorted set: replica scored by the end of its lease, ms)  2 sweeping (sorted set by end of claim, ms)
--       3 facts of the replica (hash); "since" says since when its lease has not run out
-- ARGV: 1 replica  2 lease in ms
-- Returns 1 if the lease was held, 0 if it is new: never had, or forgotten by Redis; 2 if it was lost and swept by
-- another replica; -1 if it is being swept at this moment: what it wrote now would be swept away as well.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not held then
  local claim = redis.call('ZSCORE', KEYS[2], ARGV[1])
  if claim and tonumber(claim) > now then
    return -1
  end
  redis.call('ZREM', KEYS[2], ARGV[1])
end
local swept = not held and redis.call('HDEL', KEYS[3], 'swept') == 1
if swept then
  -- With what the sweeper left goes the time after which it would have gone by itself.
  redis.call('DEL', KEYS[3])
end
if not held or tonumber(held) < now then
  redis.call('HSET', KEYS[3], 'since', now)
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return held and 1 or swept and 2 or 0
