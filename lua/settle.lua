#!lua
-- settle: the orders of these entries have rows; drop the entries and stop counting them as in flight.
--
-- KEYS  1 meta  2 inflight  3 buyers  4 ended  5 outbox
-- ARGV  1 epoch  2 m = number of entries, then m times: entry id, its units;
--       then for each order: user, order, letter of its row's status
-- Reply {'OK', units settled by this call} or {'NO', why, epoch in Redis}: why = not_ready | stale | recovering
-- Example: EVALSHA … 5 … 1763800000000 1 1763800000000-0 1 42 019a…-… p  ->  {'OK', '1'}
--
-- In flight falls only by entries that XDEL really deleted, so a repeat changes nothing. While the ledger is being
-- rebuilt the outbox must stand still (the rebuild counts it), so settle waits; the settle sweep comes back to it.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end

local entries = tonumber(ARGV[2])
local first = 3 + 2 * entries
local users = {}
for at = first, #ARGV, 3 do users[#users + 1] = ARGV[at] end
local claims = #users > 0 and redis.call('HMGET', KEYS[3], unpack(users)) or {}
local buyers, ended = {}, {}
for i = 1, #users do
  local at = first + 3 * (i - 1)
  local user, order, letter = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local claim = claims[i]
  if claim and string.sub(claim, 1, 36) == order then
    -- A payment may have been faster than this settle: only a queued claim is moved on.
    if string.sub(claim, 37, 37) == 'q' then
      buyers[#buyers + 1] = user
      buyers[#buyers + 1] = order .. letter .. string.sub(claim, 38)
    end
  elseif letter == 'r' or letter == 'l' then
    ended[#ended + 1] = user
    ended[#ended + 1] = order .. letter
  end
end
if #buyers > 0 then redis.call('HSET', KEYS[3], unpack(buyers)) end
if #ended > 0 then redis.call('HSET', KEYS[4], unpack(ended)) end

local units = 0
for i = 1, entries do
  if redis.call('XDEL', KEYS[5], ARGV[2 * i + 1]) == 1 then units = units + tonumber(ARGV[2 * i + 2]) end
end
if units > 0 then redis.call('DECRBY', KEYS[2], units) end
return {'OK', string.format('%.0f', units)}
