#!lua flags=allow-oom
-- Have partitions looked at when the grace is over of departures that were written there just now.
-- KEYS: 1 reminders (sorted set: partition by when to look at it, ms; see `due`)
-- ARGV: 1 grace in ms  2... partitions
-- Returns nothing of use.
local time = redis.call('TIME')
local due = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
for i = 2, #ARGV do
  local held = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or due)
  -- Whoever looks now may have looked already; a time that is not its own tells it that there is more.
  redis.call('ZADD', KEYS[1], math.min(due, math.floor(held)), ARGV[i])
end
return 0
