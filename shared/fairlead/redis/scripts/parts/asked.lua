-- How it stands with a question: what Redis keeps of one, and the time.
local function standing(key, now)
  local facts = redis.call('HMGET', key,
    'state', 'secret', 'asked', 'to', 'response', 'created', 'deadline', 'said', 'told', 'widened', 'waiters', 'at', 'late', 'before')
  facts[#facts + 1] = now
  return facts
end

local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- How soon somebody else takes up what whoever changed a question has yet to tell.
local SOON = 400
