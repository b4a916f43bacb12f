#!lua
-- Hands the answer to an action to the replica that waits for it, which then says it to the client; asked again, the
-- same. Whoever waits no longer says so, and what is answered later takes another way.
-- KEYS 1 record
-- ARGV 1 1 if the replica waits no longer   2 milliseconds to keep the record
-- Returns {the answer or '', where to tell its giver or ''}
local state, answer, tell = unpack(redis.call('HMGET', KEYS[1], 'state', 'answer', 'tell'))
if state == 'answered' then
  redis.call('HSET', KEYS[1], 'state', 'delivered')
  state = 'delivered'
end
if state == 'delivered' then
  return {answer, tell}
end
if not state and ARGV[1] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'expired')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {'', ''}
