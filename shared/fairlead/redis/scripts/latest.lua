#!lua
-- Says one thing in a channel, and keeps it as the state of the channel, for those who come later.
-- KEYS 1 log   2 meta   3 seen   4 term   5 latest
-- ARGV 1 pub/sub channel   2 messages to keep (none of a channel without offsets)   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them
--      6 epoch, should the channel be new   7 message id   8 envelope   9 seconds to keep the state
-- Returns {offset, epoch, duplicate, receivers}
-- parts: say
local said = say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
if said[3] == 0 then
  redis.call('SET', KEYS[5], ARGV[8], 'EX', ARGV[9])
end
return said
