-- What the four scenarios share: the users of the file, the count of answers, and the verdict.
--
-- wrk runs a script once for itself (`setup`, `done`) and once in each thread (`init`, `request`, `response`), in states that
-- exchange flat tables, numbers and strings only.

local scenario = {}

local threads = {}

local function stop(text)
  io.stderr:write(text, "\n")
  os.exit(2)
end

local function number(name, default)
  local text = os.getenv(name)
  if not text or text == "" then return default end
  return tonumber(text) or stop(name .. " is " .. text .. "; allowed: a number")
end

-- Says that a user's Idempotency-Keys are new in this run.
local function nonce()
  local random = assert(io.open("/dev/urandom", "rb"))
  local bytes = random:read(8)
  random:close()
  return (bytes:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

-- The file's head, and every `of`-th of its users from `first` (from 0) on. A user is a line.
local function read(first, of)
  local path = os.getenv("LOAD_USERS") or stop("LOAD_USERS is not set; allowed: a file from `spike admin load-users`")
  local file = io.open(path) or stop("LOAD_USERS is " .. path .. ", which cannot be read")
  local head = file:read("*l") or ""
  local shop = { nonce = nonce(), users = {}, products = {} }
  shop.event = head:match('"event":(%d+)')
  shop.password = head:match('"password":"([^"]+)"')
  for id in (head:match('"products":%[(.-)%]') or ""):gmatch('"id":(%d+)') do table.insert(shop.products, id) end
  local at = 0
  for line in file:lines() do
    local email, token = line:match('"email":"([^"]+)"'), line:match('"token":"([^"]+)"')
    if token then
      if at % of == first then table.insert(shop.users, { email = email, token = token }) end
      at = at + 1
    end
  end
  file:close()
  if not shop.event or not shop.password or #shop.users == 0 or #shop.products == 0 then
    stop(path .. " is not a file from `spike admin load-users`, or has fewer users than there are threads")
  end
  local expires_at_ms = tonumber(head:match('"expires_at_ms":(%d+)')) or 0
  if expires_at_ms < (os.time() + number("LOAD_DURATION_S", 30)) * 1000 then
    stop("the tokens in " .. path .. " expire during this run: make another file with `spike admin load-users`")
  end
  return shop
end

-- A request of JSON below the base; `body` and `token` may be nil.
function scenario.request(method, path, body, token, key)
  local headers = {}
  if body then headers["Content-Type"] = "application/json" end
  if token then headers["Authorization"] = "Bearer " .. token end
  if key then headers["Idempotency-Key"] = key end
  return wrk.format(method, scenario.prefix .. path, headers, body)
end

-- Makes wrk's hooks.
--
-- `make(shop, user, at)` gives the request number `at` (from 1) of a thread. `right` says which answers are right, by status or by
-- status and reason ("409 sold-out"); `wanted` is the one without which nothing was measured.
function scenario.run(name, make, right, wanted)
  local shop, at

  function setup(thread)
    thread:set("index", #threads)
    table.insert(threads, thread)
  end

  function init()
    scenario.prefix = wrk.path:gsub("/$", "")
    shop, at, counts = read(index, number("LOAD_THREADS", 1)), 0, {}
  end

  function request()
    at = at + 1
    return make(shop, shop.users[(at - 1) % #shop.users + 1], at)
  end

  function response(status, _, body)
    local answer = tostring(status)
    if status >= 400 then answer = answer .. " " .. (body:match('"reason":"([%w-]+)"') or "") end
    counts[answer] = (counts[answer] or 0) + 1
  end

  function done(summary, latency)
    local passed = scenario.report(summary.errors, latency, right, wanted)
    print((passed and "PASS " or "FAIL ") .. name)
    os.exit(passed and 0 or 1)
  end
end

-- Prints what came back and says whether the run passed.
function scenario.report(errors, latency, right, wanted)
  local all, total, wrong = {}, 0, 0
  for _, thread in ipairs(threads) do
    for answer, count in pairs(thread:get("counts") or {}) do all[answer] = (all[answer] or 0) + count end
  end
  for answer, count in pairs(all) do
    total = total + count
    if not right[answer] then wrong = wrong + count end
  end
  for _, kind in ipairs({ "connect", "read", "write", "timeout" }) do
    if errors[kind] > 0 then all[kind .. " error"] = errors[kind] end
    total, wrong = total + errors[kind], wrong + errors[kind]
  end
  local names = {}
  for answer in pairs(all) do table.insert(names, answer) end
  table.sort(names)
  for _, answer in ipairs(names) do
    print(string.format("  %8d  %s%s", all[answer], answer, right[answer] and "" or "  (not expected)"))
  end

  local p95_ms, limit_ms = latency:percentile(95) / 1000, number("LOAD_P95_MS", 200)
  local share = total > 0 and wrong / total or 1
  print(string.format("  P95 %.2f ms (below %g), errors %.2f %% (below 1 %%)", p95_ms, limit_ms, 100 * share))
  if not all[wanted] then print("  no answer was " .. wanted .. ": nothing was measured") end
  return all[wanted] ~= nil and p95_ms < limit_ms and share < 0.01
end

return scenario
