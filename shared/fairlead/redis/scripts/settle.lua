#!lua
-- Ends a question, if it can still be ended: the first to come decides, and nothing that comes later changes it.
-- An answer that comes after the deadline lets it time out; so does whoever looks then.
-- KEYS 1 record   2 due (sorted set of ids by when something is to be done)
-- ARGV 1 id   2 secret, or '' for who needs none   3 answered | timed_out | cancelled | undeliverable
--      4 what the sender may be named as among the responders, with spaces between, or '' for who need not be
--      5 response, in JSON   6 milliseconds to keep it from now on   7 1 to be told what was asked in any case
--      8 id of this attempt: made again, because its answer was lost, it has come to the same
--      9 1 if the response was not checked against what is asked: then it counts for plain questions alone, and if it
--      is none ('') for none
-- Returns {accepted | pending | unchecked | duplicate | already_answered | expired | cancelled | unknown | forbidden,
--   state, secret, what is asked, responders, response, created, deadline, said, told, widened, waiters, at, late,
--   before, now};
-- what is asked only to whoever has ended it, or wants to be told
-- parts: asked
local now = milliseconds()
local state, secret, to, response, deadline, attempt, at, plain = unpack(redis.call('HMGET', KEYS[1],
  'state', 'secret', 'to', 'response', 'deadline', 'attempt', 'at', 'plain'))

local function is_responder()
  for name in string.gmatch(ARGV[4], '%S+') do
    if string.find(' ' .. to .. ' ', ' ' .. name .. ' ', 1, true) then
      return true
    end
  end
  return ARGV[4] == ''
end

local function answer(result)
  if ARGV[3] == 'answered' and (result == 'already_answered' or result == 'expired' or result == 'cancelled') then
    redis.call('HINCRBY', KEYS[1], 'late', 1)
  end
  local facts = standing(KEYS[1], now)
  if result ~= 'accepted' and ARGV[7] ~= '1' then
    facts[3] = ''
  end
  table.insert(facts, 1, result)
  return facts
end

local function finish(how)
  redis.call('HSET', KEYS[1], 'state', how, 'at', now, 'attempt', how == ARGV[3] and ARGV[8] or '')
  if how == 'answered' then
    redis.call('HSET', KEYS[1], 'response', ARGV[5])
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  -- Whoever only looks leaves the telling to replicas.
  redis.call('ZADD', KEYS[2], ARGV[3] == 'timed_out' and ARGV[7] ~= '1' and now or now + SOON, ARGV[1])
end

if not state or ARGV[2] ~= '' and ARGV[2] ~= secret then
  return answer('unknown')
elseif not is_responder() then
  return answer('forbidden')
elseif ARGV[9] == '1' and (plain ~= '1' or ARGV[5] == '') then
  if state == 'pending' and now >= tonumber(deadline) then
    finish('timed_out')
  end
  return answer('unchecked')
elseif state == 'pending' then
  if ARGV[3] == 'timed_out' and now < tonumber(deadline) then
    return answer('pending')
  elseif ARGV[3] ~= 'cancelled' and now >= tonumber(deadline) then
    finish('timed_out')
    return answer(ARGV[3] == 'timed_out' and 'accepted' or 'expired')
  end
  finish(ARGV[3])
  return answer('accepted')
end
-- A write, since WAIT waits for those of its own connection, and what ended the question may have come over another.
redis.call('HSET', KEYS[1], 'at', at)
if ARGV[8] ~= '' and attempt == ARGV[8] then
  return answer('accepted')
elseif state == 'answered' then
  return answer(ARGV[3] == 'answered' and response == ARGV[5] and 'duplicate' or 'already_answered')
end
return answer(state == 'timed_out' and 'expired' or 'cancelled')
