#!lua flags=allow-oom
-- Be done with what was taken; nothing changes if it was given another time meanwhile, or to somebody else.
-- KEYS: 1 due (sorted set: member scored by when it is due, ms)
-- ARGV: 1 member  2 lease, as it was given  3 when it is due again in ms, or '' for never
-- Returns 1 if it was the caller's, else 0.
local held = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not held or tonumber(held) ~= tonumber(ARGV[2]) then
  return 0
end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
end
return 1
