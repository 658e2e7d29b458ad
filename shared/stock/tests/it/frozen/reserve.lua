#!lua
-- As version 0.1.0 has it; kept as it was, so that every later text has a former one to sell beside.
-- reserve: decide a batch of buyers in order, then write once for all of them.
--
-- KEYS  1 meta  2 stock  3 inflight  4 buyers  5 keys  6 outbox            (all of one event: one hash tag)
-- ARGV  1 epoch  2 accepted_at_ms, then for each buyer: user, order, quantity, key ('' = none)
-- Reply {'OK', version, stock left, answer of buyer 1, answer of buyer 2, …}, every element a string; an answer is
--         'A'                          accepted: the order is in the outbox
--         'K' order letter quantity    this key's order, whether it lives or not; letter '-' when it is not the claim
--         'B' order letter quantity    the user's claim, made by another press: already bought
--         'L'                          more units than one user may hold
--         'S'                          fewer units left than asked (sold out when stock left is 0)
--       {'NO', why, epoch in Redis} when nobody was decided: why = not_ready | stale | full | paused | closed | recovering
-- Example: EVALSHA … 6 … 1763800000000 1763800000123 42 019a…-… 1 ''  ->  {'OK', '3', '999', 'A'}
--
-- Nothing is written before everything is checked: Lua has no rollback. A missing key is not_ready, never zero.
-- Only the rebuild loads this script: NOSCRIPT is how a gateway learns that the ledger is closed for recovery.
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'state', 'version', 'limit', 'cap')
local epoch, state = meta[1], meta[2]
if not epoch or not state then return {'NO', 'not_ready', '0'} end
if epoch ~= ARGV[1] then return {'NO', 'stale', epoch} end
if state ~= 'open' then return {'NO', state, epoch} end
local counts = redis.call('MGET', KEYS[2], KEYS[3])
if not counts[1] or not counts[2] then return {'NO', 'not_ready', epoch} end
local stock, limit = tonumber(counts[1]), tonumber(meta[4])
if tonumber(counts[2]) >= tonumber(meta[5]) then return {'NO', 'full', epoch} end

local n = (#ARGV - 2) / 4
local users, fields, field_of = {}, {}, {}
for i = 1, n do
  local at = 4 * i - 1
  local user, key = ARGV[at], ARGV[at + 3]
  users[i] = user
  if key ~= '' then
    local field = user .. ':' .. key
    fields[#fields + 1] = field
    field_of[i] = #fields
  end
end
local claims = redis.call('HMGET', KEYS[4], unpack(users))
local known = #fields > 0 and redis.call('HMGET', KEYS[5], unpack(fields)) or {}

local reply = {'OK', meta[3], '0'}
local new_claim, new_key = {}, {} -- what this very call accepts, for a user who is in it twice
local buyers, keys, lines, units = {}, {}, {}, 0
for i = 1, n do
  local at = 4 * i - 1
  local user, order, quantity, key = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local claim = claims[i] or new_claim[user]
  local slot = field_of[i]
  local kept = slot and (known[slot] or new_key[fields[slot]])
  local answer
  if kept then
    local of = string.sub(kept, 1, 36)
    local letter = claim and string.sub(claim, 1, 36) == of and string.sub(claim, 37, 37) or '-'
    answer = 'K' .. of .. letter .. string.sub(kept, 37)
  elseif claim then
    answer = 'B' .. claim
  else
    local wanted = tonumber(quantity)
    if wanted > limit then
      answer = 'L'
    elseif wanted > stock - units then
      answer = 'S'
    else
      answer = 'A'
      units = units + wanted
      claim = order .. 'q' .. quantity
      new_claim[user] = claim
      buyers[#buyers + 1] = user
      buyers[#buyers + 1] = claim
      if slot then
        kept = order .. quantity
        new_key[fields[slot]] = kept
        keys[#keys + 1] = fields[slot]
        keys[#keys + 1] = kept
      end
      lines[#lines + 1] = order .. ' ' .. user .. ' ' .. quantity .. ' ' .. key
    end
  end
  reply[i + 3] = answer
end

if units > 0 then
  -- The entry's id belongs to the epoch, so it is unique without a clock. The write that can fail comes first.
  redis.call('XADD', KEYS[6], epoch .. '-*', 'v', '1', 't', ARGV[2], 'o', table.concat(lines, '\n'))
  redis.call('HSET', KEYS[4], unpack(buyers))
  if #keys > 0 then redis.call('HSET', KEYS[5], unpack(keys)) end
  stock = redis.call('DECRBY', KEYS[2], units)
  redis.call('INCRBY', KEYS[3], units)
end
reply[3] = string.format('%.0f', stock)
return reply
