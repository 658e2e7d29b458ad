#!lua
-- archive: the event is over and at rest; every key of it gets a lifetime.
--
-- KEYS  1 meta  2 stock  3 inflight  4 buyers  5 keys  6 ended  7 outbox
-- ARGV  1 epoch  2 lifetime in milliseconds
-- Reply {'OK'} or {'NO', why, epoch in Redis}: why = not_ready (nothing is left) | stale | full (something is under way) |
--       the state the ledger is in, which is not closed
-- Example: EVALSHA … 7 … 1763800000001 3600000  ->  {'OK'}
--
-- The database has archived the event before, so that no rebuild can take the keys again. A repeat sets the lifetime anew.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', meta[1] or '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] ~= 'closed' then return {'NO', meta[2] == 'open' and 'standing' or meta[2], meta[1]} end
if redis.call('XLEN', KEYS[7]) > 0 or tonumber(redis.call('GET', KEYS[3]) or '0') > 0 then
  return {'NO', 'full', meta[1]}
end
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return {'OK'}
