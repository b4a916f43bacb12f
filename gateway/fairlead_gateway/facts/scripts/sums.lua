#!lua flags=no-writes
-- Read what all replicas have counted, each once: what is in the totals, and what of each is not.
-- KEYS: 1 totals (hash)  2 known (sorted set: replica scored by its last report, ms)
--       3 lost (sorted set: replica scored by when it was swept after, ms)  4 replicas (sorted set by end of lease, ms)
-- ARGV: 1 what the keys of a replica's statistics begin with  2 what those of the folded part end with
--       3 how long the lost are shown, ms
-- Returns {now in ms, {field, total, ...}, {replica, end of lease in ms or 0, {field, value, ...}, {field, folded, ...}},
-- ...}; what of a replica is folded is false when all of it is, as it is of the lost, and of who has not reported yet.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {now, redis.call('HGETALL', KEYS[1])}
local told = {}
local function tell(replicas, is_known)
  for _, replica in ipairs(replicas) do
    if not told[replica] then
      told[replica] = true
      local lease = tonumber(redis.call('ZSCORE', KEYS[4], replica) or 0)
      local key = ARGV[1] .. replica
      local folded = is_known and redis.call('HGETALL', key .. ARGV[2])
      answer[#answer + 1] = {replica, lease, redis.call('HGETALL', key), folded}
    end
  end
end
tell(redis.call('ZRANGE', KEYS[2], 0, -1), true)
tell(redis.call('ZRANGEBYSCORE', KEYS[3], now - ARGV[3], '+inf'), false)
-- Who has just begun, or come back, and has yet to report.
tell(redis.call('ZRANGEBYSCORE', KEYS[4], now, '+inf'), false)
return answer
