#!lua flags=allow-oom
-- Where a durable channel stands; a new channel gets its epoch now, so that no reader starts without one.
-- KEYS 1 log   2 meta   3 seen   4 term
-- ARGV 1 seconds that messages are kept   2 epoch, should the channel be new
-- Returns {offset, epoch, id of the last message or ''}
local epoch = redis.call('HGET', KEYS[2], 'e')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[2], 'e', epoch, 'o', 0)
  redis.call('DEL', KEYS[1], KEYS[3])
end
redis.call('EXPIRE', KEYS[2], ARGV[1] * 10)
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local position = epoch .. '.' .. (redis.call('GET', KEYS[4]) or '0')
return {tonumber(redis.call('HGET', KEYS[2], 'o')), position, #last > 0 and last[1][2][2] or ''}
