#!lua
-- adopt: decide whether late orders, accepted in another epoch, still have a place in this one.
--
-- KEYS  1 meta  2 stock  3 inflight  4 buyers  5 keys  6 outbox  7 ended
-- ARGV  1 epoch  2 accepted_at_ms, then for each order: user, order, quantity, key ('' = none)
-- Reply {'OK', 'C' or 'R' for each order} or {'NO', why, epoch in Redis}: why = not_ready | stale | recovering
-- Example: EVALSHA … 7 … 1763800000001 1763800000123 42 019a…-… 1 ''  ->  {'OK', 'C'}
--
-- COUNTED: the order is the user's claim, already or from now on. REJECTED: it was released or refused before, or its
-- place is taken; the key remembers it, so that no later adopt takes it in. What is newly counted gets an outbox entry,
-- so that it reaches the database even when this worker dies. Only the rebuild loads this script, as it does reserve.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
local counts = redis.call('MGET', KEYS[2], KEYS[3])
if not meta[1] or not meta[2] or not counts[1] or not counts[2] then return {'NO', 'not_ready', meta[1] or '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end

local n = (#ARGV - 2) / 4
local stock, units = tonumber(counts[1]), 0
local users, fields = {}, {}
for i = 1, n do
  local at = 4 * i - 1
  local user, key = ARGV[at], ARGV[at + 3]
  users[i] = user
  fields[i] = user .. ':' .. (key == '' and '#' .. ARGV[at + 1] or key)
end
local claims = redis.call('HMGET', KEYS[4], unpack(users))
local known = redis.call('HMGET', KEYS[5], unpack(fields))
local new_claim, new_key = {}, {}
local reply, buyers, keys, ended, lines = {'OK'}, {}, {}, {}, {}
for i = 1, n do
  local at = 4 * i - 1
  local user, order, quantity, key = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local field = fields[i]
  local claim = claims[i] or new_claim[user]
  local kept = known[i] or new_key[field]
  local wanted = tonumber(quantity)
  if claim and string.sub(claim, 1, 36) == order then
    reply[i + 1] = 'C'
  elseif claim or kept or wanted > stock - units then
    reply[i + 1] = 'R'
    -- A key that says this order has judged it before: how it ended (paid and refunded, cancelled) is known better.
    if not kept or string.sub(kept, 1, 36) ~= order then
      ended[#ended + 1] = user
      ended[#ended + 1] = order .. 'r'
    end
    if not kept then
      new_key[field] = order .. quantity
      keys[#keys + 1] = field
      keys[#keys + 1] = order .. quantity
    end
  else
    reply[i + 1] = 'C'
    units = units + wanted
    new_claim[user] = order .. 'q' .. quantity
    new_key[field] = order .. quantity
    buyers[#buyers + 1] = user
    buyers[#buyers + 1] = order .. 'q' .. quantity
    keys[#keys + 1] = field
    keys[#keys + 1] = order .. quantity
    lines[#lines + 1] = order .. ' ' .. user .. ' ' .. quantity .. ' ' .. key
  end
end
if units > 0 then
  redis.call('XADD', KEYS[6], meta[1] .. '-*', 'v', '1', 't', ARGV[2], 'o', table.concat(lines, '\n'))
  redis.call('HSET', KEYS[4], unpack(buyers))
end
if #keys > 0 then redis.call('HSET', KEYS[5], unpack(keys)) end
if #ended > 0 then redis.call('HSET', KEYS[7], unpack(ended)) end
if units > 0 then
  redis.call('DECRBY', KEYS[2], units)
  redis.call('INCRBY', KEYS[3], units)
end
return reply
