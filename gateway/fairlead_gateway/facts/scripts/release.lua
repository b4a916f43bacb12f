#!lua flags=allow-oom
-- Free the seat of one connection; harmless when it is free already. The last one of a user begins its departure.
-- KEYS: 1 conns (hash: connection id -> seat)  2 online (set of users)
--       3 departures (sorted set: who has left, by the end of the grace)  4 facts of departures (hash)
--       5 last seen (sorted set: user scored by when it left, ms)
-- ARGV: 1 user id  2 connection id  3 grace in ms  4 facts to keep with the departure  5 ms to remember who was seen
-- Returns {released 0/1, seats left}.
local released = redis.call('HDEL', KEYS[1], ARGV[2])
local left = redis.call('HLEN', KEYS[1])
if left == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
  if released == 1 then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZADD', KEYS[3], now + ARGV[3], 'user:' .. ARGV[1])
    redis.call('HSET', KEYS[4], 'user:' .. ARGV[1], string.format('%.0f ', now) .. ARGV[4])
    redis.call('ZADD', KEYS[5], now, ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - ARGV[5])
    redis.call('PEXPIRE', KEYS[5], ARGV[5])
  end
end
return {released, left}
