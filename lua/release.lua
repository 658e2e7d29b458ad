#!lua
-- release: give the units of dead orders back to the stock.
--
-- KEYS  1 meta  2 stock  3 buyers  4 ended
-- ARGV  1 epoch  2 event  3 hint channel, then for each order: user, order, letter of its row's status
-- Reply {'OK', version, stock, units released} or {'NO', why, epoch in Redis}: why = not_ready | stale | recovering
-- Example: EVALSHA … 4 … 1763800000000 7 spike:hints 42 019a…-… c  ->  {'OK', '4', '1', '1'}
--
-- NO means "try again", never "done". Only the order's own claim is released; the quantity is the claim's, which is what
-- was taken. A re-buy has another order id, so a replay is a no-op. `keys` stay: they say that the key's order is dead.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'version')
local held = redis.call('GET', KEYS[2])
if not meta[1] or not meta[2] or not held then return {'NO', 'not_ready', meta[1] or '0'} end
if meta[1] ~= ARGV[1] then return {'NO', 'stale', meta[1]} end
if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end

local users = {}
for at = 4, #ARGV, 3 do users[#users + 1] = ARGV[at] end
local claims = redis.call('HMGET', KEYS[3], unpack(users))
local gone, ended, units = {}, {}, 0
for i = 1, #users do
  local at = 3 * i + 1
  local user, order, letter = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local claim = claims[i]
  if claim and string.sub(claim, 1, 36) == order then
    units = units + tonumber(string.sub(claim, 38))
    gone[#gone + 1] = user
    ended[#ended + 1] = user
    ended[#ended + 1] = order .. letter
    claims[i] = false
    for j = i + 1, #users do if users[j] == user then claims[j] = false end end
  end
end
local version, stock = meta[3], held
if #gone > 0 then
  redis.call('HSET', KEYS[4], unpack(ended))
  redis.call('HDEL', KEYS[3], unpack(gone))
  stock = string.format('%.0f', redis.call('INCRBY', KEYS[2], units))
  version = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'version', 1))
  redis.call('PUBLISH', ARGV[3], ARGV[2])
end
return {'OK', version, stock, string.format('%.0f', units)}
