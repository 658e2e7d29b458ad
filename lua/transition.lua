#!lua
-- transition: pause, resume or close a standing ledger, or renew its document, without a rebuild.
--
-- KEYS  1 meta
-- ARGV  1 epoch  2 state (open | paused | closed)  3 doc ('' = keep)  4 event  5 hint channel
-- Reply {'OK', version} or {'NO', why, epoch in Redis}: why = not_ready | stale | recovering | closed
-- Example: EVALSHA … 1 … 1763800000001 paused '' 7 spike:hints  ->  {'OK', '6'}
--
-- Closed is the end: a watch that read the event before it was closed, and is late, must not open it again, because its
-- units may be back in the inventory by now.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'version')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end
if meta[2] == 'closed' and ARGV[2] ~= 'closed' then return {'NO', 'closed', meta[1]} end
if meta[2] == ARGV[2] and ARGV[3] == '' then return {'OK', meta[3]} end
redis.call('HSET', KEYS[1], 'state', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'doc', ARGV[3]) end
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[5], ARGV[4])
return {'OK', string.format('%.0f', version)}
