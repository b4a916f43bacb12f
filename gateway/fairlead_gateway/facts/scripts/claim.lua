#!lua
-- Take one dead replica to sweep after; each is given to exactly one caller until that one's own claim runs out.
-- KEYS: 1 replicas (sorted set by end of lease, ms)  2 sweeping (sorted set by end of claim, ms)
-- ARGV: 1 claim in ms
-- Returns the name of the dead replica, or nil.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
if dead then
  redis.call('ZREM', KEYS[1], dead)
else
  dead = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1)[1]
end
if dead then
  redis.call('ZADD', KEYS[2], now + ARGV[1], dead)
end
return dead
