#!lua flags=allow-oom
-- Take one dead replica to sweep after; each is given to exactly one caller until that one's own claim runs out.
-- KEYS: 1 replicas (sorted set by end of lease, ms)  2 sweeping (sorted set by end of claim, ms)
--       3 facts of the caller (hash)
-- ARGV: 1 claim in ms  2 caller  3 lease in ms
-- Returns the name of the dead replica, or nil.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- After an outage every lease has run out, and those who live need time to renew theirs. Decided here and not by the
-- caller, since a command that it has given up may still be executed when a frozen Redis goes on.
local lease = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or 0)
local since = tonumber(redis.call('HGET', KEYS[3], 'since') or now)
if lease < now or now - since < tonumber(ARGV[3]) then
  return nil
end
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
