#!lua flags=allow-oom
-- Take what a replica that is gone has counted into the totals: what is in them already is remembered, so that doing it
-- again adds nothing, and a replica that was only taken for dead goes on where it was.
-- KEYS: 1 statistics of the replica (hash)  2 what of them is in the totals already (hash)  3 totals (hash)
--       4 known (sorted set: replica scored by its last report, ms)
--       5 lost (sorted set: replica scored by when this was done, ms)
-- ARGV: 1 replica  2 how long both hashes are kept, s  3 how long the lost are shown, ms  4 whether it is one of them, 0/1
--       5 how long replicas are known without a report, s
-- Returns how many counters were not in the totals yet.
local counted = redis.call('HGETALL', KEYS[1])
local before = {}
local folded = redis.call('HGETALL', KEYS[2])
for i = 1, #folded, 2 do
  before[folded[i]] = tonumber(folded[i + 1])
end
local opened = redis.call('HGET', KEYS[1], 'connections_opened')
local new = 0
for i = 1, #counted, 2 do
  local field, value = counted[i], tonumber(counted[i + 1])
  if field == 'disconnections' and opened then
    -- What it still held has ended with it.
    value = math.max(value, tonumber(opened))
  end
  -- What is no figure of ours could not be added to the totals.
  local is_figure = value and value >= 0 and value <= 2 ^ 53 and string.sub(field, 1, 1) ~= '@'
  if is_figure and value ~= (before[field] or 0) then
    redis.call('HINCRBY', KEYS[3], field, string.format('%.0f', value - (before[field] or 0)))
    redis.call('HSET', KEYS[2], field, string.format('%.0f', value))
    new = new + 1
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ARGV[5] * 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', now - ARGV[3])
if ARGV[4] == '1' then
  redis.call('ZADD', KEYS[5], now, ARGV[1])
end
return new
