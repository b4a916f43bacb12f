#!lua
-- Gives one message its offset in a durable channel, keeps it, and publishes it; the same id only once.
-- KEYS 1 log   2 meta   3 seen   4 term
-- ARGV 1 pub/sub channel   2 messages to keep   3 seconds to keep them
--      4 ids to remember   5 seconds to remember them
--      6 epoch, should the channel be new   7 message id   8 envelope
-- Returns {offset, epoch, duplicate, receivers}
-- parts: say
return say(KEYS[1], KEYS[2], KEYS[3], KEYS[4],
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8])
