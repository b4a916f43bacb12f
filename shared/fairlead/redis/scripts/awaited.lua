#!lua
-- Messages of a channel, up to an offset, that somebody waits to be acknowledged.
-- KEYS 1 awaited (sorted set of ids by deadline)   2 seen   3 meta   4 term
-- ARGV 1 offset   2 epoch of the offset, or '' for the channel's of now   3 ids at most
-- Returns their ids; none for an offset of another epoch, which says nothing about the messages of now
local ids = {}
local awaited = redis.call('ZRANGE', KEYS[1], 0, -1)
if #awaited == 0 then
  return ids
end
local epoch = redis.call('HGET', KEYS[3], 'e')
if not epoch or ARGV[2] ~= '' and ARGV[2] ~= epoch .. '.' .. (redis.call('GET', KEYS[4]) or '0') then
  return ids
end
for _, id in ipairs(awaited) do
  local offset = redis.call('ZSCORE', KEYS[2], id)
  if offset and tonumber(offset) <= tonumber(ARGV[1]) then
    ids[#ids + 1] = id
  end
  if #ids == tonumber(ARGV[3]) then
    return ids
  end
end
return ids
