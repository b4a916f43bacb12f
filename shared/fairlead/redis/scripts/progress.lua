#!lua
-- Writes down how far a question has come: shown to those who may answer, asked of more people, told to be over; or
-- takes it back, before anybody has been shown it.
-- KEYS 1 record   2 due (sorted set of ids by when something is to be done)
-- ARGV 1 id   2 secret, so that one that was asked anew meanwhile is left alone
--      3 said | told | widened | withdrawn   4 how often it was widened before   5 channels of more responders, or ''
--      6 when something is to be done next (ms), or '' for never
--      7 of what was said or told: its offset in each channel, with spaces between
-- Returns {1 if it was written, 0 if it was not for this question, or done already; offsets of what was shown, or '';
--   offsets of its end, or ''}
local secret, state, said, told, widened, to = unpack(redis.call('HMGET', KEYS[1],
  'secret', 'state', 'said', 'told', 'widened', 'to'))
local function answer(written)
  return {written, said or '', told or ''}
end
if secret ~= ARGV[2] then
  return answer(0)
end
if ARGV[3] == 'withdrawn' then
  if state ~= 'pending' or said then
    return answer(0)
  end
  redis.call('DEL', KEYS[1])
elseif ARGV[3] == 'widened' then
  if (widened or '0') ~= ARGV[4] or state ~= 'pending' then
    return answer(0)
  end
  redis.call('HSET', KEYS[1], 'widened', ARGV[4] + 1, 'to', ARGV[5] == '' and to or to .. ' ' .. ARGV[5])
  redis.call('HDEL', KEYS[1], 'said')
else
  if not (ARGV[3] == 'said' and said or ARGV[3] == 'told' and told) then
    redis.call('HSET', KEYS[1], ARGV[3], ARGV[7])
  end
  if ARGV[3] == 'said' and state ~= 'pending' then
    return answer(1)
  end
end
if ARGV[6] == '' then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
end
return answer(1)
