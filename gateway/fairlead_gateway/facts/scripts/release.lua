#!lua flags=allow-oom
-- Free the seat of one connection; harmless when it is free already.
-- KEYS: 1 conns (hash: connection id -> seat)  2 online (set of users)
-- ARGV: 1 user id  2 connection id
-- Returns {released 0/1, seats left}.
local released = redis.call('HDEL', KEYS[1], ARGV[2])
local left = redis.call('HLEN', KEYS[1])
if left == 0 then
  redis.call('SREM', KEYS[2], ARGV[1])
end
return {released, left}
