#!/usr/bin/env bash
# One sale from end to end, over HTTP alone, against any installation: register, log in, product, sale, warm-up, buy, the order
# appears, pay, figures, metrics. Needs bash and curl. Exit code 0 when every step said what it must.
#   BASE=http://127.0.0.1:8080 OPS=http://127.0.0.1:9090 WORKER_OPS=http://127.0.0.1:9091 deploy/e2e.sh
# ADMIN_EMAIL and ADMIN_PASSWORD name an administrator; unless set, those of profile dev. An empty OPS or WORKER_OPS leaves the
# metrics of that process out. What it makes (an account, a product, a sale that ends within the hour) stays.
set -euo pipefail

BASE="${BASE:-http://127.0.0.1:8080}"
OPS="${OPS-http://127.0.0.1:9090}"
WORKER_OPS="${WORKER_OPS-http://127.0.0.1:9091}"
ADMIN_EMAIL="${ADMIN_EMAIL:-admin@spike.example}"
ADMIN_PASSWORD="${ADMIN_PASSWORD:-spike-development-admin}"
# Seconds that anything may take to happen.
PATIENCE="${PATIENCE:-60}"
API="$BASE/api/v1"

run="$(date +%s)-$$"
body="$(mktemp)"
trap 'rm -f "$body"' EXIT

step() { printf '%s\n' "-- $*"; }
fail() {
    echo "e2e: $*" >&2
    echo "last answer: $status $(cat "$body")" >&2
    exit 1
}

# ask METHOD PATH [curl options]: the status in $status, the body in $body.
status=none
ask() {
    local method="$1" path="$2"
    shift 2
    status="$(curl -sS -o "$body" -w '%{http_code}' --max-time 15 -X "$method" "$API$path" \
        -H 'Content-Type: application/json' "$@")" || fail "$method $path: no answer"
}
expect() {
    local wanted="$1" what="$2"
    [ "$status" = "$wanted" ] || fail "$what: status $status and not $wanted"
}
# The first field of that name in the last answer.
field() { grep -o "\"$1\":\"\{0,1\}[^\",}]*" "$body" | head -n 1 | sed 's/^[^:]*:"\{0,1\}//'; }
# until_true WHAT COMMAND…: asks again until the command succeeds.
until_true() {
    local what="$1" deadline=$((SECONDS + PATIENCE))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || fail "not within $PATIENCE s: $what"
        sleep 0.2
    done
}
# RFC 3339, so many seconds from now.
moment() { date -u -d "@$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -r "$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%SZ; }

step "the API answers at $BASE"
answers() { curl -sS -o "$body" --max-time 5 "$BASE/openapi.json" 2>/dev/null && grep -q '"openapi"' "$body"; }
until_true "the API answers" answers

step "a buyer registers and logs in"
password="a sentence of run $run"
ask POST /auth/register -d "{\"email\":\"buyer-$run@example.com\",\"password\":\"$password\",\"name\":\"Buyer\"}"
expect 201 "register"
ask POST /auth/login -d "{\"email\":\"buyer-$run@example.com\",\"password\":\"$password\"}"
expect 200 "login"
buyer="Authorization: Bearer $(field access_token)"
ask GET /users/me -H "$buyer"
expect 200 "who am I"
grep -q "buyer-$run@example.com" "$body" || fail "somebody else's account"

step "an administrator adds a product and announces a sale"
ask POST /auth/login -d "{\"email\":\"$ADMIN_EMAIL\",\"password\":\"$ADMIN_PASSWORD\"}"
expect 200 "the administrator's login"
admin="Authorization: Bearer $(field access_token)"
ask POST /products -H "$admin" \
    -d "{\"sku\":\"E2E-$run\",\"name\":\"Lamp\",\"price\":{\"minor\":4999,\"currency\":\"EUR\"},\"stock\":3}"
expect 201 "a product"
product="$(field id)"
ask POST /admin/spike/events -H "$admin" -d "{\"product_id\":$product,\"name\":\"Sale $run\",\"price\":{\"minor\":999,\"currency\":\"EUR\"},
    \"total\":3,\"starts_at\":\"$(moment -5)\",\"ends_at\":\"$(moment 3000)\"}"
expect 201 "a sale"
event="$(field id)"
ask POST "/admin/spike/events/$event/warmup" -H "$admin"
expect 200 "warm-up"

step "the buyer buys, and once only"
buys() { ask POST "/spike/events/$event/orders" -H "$buyer" -H "Idempotency-Key: $run" -d '{"quantity":1}'; [ "$status" = 202 ]; }
until_true "the sale $event sells" buys
order="$(field order_id)"
buys || fail "the same key again"
[ "$(field order_id)" = "$order" ] || fail "the same key gave another order than $order"
ask POST "/spike/events/$event/orders" -H "$buyer" -d '{"quantity":1}'
expect 409 "a second order"
[ "$(field reason)" = already-bought ] || fail "a second order"

step "the order appears"
pending() { ask GET "/spike/events/$event/orders/$order?wait=5s" -H "$buyer"; [ "$status" = 200 ] && [ "$(field status)" = pending ]; }
until_true "order $order is pending" pending

step "it is paid"
pays() { ask POST "/orders/$order/pay" -H "$buyer" -H "Idempotency-Key: pay-$run" -d '{}'; [ "$status" = 200 ]; }
until_true "order $order is paid" pays
grep -q '"status":"paid"' "$body" || fail "the payment"
ask GET "/orders/$order" -H "$buyer"
expect 200 "the paid order"
grep -q '"status":"paid"' "$body" || fail "the paid order"

step "the books add up"
adds_up() {
    ask POST "/admin/spike/events/$event/warmup" -H "$admin"
    [ "$status" = 200 ] && grep -q '"F":0,"K":0,"L":1,"R":2,"S":3' "$body" && grep -q '"exact":true' "$body"
}
until_true "S = R + L + F + K" adds_up

step "metrics tell"
# positive URL NAME: the sum over a metric's series is above zero.
positive() {
    curl -sS --max-time 5 "$1/metrics" >"$body" || return 1
    awk -v name="$2" '$1 == name || index($1, name "{") == 1 { sum += $NF } END { exit !(sum > 0) }' "$body"
}
if [ -n "$OPS" ]; then
    until_true "the gateway has counted" positive "$OPS" spike_gateway_accepted_total
fi
if [ -n "$WORKER_OPS" ]; then
    until_true "the worker shows the figures of sales" positive "$WORKER_OPS" spike_worker_event_units
fi
echo "e2e: all is well at $BASE (sale $event, order $order)"
