#!lua flags=allow-oom
-- Removes consumers that are gone for good from a group; in one step, since removing one that was just given
-- an entry would lose it.
-- KEYS 1 stream
-- ARGV 1 group   2 milliseconds without a sign of life
-- Returns how many
local forgotten = 0
for _, facts in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #facts, 2 do
    consumer[facts[i]] = facts[i + 1]
  end
  if consumer.pending == 0 and consumer.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    forgotten = forgotten + 1
  end
end
return forgotten
