#!lua
-- Tell the people in a session something about one of them, unless they are too many.
-- KEYS: 1 people (hash: user id -> how many of its connections are here)
-- ARGV: 1 how many people at most  2 pub/sub channel  3 envelope
-- Returns how many replicas heard it.
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[1]) then
  return 0
end
return redis.call('PUBLISH', ARGV[2], ARGV[3])
