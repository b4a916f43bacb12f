#!lua
-- What became of a message that was to be acknowledged; whoever looks first after its time is over lets it expire.
-- KEYS 1 record
-- Returns {state: pending | delivered | expired, or '' when nothing is known of it, by, milliseconds left}
local state, by, deadline = unpack(redis.call('HMGET', KEYS[1], 'state', 'by', 'deadline'))
if state ~= 'pending' then
  return {state or '', by or '', 0}
end
local time = redis.call('TIME')
local left = tonumber(deadline) - (time[1] * 1000 + math.floor(time[2] / 1000))
if left > 0 then
  return {'pending', '', left}
end
redis.call('HSET', KEYS[1], 'state', 'expired')
return {'expired', '', 0}
