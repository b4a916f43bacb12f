#!lua
-- Moves the position that one device has acknowledged in its user's own channel, or sets it when it first comes.
-- KEYS: 1 cursors (hash: device -> "<epoch> <offset> <message id or ->")
--       2 log of the channel  3 meta  4 term
-- ARGV: 1 device  2 epoch, or '' for the channel's of now  3 offset  4 message id or -  5 move | begin
--       6 seconds to keep the cursors of a user after the last change  7 devices at most
-- Returns the position that is held now; nil when the channel has no epoch yet, so that there is nothing to hold;
-- the channel's top offset, a number, when the position is ahead of it.
local epoch = redis.call('HGET', KEYS[3], 'e')
local now = epoch and epoch .. '.' .. (redis.call('GET', KEYS[4]) or '0') or ''
local given = ARGV[2] == '' and now or ARGV[2]
if given == '' then
  return nil
end
local top = tonumber(redis.call('HGET', KEYS[3], 'o') or 0)
if given == now and tonumber(ARGV[3]) > top then
  return top
end
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  local held_epoch, held_offset = string.match(held, '^(%S+) (%d+) ')
  local goes_on = ARGV[5] == 'move' and
    (held_epoch == given and tonumber(ARGV[3]) > tonumber(held_offset) or held_epoch ~= given and held_epoch ~= now)
  if not goes_on then
    redis.call('EXPIRE', KEYS[1], ARGV[6])
    return held
  end
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then
  -- Which device has not come for longest is not known; one that comes back without a cursor loads its state anew.
  redis.call('HDEL', KEYS[1], redis.call('HRANDFIELD', KEYS[1]))
end
local id = ARGV[4]
if id == '-' and given == now then
  -- The message itself is what proves the position after a failover, and not every client says it.
  local at = redis.call('XRANGE', KEYS[2], ARGV[3] .. '-0', ARGV[3] .. '-0')
  id = #at > 0 and at[1][2][2] or id
end
local position = given .. ' ' .. ARGV[3] .. ' ' .. id
redis.call('HSET', KEYS[1], ARGV[1], position)
redis.call('EXPIRE', KEYS[1], ARGV[6])
return position
