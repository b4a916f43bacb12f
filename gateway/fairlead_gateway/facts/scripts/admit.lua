#!lua
-- Give one connection a seat among its user's, within the limit over all replicas (CON-5).
-- KEYS: 1 conns (hash: connection id -> seat)  2 online (set of users)
--       3 departures (sorted set: who has left, by the end of the grace)  4 facts of departures (hash)
--       5 asks (sorted set: questions that the user has yet to answer)
-- ARGV: 1 user id  2 connection id  3 seat ("<ms since epoch> <replica> <device>")  4 limit  5 policy: refuse | evict | single | keep
-- Returns {admitted 0/1, seats before, arrived 0/1, asked 0/1, evicted connection ids...}; an evicted seat is free at
-- once. A user has arrived who had no seat, and did not leave within the grace; asked, who may have questions to answer.
local seats = redis.call('HLEN', KEYS[1])
local limit = tonumber(ARGV[4])
local answer = {1, seats, 0, redis.call('EXISTS', KEYS[5])}
if redis.call('HEXISTS', KEYS[1], ARGV[2]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
  return answer
end
if ARGV[5] == 'single' then
  limit = 1
end
if seats >= limit and ARGV[5] ~= 'keep' then
  if ARGV[5] == 'refuse' then
    return {0, seats, 0, 0}
  end
  local oldest = {}
  local all = redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    oldest[#oldest + 1] = {tonumber(string.match(all[i + 1], '^%d+')) or 0, all[i]}
  end
  table.sort(oldest, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  for i = 1, seats - limit + 1 do
    redis.call('HDEL', KEYS[1], oldest[i][2])
    answer[#answer + 1] = oldest[i][2]
  end
end
if seats == 0 then
  local user = 'user:' .. ARGV[1]
  answer[3] = 1 - redis.call('ZREM', KEYS[3], user)
  if answer[3] == 0 then
    redis.call('HDEL', KEYS[4], user)
  end
end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
return answer
