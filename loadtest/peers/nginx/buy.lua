-- The gateway's buy, in nginx: the same checks in the same order, the same script call, the same answers.
--
-- settings.json (see spike_peers::nginx) holds the event, the keys, the limits and every answer as the gateway writes it;
-- where an answer depends on the press it holds @ORDER@, @STATUS@, @STOCK@ or @FIELD@ in its place.

local cjson = require "cjson.safe"
local ffi = require "ffi"
local base64 = require "ngx.base64"
local redis = require "nginx.redis"

ffi.cdef [[
const void *EVP_sha256(void);
unsigned char *HMAC(const void *md, const void *key, int key_len, const unsigned char *data, size_t len,
                    unsigned char *out, unsigned int *out_len);
int CRYPTO_memcmp(const void *a, const void *b, size_t len);
int RAND_bytes(unsigned char *out, int len);
]]

local floor, format, random = math.floor, string.format, math.random
local SIGNATURE_BYTES = 32
local TOKEN_BYTES_MAX, BODY_BYTES_MAX, REQUEST_ID_BYTES_MAX = 4096, 4096, 64
local REDIS_IDLE_MS, REDIS_POOL = 60000, 1024
-- Sums of milliseconds are not exact.
local ROUNDING_MS = 0.01

local M = {}
local settings, answers, queued_before, queued_after
-- One process, so plain variables are shared by all requests.
local sold_out = false
local known_header
local id_high, id_low = 0, 0
local signature = ffi.new("unsigned char[?]", SIGNATURE_BYTES)

function M.start(path)
    local file = assert(io.open(path, "rb"))
    settings = assert(cjson.decode(file:read("*a")))
    file:close()
    answers = settings.answers
    queued_before, queued_after = answers.queued.body:match("^(.-)@ORDER@(.*)$")
end

-- Seeds order ids and request ids from the system's randomness.
function M.seed()
    local bytes = ffi.new("unsigned char[14]")
    assert(ffi.C.RAND_bytes(bytes, 14) == 1)
    local function number(from, to)
        local n = 0
        for at = from, to do n = n * 256 + bytes[at] end
        return n
    end
    math.randomseed(number(0, 5))
    id_high, id_low = number(6, 9), number(10, 13)
end

local function request_id()
    local given = ngx.var.http_x_request_id
    if given and #given <= REQUEST_ID_BYTES_MAX and given:find("^[%w._-]+$") then return given end
    local id = format("%08x%08x", id_high, id_low)
    id_low = id_low + 1
    if id_low == 0x100000000 then id_high, id_low = (id_high + 1) % 0x100000000, 0 end
    return id
end

local function send(answer, body)
    local header = ngx.header
    ngx.status = answer.status
    header["content-type"] = "application/json"
    header["content-length"] = #body
    header["x-request-id"] = request_id()
    header["retry-after"] = answer.retry_after_s
    if answer.status == 401 then header["www-authenticate"] = "Bearer" end
    ngx.print(body)
end

local function refuse(answer, values)
    send(answer, values and answer.body:gsub("@(%u+)@", values) or answer.body)
end

local function refuse_naming(answer, order, status)
    ngx.header["location"] = settings.path .. "/" .. order
    refuse(answer, { ORDER = order, STATUS = status })
end

-- Takes a token; otherwise the milliseconds to wait (GCRA). No other request runs in between.
local function wait_ms(dict, key, limit, now_ms)
    local due = dict:get(key)
    if not due or due < now_ms then due = now_ms end
    local early = due - now_ms - limit.tolerance_ms
    if early > ROUNDING_MS then return early end
    local next_due = due + limit.period_ms
    dict:set(key, next_due, (next_due - now_ms) / 1000)
end

-- Answers 429 and returns true when the limit is met. A limit that is off is not in the settings.
local function limited(name, dict, key, now_ms)
    local limit = settings.limits[name]
    if not limit then return false end
    local wait = wait_ms(ngx.shared[dict], key, limit, now_ms)
    if not wait then return false end
    local wait_s = math.max(1, math.ceil(wait / 1000))
    local answer = answers.too_many_requests
    ngx.header["ratelimit-policy"] = limit.policy
    ngx.header["ratelimit"] = format('"%s";r=0;t=%d', limit.name, wait_s)
    send({ status = answer.status, retry_after_s = wait_s }, answer.body)
    return true
end

local function signed(message, given)
    local wanted = base64.decode_base64url(given)
    if not wanted or #wanted ~= SIGNATURE_BYTES then return false end
    local secret = settings.secret
    ffi.C.HMAC(ffi.C.EVP_sha256(), secret, #secret, message, #message, signature, nil)
    return ffi.C.CRYPTO_memcmp(signature, wanted, SIGNATURE_BYTES) == 0
end

local function hs256(header)
    if header == known_header then return true end
    local decoded = cjson.decode(base64.decode_base64url(header) or "")
    if type(decoded) ~= "table" or decoded.alg ~= "HS256" then return false end
    known_header = header
    return true
end

local function of_access(claims, now_s)
    local exp, iat, nbf = claims.exp, claims.iat, claims.nbf
    return type(exp) == "number" and type(iat) == "number" and type(nbf) == "number"
        and claims.iss == settings.issuer and claims.aud == settings.audience and claims.typ == "access"
        and (claims.role == "user" or claims.role == "admin") and type(claims.ver) == "number"
        and type(claims.sid) == "string" and #claims.sid == 36
        and type(claims.sub) == "string" and claims.sub:find("^%d+$")
        and now_s < exp + settings.leeway_s and nbf <= now_s + settings.leeway_s and exp <= iat + settings.ttl_s
end

-- The user of a valid access token.
local function user_of(authorization, now_s)
    local scheme, token = (authorization or ""):match("^(%a+) +(%S+)$")
    if not scheme or scheme:lower() ~= "bearer" or #token > TOKEN_BYTES_MAX then return nil end
    local header, payload, given = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
    if not header or not hs256(header) or not signed(header .. "." .. payload, given) then return nil end
    local claims = cjson.decode(base64.decode_base64url(payload) or "")
    return type(claims) == "table" and of_access(claims, now_s) and claims.sub or nil
end

-- Units wanted; nil after a refusal.
local function read_quantity()
    if (tonumber(ngx.var.content_length) or 0) > BODY_BYTES_MAX then return refuse(answers.body_too_large) end
    ngx.req.read_body()
    local body = ngx.req.get_body_data() or ""
    if body == "" then return 1 end
    local kind = (ngx.var.content_type or ""):match("^%s*([^;%s]*)"):lower()
    if kind ~= "application/json" then return refuse(answers.unsupported_media_type) end
    if not body:find("^%s*{") then return refuse(answers.not_an_object) end
    local press = cjson.decode(body)
    if not press then return refuse(answers.not_json) end
    for field in pairs(press) do
        if field ~= "quantity" then
            return refuse(answers.unknown_field, { FIELD = cjson.encode(field:sub(1, 64)):sub(2, -2) })
        end
    end
    local quantity = press.quantity
    if quantity == nil then return 1 end
    if type(quantity) ~= "number" or quantity < 1 or quantity > 0xffffffff or quantity ~= floor(quantity) then
        return refuse(answers.bad_quantity)
    end
    if quantity > settings.per_user_limit then return refuse(answers.over_limit) end
    return quantity
end

-- The digest of the idempotency key, '' without one; nil after a refusal.
local function read_key(key)
    if not key then return "" end
    if #key < 1 or #key > 255 or key:find("[^\32-\126]") then return refuse(answers.bad_key) end
    return (ngx.sha1_bin(key):sub(1, 16):gsub(".", function(byte) return format("%02x", byte:byte()) end))
end

-- A version 7 UUID (RFC 9562).
local function new_order(now_ms)
    return format("%08x-%04x-7%03x-%04x-%04x%08x", floor(now_ms / 65536), now_ms % 65536, random(0, 0xfff),
        random(0x8000, 0xbfff), random(0, 0xffff), random(0, 0xffffffff))
end

-- The script's reply, or the refusal for want of one.
local function reserve(user, order, quantity, key, now_ms)
    local connection = redis:new()
    connection:set_timeout(settings.redis.timeout_ms)
    if not connection:connect(settings.redis.host, settings.redis.port) then return nil, answers.unavailable end
    local keys = settings.keys
    local reply, why = connection:evalsha(settings.sha, 6, keys[1], keys[2], keys[3], keys[4], keys[5], keys[6],
        settings.epoch, format("%.0f", now_ms), user, order, quantity, key)
    if reply == nil then return nil, answers.outcome_unknown end
    connection:set_keepalive(REDIS_IDLE_MS, REDIS_POOL)
    if reply == false then
        return nil, tostring(why):find("^NOSCRIPT") and answers.recovering or answers.unavailable
    end
    if reply[1] == "OK" then return reply end
    return nil, answers[settings.refused[reply[2]]] or answers.recovering
end

local function queued(order, replayed)
    ngx.header["location"] = settings.path .. "/" .. order
    if replayed then ngx.header["idempotent-replayed"] = "true" end
    send(answers.queued, queued_before .. order .. queued_after)
end

-- One buyer's decision: see lua/reserve.lua.
local function decided(reply, order, quantity)
    local stock, decision = reply[3], reply[4]
    if stock == "0" then sold_out = true end
    local kind = decision:sub(1, 1)
    if kind == "A" then
        queued(order, false)
    elseif kind == "K" then
        if tonumber(decision:sub(39)) ~= quantity then return refuse(answers.idempotency_mismatch) end
        queued(decision:sub(2, 37), true)
    elseif kind == "B" then
        refuse_naming(answers.already_bought, decision:sub(2, 37), settings.states[decision:sub(38, 38)])
    elseif kind == "L" then
        refuse(answers.over_limit)
    elseif stock == "0" then
        refuse(answers.sold_out)
    else
        refuse(answers.insufficient_stock, { STOCK = stock })
    end
end

function M.press()
    if ngx.req.get_method() ~= "POST" then return M.not_found() end
    local given_key = ngx.var.http_idempotency_key
    if sold_out and not given_key then return refuse(answers.sold_out) end
    local now_ms = floor(ngx.now() * 1000)
    if limited("address", "addresses", ngx.var.binary_remote_addr, now_ms) then return end
    local user = user_of(ngx.var.http_authorization, floor(now_ms / 1000))
    if not user then return refuse(answers.unauthorized) end
    if limited("press", "presses", user, now_ms) or limited("user", "users", user, now_ms)
        or limited("all", "totals", "all", now_ms) or limited("event", "totals", "event", now_ms) then
        return
    end
    local quantity = read_quantity()
    if not quantity then return end
    local key = read_key(given_key)
    if not key then return end
    local order = new_order(now_ms)
    local reply, refusal = reserve(user, order, quantity, key, now_ms)
    if reply then
        decided(reply, order, quantity)
    elseif refusal == answers.outcome_unknown then
        refuse_naming(refusal, order)
    else
        refuse(refusal)
    end
end

function M.not_found()
    refuse(answers.not_found)
end

return M
