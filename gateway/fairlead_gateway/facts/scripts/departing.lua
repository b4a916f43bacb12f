#!lua flags=no-writes
-- Whose grace is over, in one partition.
-- KEYS: 1 departures (sorted set: who has left, by the end of the grace in ms)  2 facts of departures (hash)
-- ARGV: 1 how many at most
-- Returns {now in ms, ms until the next one that is not among them, or -1;
-- then for each: who, end of the grace, facts or ''}.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES', 'LIMIT', 0, ARGV[1])
local after = redis.call('ZRANGE', KEYS[1], #due / 2, #due / 2, 'WITHSCORES')[2]
local answer = {now, after and math.max(0, after - now) or -1}
for i = 1, #due, 2 do
  answer[#answer + 1] = due[i]
  answer[#answer + 1] = due[i + 1]
  answer[#answer + 1] = redis.call('HGET', KEYS[2], due[i]) or ''
end
return answer
