#!lua flags=allow-oom
-- Writes down which master serves these partitions, on every new connection before its first command.
-- KEYS: the term key of each partition
-- Returns the term, the head of the replication id: unlike a counter it is never given out twice,
-- even when a replica that lags behind is promoted.
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) then
  return redis.error_reply('READONLY this server is a replica; connect to the master')
end
local term = string.sub(string.match(info, 'master_replid:(%x+)'), 1, 12)
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) ~= term then
    redis.call('SET', key, term)
  end
end
return term
