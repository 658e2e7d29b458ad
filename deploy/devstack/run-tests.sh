#!/usr/bin/env bash
# The whole check: lint, the files of deploy, licences, docs, and every test over one stack of real servers.
#
# The last line is the sum over all test binaries; the exit code is that of the first thing that failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

make install-servers
make install-peers
deploy/devstack/install-schemathesis.sh
deploy/devstack/install-loadtools.sh
make check-deploy
deploy/devstack/install-observability.sh
make lint
make deny
make doc

stack="$PWD/.spike/test-stack"
log="$PWD/.spike/test.log"
devstack="${CARGO_TARGET_DIR:-target}/debug/devstack"
cargo build --quiet --package spike-devstack --bin devstack

# Runs on every way out, so that no server is left behind.
stop_stack() {
    "$devstack" down --dir "$stack" >/dev/null || true
}
stop_stack
rm -rf "$stack"
mkdir -p "$stack"
trap stop_stack EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$devstack" up --dir "$stack"

# Tests start from the defaults, whatever the caller's shell has set.
for name in $(compgen -e SPIKE_ || true); do
    unset "$name"
done
export SPIKE_TEST_STACK="$stack"

code=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || code=$?
# Alone, because it takes the whole machine for a minute and a half.
SPIKE_TEST_SCHEMATHESIS="$PWD/.spike/schemathesis/bin/st" \
    cargo test --workspace --test e2e -- --ignored --nocapture fuzz_api 2>&1 | tee -a "$log" || code=$?
stop_stack
trap - EXIT

if [ "$code" -eq 0 ]; then
    rm -rf "$stack"
else
    echo "the servers' logs are in $stack"
fi
awk '/^test result: /{ passed += $4; failed += $6 } END { printf "%d passed, %d failed\n", passed, failed }' "$log"
exit "$code"
