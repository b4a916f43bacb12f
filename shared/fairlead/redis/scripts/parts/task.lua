-- A task is a hash: its fields by name as JSON texts, and what is ours: @version, @at (of the last update, ms),
-- @id (its message), @owner, @watchers (JSON), @patience (ms of silence until it has stalled; '' for the default),
-- @stalled (since when, ms).
local ENDED = {['"completed"'] = true, ['"failed"'] = true, ['"cancelled"'] = true}
local FIRST = {'status', 'progress', 'step', 'current_device', 'total_devices', 'completed_devices', 'message'}

-- The whole state as JSON; head is the frame as far as the fields. Empty where there is no such task.
local function task_frame(state, head)
  local all = redis.call('HGETALL', state)
  if #all == 0 then
    return ''
  end
  local of, others = {}, {}
  for i = 1, #all, 2 do
    of[all[i]] = all[i + 1]
    others[#others + 1] = all[i]
  end
  table.sort(others)
  local frame = {head}
  local function add(name)
    if of[name] then
      frame[#frame + 1] = ',"' .. name .. '":' .. of[name]
      of[name] = nil
    end
  end
  for _, name in ipairs(FIRST) do
    add(name)
  end
  for _, name in ipairs(others) do
    if string.sub(name, 1, 1) ~= '@' then
      add(name)
    end
  end
  if of['@owner'] then
    frame[#frame + 1] = ',"owner":"' .. of['@owner'] .. '"'
  end
  if of['@stalled'] then
    frame[#frame + 1] = ',"stalled_since":"' .. rfc3339(tonumber(of['@stalled'])) .. '"'
  end
  local at = rfc3339(tonumber(of['@at']))
  frame[#frame + 1] = ',"version":' .. of['@version'] .. ',"updated_at":"' .. at .. '","timestamp":"' .. at .. '"}'
  return table.concat(frame)
end

-- Writes name, JSON, name, JSON ... into the state, as the change that the message id makes; its new version.
local function change_task(state, due, on, task, id, now, fields)
  local status, patience, stalled, version =
    unpack(redis.call('HMGET', state, 'status', '@patience', '@stalled', '@version'))
  for i = 1, #fields, 2 do
    if fields[i] == 'status' then
      status = fields[i + 1]
    elseif fields[i] == '@patience' then
      patience = fields[i + 1]
    end
  end
  version = (tonumber(version) or 0) + 1
  redis.call('HSET', state, '@at', now, '@id', id, '@version', version, unpack(fields))
  if stalled then
    redis.call('HDEL', state, '@stalled')
  end
  redis.call('EXPIRE', state, ENDED[status] and 86400 or 604800)
  if ENDED[status] then
    redis.call('ZREM', on, task)
  else
    redis.call('ZADD', on, now, task)
    redis.call('ZREMRANGEBYSCORE', on, '-inf', now - 604800000)
  end
  if status == '"running"' and patience ~= '0' then
    -- Whoever looks knows the default, and we do not.
    redis.call('ZADD', due, now + (tonumber(patience) or 5000), task)
  elseif status == '"cancelled"' then
    -- What is left to be done about that, should whoever does it die, or be a backend.
    redis.call('ZADD', due, now + 1000, task)
  else
    redis.call('ZREM', due, task)
  end
  return version
end
