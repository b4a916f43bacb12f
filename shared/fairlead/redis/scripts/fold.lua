#!lua
-- Puts a document in the place of itself and the patches that are in it by now, unless somebody was faster.
-- KEYS 1 state (hash, see patch.lua)
-- ARGV 1 run and 2 version of the document that was read   3 version of the new one   4 bytes of the patches in it
--      5 the new document, or '' if it is too large to be kept
-- Returns 1 if it was done, else 0
local run, folded = unpack(redis.call('HMGET', KEYS[1], 'run', 'folded'))
if run ~= ARGV[1] or folded ~= ARGV[2] then
  return 0
end
if ARGV[5] == '' then
  redis.call('HSET', KEYS[1], 'too_large', 1)
  return 1
end
for number = folded + 1, tonumber(ARGV[3]) do
  redis.call('HDEL', KEYS[1], string.format('%.0f', number))
end
redis.call('HSET', KEYS[1], 'document', ARGV[5], 'folded', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'bytes', -ARGV[4])
return 1
