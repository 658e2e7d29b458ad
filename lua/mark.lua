#!lua
-- mark: the state of orders has changed in the database; show it beside the claim, where buyers poll it.
--
-- KEYS  1 meta  2 buyers
-- ARGV  for each order: user, order, letter
-- Reply {'OK', claims changed} or {'NO', why, epoch in Redis}: why = not_ready | recovering
-- Example: EVALSHA … 2 … 42 019a…-… d  ->  {'OK', '1'}
--
-- Informative only: stock and claims are not touched, so no epoch is asked for; the next rebuild reads the rows. The one
-- under way may have read them before they changed and is about to replace the claims, so then the answer is NO: try again.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state')
if not meta[1] or not meta[2] then return {'NO', 'not_ready', meta[1] or '0'} end
if meta[2] == 'recovering' then return {'NO', 'recovering', meta[1]} end
local users = {}
for at = 1, #ARGV, 3 do users[#users + 1] = ARGV[at] end
local claims = redis.call('HMGET', KEYS[2], unpack(users))
local changed = {}
for i = 1, #users do
  local order, letter, claim = ARGV[3 * i - 1], ARGV[3 * i], claims[i]
  if claim and string.sub(claim, 1, 36) == order then
    changed[#changed + 1] = users[i]
    changed[#changed + 1] = order .. letter .. string.sub(claim, 38)
  end
end
if #changed > 0 then redis.call('HSET', KEYS[2], unpack(changed)) end
return {'OK', string.format('%.0f', #changed / 2)}
