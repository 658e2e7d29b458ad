#!lua
-- mark: the state of orders has changed in the database; show it beside the claim, where buyers poll it.
--
-- KEYS  1 buyers
-- ARGV  for each order: user, order, letter
-- Reply {'OK', claims changed}
-- Example: EVALSHA … 1 … 42 019a…-… d  ->  {'OK', '1'}
--
-- Informative only: stock and claims are not touched, so no epoch is asked for; the next rebuild reads the rows.
local users = {}
for at = 1, #ARGV, 3 do users[#users + 1] = ARGV[at] end
local claims = redis.call('HMGET', KEYS[1], unpack(users))
local changed = {}
for i = 1, #users do
  local order, letter, claim = ARGV[3 * i - 1], ARGV[3 * i], claims[i]
  if claim and string.sub(claim, 1, 36) == order then
    changed[#changed + 1] = users[i]
    changed[#changed + 1] = order .. letter .. string.sub(claim, 38)
  end
end
if #changed > 0 then redis.call('HSET', KEYS[1], unpack(changed)) end
return {'OK', string.format('%.0f', #changed / 2)}
