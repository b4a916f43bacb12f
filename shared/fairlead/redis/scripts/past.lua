#!lua flags=no-writes
-- What a durable channel has said before an offset, the newest first, as much as one answer may hold.
-- Nothing is written: a channel in which nothing was ever said does not come to be by being asked.
-- KEYS 1 log   2 meta   3 term
-- ARGV 1 offset that the entries are before, or '' for the newest   2 entries at most
--      3 bytes of envelopes at most; the first entry is given, however large it is
-- Returns {offset, epoch or '' where nothing was said, older ones are kept 0/1, entries}
local epoch, top = unpack(redis.call('HMGET', KEYS[2], 'e', 'o'))
if not epoch then
  -- What outlived its meta (evicted, say) speaks of offsets that will be given out again.
  return {0, '', 0, {}}
end
top = tonumber(top or 0) or 0
local position = epoch .. '.' .. (redis.call('GET', KEYS[3]) or '0')
local limit, room = tonumber(ARGV[2]), tonumber(ARGV[3])
local entries = {}
-- A few at a time, so that of large messages not many are read that do not fit.
local together, before = 1, ARGV[1] == '' and '+' or '(' .. ARGV[1] .. '-0'
while true do
  local count = math.min(together, limit + 1 - #entries)
  local some = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', count)
  for _, entry in ipairs(some) do
    -- What has no envelope was written past every publisher.
    local envelope = entry[2][4]
    room = room - #(envelope or '')
    if envelope and (#entries == limit or #entries > 0 and room < 0) then
      return {top, position, 1, entries}
    end
    entries[#entries + 1] = envelope and entry
  end
  if #some < count then
    return {top, position, 0, entries}
  end
  before, together = '(' .. some[#some][1], together * 2
end
