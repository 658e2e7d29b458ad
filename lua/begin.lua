#!lua
-- begin: the rebuild of epoch E takes the ledger; nobody else may write until it opens.
--
-- KEYS  1 meta
-- ARGV  1 epoch  2 event  3 hint channel
-- Reply {'OK'} or {'NO', 'stale', epoch in Redis} when a rebuild of this or a later epoch was here before
-- Example: EVAL … 1 … 1763800000001 7 spike:hints  ->  {'OK'}
--
-- Epochs are Unix milliseconds or a little above: far below 2^53, so Lua compares them exactly.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) >= tonumber(ARGV[1]) then return {'NO', 'stale', epoch} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'state', 'recovering')
redis.call('HINCRBY', KEYS[1], 'version', 1)
redis.call('PUBLISH', ARGV[3], ARGV[2])
return {'OK'}
