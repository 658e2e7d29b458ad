#!lua
-- load: one piece of the rebuilt claims and keys, between begin and open.
--
-- KEYS  1 meta  2 buyers  3 keys
-- ARGV  1 epoch  2 'first' | 'more'  3 b = number of claims, then b times: user, claim (order letter quantity);
--       then for each key: field, order quantity
-- Reply {'OK'} or {'NO', why, epoch in Redis}: why = not_ready | stale | standing
-- Example: EVAL … 3 … 1763800000001 first 1 42 019a…-…p1 42:9f… 019a…-…1  ->  {'OK'}
--
-- The first piece replaces what was there. The caller has written everything Redis alone knew to the database before.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] ~= 'recovering' then return {'NO', 'standing', meta[1]} end
if ARGV[2] == 'first' then redis.call('DEL', KEYS[2], KEYS[3]) end
local split = 3 + 2 * tonumber(ARGV[3])
if split > 3 then redis.call('HSET', KEYS[2], unpack(ARGV, 4, split)) end
if #ARGV > split then redis.call('HSET', KEYS[3], unpack(ARGV, split + 1, #ARGV)) end
return {'OK'}
