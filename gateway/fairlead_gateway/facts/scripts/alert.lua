#!lua flags=allow-oom
-- Write down what has become of one thing that is watched, unless another replica has done so meanwhile.
-- KEYS: 1 watched (hash: field to JSON)  2 past (sorted set of JSON by when it was over, ms)
--       3 due (sorted set of deliveries by when, ms)  4 deliveries (hash: id to body)
-- ARGV: 1 field  2 what it was, or ''  3 what it is, or ''  4 now, ms  5 the alert that is over, as JSON, or ''
--       6 how many of those are kept  7 how long everything is, s  8 id of a delivery, or ''  9 its body
-- Returns 1 if it was the caller's to write, else 0.
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[7])
end
if ARGV[5] ~= '' then
  redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -ARGV[6] - 1)
  redis.call('EXPIRE', KEYS[2], ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[8])
  redis.call('HSET', KEYS[4], ARGV[8], ARGV[9])
  redis.call('EXPIRE', KEYS[3], ARGV[7])
  redis.call('EXPIRE', KEYS[4], ARGV[7])
end
return 1
