#!lua
-- What became of an answer; who waits no longer for the replica to take it takes it back, to send it another way.
-- KEYS 1 record
-- ARGV 1 1 if the giver waits no longer
-- Returns answered | delivered | late, or '' when the record is gone
local state = redis.call('HGET', KEYS[1], 'state') or ''
if state == 'answered' and ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'late')
  state = 'late'
end
return state
