-- Says one thing in a channel, the same id only once: gives it an offset, keeps it, and publishes it.
-- history: messages to keep, seconds to keep them, ids to remember, seconds to remember them, epoch should the channel
-- be new; 0 messages to keep is a channel without offsets, in which the same id is said as often as it is given.
-- Returns {offset, epoch, duplicate, receivers}
local function said_before(meta, seen, term, id, seconds)
  local epoch = redis.call('HGET', meta, 'e')
  local first = epoch and redis.call('ZSCORE', seen, id)
  if not first then
    return nil
  end
  -- A write, since WAIT waits for those of its own connection, and the first publish may have come over another.
  redis.call('EXPIRE', seen, seconds)
  return {tonumber(first), epoch .. '.' .. (redis.call('GET', term) or '0'), 1, 0}
end

local function say(log, meta, seen, term, channel, keep, seconds, ids, ids_seconds, new_epoch, id, envelope)
  if keep == '0' then
    return {0, '', 0, redis.call('PUBLISH', channel, envelope)}
  end
  local before = said_before(meta, seen, term, id, ids_seconds)
  if before then
    return before
  end
  local epoch = redis.call('HGET', meta, 'e')
  if not epoch then
    epoch = new_epoch
    redis.call('HSET', meta, 'e', epoch)
  end

  local offset = redis.call('HINCRBY', meta, 'o', 1)
  if offset == 1 then
    -- What outlived its meta (evicted, say) speaks of offsets that are now given out again.
    redis.call('DEL', log, seen)
  end
  redis.call('EXPIRE', meta, seconds * 10)

  -- Whole nodes of a hundred are let go where that is cheaper, and not much compared with what is kept.
  redis.call('XADD', log, 'MAXLEN', tonumber(keep) < 100 and '=' or '~', keep, offset .. '-0', 'm', id, 'd', envelope)
  redis.call('EXPIRE', log, seconds)

  redis.call('ZADD', seen, offset, id)
  if offset > tonumber(ids) then
    redis.call('ZREMRANGEBYRANK', seen, 0, -ids - 1)
  end
  redis.call('EXPIRE', seen, ids_seconds)

  local position = epoch .. '.' .. (redis.call('GET', term) or '0')
  local receivers = redis.call('PUBLISH', channel,
    '\147' .. cmsgpack.pack(offset) .. cmsgpack.pack(position) .. envelope)
  return {offset, position, 0, receivers}
end

-- An envelope around a frame that was finished here; head is the envelope as far as the frame.
local function seal(head, frame)
  return head .. '\198' .. struct.pack('>I4', #frame) .. frame
end
