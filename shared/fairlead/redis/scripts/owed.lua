#!lua flags=allow-oom
-- Gives entries of a consumer group to the caller once more that somebody was given and has not acknowledged: the
-- caller itself, before it ended, or a consumer that has been quiet for too long.
-- KEYS 1 stream
-- ARGV 1 group   2 consumer   3 own | idle   4 own: the first id, idle: milliseconds   5 entries at most
-- Returns {id, how often it was given before, fields; none if it was deleted meanwhile} for each
local own = ARGV[3] == 'own'
local pending
if own then
  pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[4], '+', ARGV[5], ARGV[2])
else
  pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[4], '-', '+', ARGV[5])
end
if pending.err then
  return pending
end
local entries = {}
for i, one in ipairs(pending) do
  local claimed = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], own and 0 or ARGV[4], one[1])
  entries[i] = {one[1], one[4]}
  if claimed[1] then
    entries[i][3] = claimed[1][2]
  end
end
return entries
