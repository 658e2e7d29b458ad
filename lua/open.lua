#!lua
-- open: the last step of a rebuild; the figures become valid and, in state 'open', buys may be taken.
--
-- KEYS  1 meta  2 stock  3 inflight  4 outbox
-- ARGV  1 epoch  2 state (open | paused | closed)  3 stock  4 inflight  5 cap  6 limit  7 doc  8 group
--       9 event  10 hint channel
-- Reply {'OK', version} or {'NO', why, epoch in Redis}: why = not_ready | stale | standing
-- Example: EVAL … 4 … 1763800000001 open 1000 0 100000 1 '{"id":7,…}' relay 7 spike:hints  ->  {'OK', '5'}
--
-- cap: units that may be accepted and not settled. limit: units one user may hold. doc: the event as JSON.
-- The relay's group starts at 0 and there is no MAXLEN: no entry is ever skipped or trimmed.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] ~= 'recovering' then return {'NO', 'standing', meta[1]} end
redis.pcall('XGROUP', 'CREATE', KEYS[4], ARGV[8], '0', 'MKSTREAM') -- fails only because the group is there
redis.call('MSET', KEYS[2], ARGV[3], KEYS[3], ARGV[4])
redis.call('HSET', KEYS[1], 'state', ARGV[2], 'cap', ARGV[5], 'limit', ARGV[6], 'doc', ARGV[7])
local version = redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[10], ARGV[9])
return {'OK', string.format('%.0f', version)}
