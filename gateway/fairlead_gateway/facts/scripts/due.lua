#!lua
-- Take what is due; each is given to one caller, and to another one should that not be done with it in time.
-- KEYS: 1 due (sorted set: member scored by when it is due, ms)
-- ARGV: 1 lease in ms  2 members at most
-- Returns {member, lease, ...}: until when it is the caller's, as `done` wants to hear it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do
  -- Half a millisecond, since nobody else sets such a time: so a lease is never taken for a new deadline.
  local lease = string.format('%.1f', now + ARGV[1] + 0.5)
  redis.call('ZADD', KEYS[1], lease, member)
  answer[#answer + 1] = member
  answer[#answer + 1] = lease
end
return answer
