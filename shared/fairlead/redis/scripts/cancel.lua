#!lua
-- Cancels a task that has not ended, and says so with the whole state that comes of it (ASK-5).
-- KEYS 1 log   2 meta   3 seen   4 term   5 state (hash)   6 due (sorted set: task ids by when to look at them, ms)
--      7 those that go on (sorted set: task ids by when heard of last, ms)
-- ARGV 1 pub/sub channel   2 messages to keep   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them
--      6 epoch, should the channel be new   7 message id   8 envelope as far as its frame   9 frame as far as its fields
--      10 task id   11 who cancels it, in JSON
-- Returns {offset, epoch, duplicate, receivers, version}, or {-1, why not, status}
-- parts: say clock task
local state = KEYS[5]
local status, version = unpack(redis.call('HMGET', state, 'status', '@version'))
local before = ARGV[2] ~= '0' and said_before(KEYS[2], KEYS[3], KEYS[4], ARGV[7], ARGV[5])
if before then
  before[5] = tonumber(version) or 0
  return before
end
if not status then
  return {-1, 'unknown', ''}
end
if status == '"cancelled"' then
  return {0, '', 1, 0, tonumber(version)}
end
if ENDED[status] then
  return {-1, 'ended', status}
end
version = change_task(state, KEYS[6], KEYS[7], ARGV[10], ARGV[7], now_ms(),
  {'status', '"cancelled"', 'cancelled_by', ARGV[11]})
local said = say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], seal(ARGV[8], task_frame(state, ARGV[9])))
said[5] = version
return said
