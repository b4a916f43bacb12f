#!lua
-- Writes down how far a question has come: shown to those who may answer, asked of more people, told to be over.
-- KEYS 1 record   2 due (sorted set of ids by when something is to be done)
-- ARGV 1 id   2 secret, so that one that was asked anew meanwhile is left alone
--      3 said | told | widened   4 how often it was widened before   5 channels of more responders, or ''
--      6 when something is to be done next (ms), or '' for never
-- Returns 1 if it was written, 0 if it was not for this question, or done already
if redis.call('HGET', KEYS[1], 'secret') ~= ARGV[2] then
  return 0
end
if ARGV[3] == 'widened' then
  local done = redis.call('HGET', KEYS[1], 'widened') or '0'
  if done ~= ARGV[4] or redis.call('HGET', KEYS[1], 'state') ~= 'pending' then
    return 0
  end
  redis.call('HSET', KEYS[1], 'widened', ARGV[4] + 1, 'to', redis.call('HGET', KEYS[1], 'to') .. ' ' .. ARGV[5])
  redis.call('HDEL', KEYS[1], 'said')
else
  redis.call('HSET', KEYS[1], ARGV[3], 1)
end
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
end
return 1
