#!lua
-- Gives one message its offset in a durable channel, keeps it, and publishes it; the same id only once.
-- KEYS 1 log   2 meta   3 seen   4 term
-- ARGV 1 pub/sub channel   2 messages to keep   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them
--      6 epoch, should the channel be new   7 message id   8 envelope
-- Returns {offset, epoch, duplicate, receivers}
local epoch = redis.call('HGET', KEYS[2], 'e')
local term = redis.call('GET', KEYS[4]) or '0'
if epoch then
  local first = redis.call('ZSCORE', KEYS[3], ARGV[7])
  if first then
    -- A write, since WAIT waits for those of its own connection, and the first publish may have come over another.
    redis.call('EXPIRE', KEYS[3], ARGV[5])
    return {tonumber(first), epoch .. '.' .. term, 1, 0}
  end
else
  epoch = ARGV[6]
  redis.call('HSET', KEYS[2], 'e', epoch)
end

local offset = redis.call('HINCRBY', KEYS[2], 'o', 1)
if offset == 1 then
  -- What outlived its meta (evicted, say) speaks of offsets that are now given out again.
  redis.call('DEL', KEYS[1], KEYS[3])
end
redis.call('EXPIRE', KEYS[2], ARGV[3] * 10)

redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], offset .. '-0', 'm', ARGV[7], 'd', ARGV[8])
redis.call('EXPIRE', KEYS[1], ARGV[3])

redis.call('ZADD', KEYS[3], offset, ARGV[7])
if offset > tonumber(ARGV[4]) then
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -ARGV[4] - 1)
end
redis.call('EXPIRE', KEYS[3], ARGV[5])

local position = epoch .. '.' .. term
local receivers = redis.call('PUBLISH', ARGV[1],
  '\147' .. cmsgpack.pack(offset) .. cmsgpack.pack(position) .. ARGV[8])
return {offset, position, 0, receivers}
