#!lua flags=no-writes
-- Find one message in the log of a channel by its id.
-- KEYS: 1 log (stream: entry id = offset, m message id, d envelope)  2 seen (sorted set: message id scored by offset)
-- ARGV: 1 message id  2 how many of the latest messages to look through, should the window of seen ids not know it
-- Returns the envelope, or nil.
local offset = redis.call('ZSCORE', KEYS[2], ARGV[1])
if offset then
  local at = redis.call('XRANGE', KEYS[1], offset .. '-0', offset .. '-0')[1]
  return at and at[2][2] == ARGV[1] and at[2][4] or nil
end
if redis.call('ZCARD', KEYS[2]) >= redis.call('XLEN', KEYS[1]) then
  -- The window knows the latest, without a hole: here all that there are, so that nobody makes us look for nothing.
  return nil
end
local together, before = 32, '+'
for _ = 1, ARGV[2], together do
  local some = redis.call('XREVRANGE', KEYS[1], before, '-', 'COUNT', together)
  for _, entry in ipairs(some) do
    if entry[2][2] == ARGV[1] then
      return entry[2][4]
    end
  end
  if #some < together then
    return nil
  end
  before = '(' .. some[#some][1]
end
return nil
