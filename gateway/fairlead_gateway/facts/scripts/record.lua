#!lua flags=allow-oom
-- Add a sample to the history of the statistics, if the caller still oversees the fleet: two that do so at the same
-- time would make the sums go up and down.
-- KEYS: 1 turn (who oversees)  2 history (stream)
-- ARGV: 1 replica  2 sample  3 samples to keep
-- Returns 1 if it was added, else 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'sample', ARGV[2])
return 1
