#!lua
-- Writes down a backend's answer to an action that a replica waits for: the first one counts.
-- KEYS 1 record
-- ARGV 1 answer   2 where to tell its giver what became of it (a reply stream)   3 milliseconds to keep the record
--      4 what tells this giving from others; the same when it is tried again
-- Returns {state, the answer that counts, 1 if it is this one}
--   answered: the replica is to be told; late: it waits no more; delivered: it has said it to the client
local state, answer, by = unpack(redis.call('HMGET', KEYS[1], 'state', 'answer', 'by'))
if not answer then
  state = state == 'expired' and 'late' or 'answered'
  answer, by = ARGV[1], ARGV[4]
  redis.call('HSET', KEYS[1], 'state', state, 'answer', answer, 'by', by)
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
redis.call('HSET', KEYS[1], 'tell', ARGV[2])
return {state, answer, by == ARGV[4] and 1 or 0}
