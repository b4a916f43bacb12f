#!lua
-- Writes down that a task has stalled, and says so; once for each time that it falls silent.
-- KEYS: 1 log  2 meta  3 seen  4 term  5 state (hash)
-- ARGV: 1 pub/sub channel  2 messages to keep  3 seconds to keep them  4 ids to remember  5 seconds to remember them
--       6 epoch, should the channel be new  7 message id  8 envelope as far as its frame  9 frame as far as its fields
--       10 when it was heard of last, as far as the caller knows (ms)
-- Returns {offset, epoch, duplicate, receivers, version}; a duplicate when somebody was earlier, or it goes on.
-- parts: say clock
local status, at, stalled, version = unpack(redis.call('HMGET', KEYS[5], 'status', '@at', '@stalled', '@version'))
if status ~= '"running"' or at ~= ARGV[10] or stalled then
  return {0, '', 1, 0, tonumber(version) or 0}
end
redis.call('HSET', KEYS[5], '@stalled', at)
local frame = ARGV[9] .. ',"since":"' .. rfc3339(tonumber(at)) .. '","version":' .. version
  .. ',"timestamp":"' .. rfc3339(now_ms()) .. '"}'
local said = say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], seal(ARGV[8], frame))
said[5] = tonumber(version)
return said
