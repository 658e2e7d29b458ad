#!/usr/bin/env bash
# Runs load scripts against a gateway and a worker of their own: loadtest/run-scripts.sh k6|wrk [script…]
#
# Everything is private: servers in .spike/load-stack, free ports, new users for each script; all of it is ended by pid on every
# way out. LOAD_* go on to the scripts (loadtest/README.md). LOAD_USERS_COUNT is how many users a script has, LOAD_BUILD=debug takes
# the debug build. Exit code 1 when a script misses one of its thresholds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    echo "usage: loadtest/run-scripts.sh k6 [login|list|order|spike|all]… or wrk [login|list|order|spike]…" >&2
    exit 2
}
tool="${1:-}"
shift || usage
case "$tool" in
    k6) known=(login list order spike all) ;;
    wrk) known=(login list order spike) ;;
    *) usage ;;
esac
scripts=("$@")
[ "${#scripts[@]}" -gt 0 ] || scripts=("${known[@]}")
for script in "${scripts[@]}"; do
    [[ " ${known[*]} " == *" $script "* ]] || usage
done
case "${LOAD_BUILD:-release}" in
    release) flags=(--release) ;;
    debug) flags=() ;;
    *) echo "LOAD_BUILD is '$LOAD_BUILD'; allowed: release, debug" >&2; exit 2 ;;
esac

deploy/devstack/install-servers.sh
deploy/devstack/install-loadtools.sh
cargo build --quiet --package spike-devstack --bin devstack
cargo build --quiet --locked "${flags[@]}" --package spike --bin spike
target="$(realpath "${CARGO_TARGET_DIR:-target}")"
devstack="$target/debug/devstack"
spike="$target/${LOAD_BUILD:-release}/spike"

stack="$PWD/.spike/load-stack"
logs="$PWD/.spike/load"
pids=()
stop() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${pids[@]}"; do
        wait "$pid" 2>/dev/null || true
    done
    "$devstack" down --dir "$stack" >/dev/null || true
}
# Of a run that was killed.
"$devstack" down --dir "$stack" >/dev/null || true
rm -rf "$stack" "$logs"
mkdir -p "$stack" "$logs"
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$devstack" up --dir "$stack" >/dev/null

# The defaults, whatever the caller's shell has set, and what a load from one address on the same machine needs: everybody
# comes from 127.0.0.1, and the generator wants CPUs as well.
for name in $(compgen -e SPIKE_ || true); do
    unset "$name"
done
while IFS='=' read -r key value; do
    export "$key=$value"
done < <("$devstack" env --dir "$stack")
export SPIKE_LIMITS_ADDRESS_PER_S=0 SPIKE_LIMITS_USER_PER_S=0 SPIKE_LIMITS_DEBOUNCE_MS=0
export SPIKE_HOT_PIN=false SPIKE_HOT_CORES=$(($(nproc) > 1 ? $(nproc) / 2 : 1))
mapfile -t ports < <("$devstack" ports 3)
export SPIKE_HTTP_LISTEN="127.0.0.1:${ports[0]}"
export SPIKE_HTTP_OPS_LISTEN="127.0.0.1:${ports[1]}"
export SPIKE_WORKER_OPS_LISTEN="127.0.0.1:${ports[2]}"

start() {
    "$spike" "$1" >"$logs/$1.log" 2>&1 &
    pids+=("$!")
    local deadline=$((SECONDS + 60))
    until "$spike" health --at "$2" >/dev/null 2>&1; do
        if ! kill -0 "${pids[-1]}" 2>/dev/null || [ "$SECONDS" -ge "$deadline" ]; then
            echo "the $1 does not serve; its log:" >&2
            tail -n 20 "$logs/$1.log" >&2
            exit 1
        fi
        sleep 0.1
    done
}
"$spike" migrate >"$logs/migrate.log" 2>&1 || { cat "$logs/migrate.log" >&2; exit 1; }
start worker "$SPIKE_WORKER_OPS_LISTEN"
start gateway "$SPIKE_HTTP_OPS_LISTEN"

missed=()
export LOAD_USERS
for script in "${scripts[@]}"; do
    echo "== $tool: $script"
    # Anew for each: a user buys once in a sale, and tokens live for minutes.
    LOAD_USERS="$logs/$script.json"
    "$spike" admin load-users --count "${LOAD_USERS_COUNT:-50000}" --out "$LOAD_USERS" 2>"$logs/users.log" \
        || { cat "$logs/users.log" >&2; exit 1; }
    case "$tool" in
        k6) .spike/k6/bin/k6 run --quiet --no-usage-report --address "" "loadtest/k6/$script.js" || missed+=("$script") ;;
        wrk) loadtest/wrk/run.sh "$script" || missed+=("$script") ;;
    esac
done

if [ "${#missed[@]}" -gt 0 ]; then
    echo "FAIL $tool: ${missed[*]} (logs in $logs)"
    exit 1
fi
echo "PASS $tool: ${scripts[*]}"
stop
trap - EXIT
rm -rf "$stack" "$logs"
