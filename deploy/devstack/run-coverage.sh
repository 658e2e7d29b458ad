#!/usr/bin/env bash
# Every test with its coverage, over one stack of real servers; processes that the tests start and kill are counted too. Page and summary
# are left in .spike/coverage; the exit code says whether the critical paths are covered as xtask/coverage.toml demands.
#
# usage: run-coverage.sh FOLDER-OF-CARGO-LLVM-COV
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
PATH="$1:$PATH"

if command -v rustup >/dev/null; then
    rustup component add llvm-tools
fi

stack="$PWD/.spike/coverage-stack"
out="$PWD/.spike/coverage"
devstack="${CARGO_TARGET_DIR:-target}/debug/devstack"
cargo build --quiet --package spike-devstack --bin devstack

stop_stack() {
    "$devstack" down --dir "$stack" >/dev/null || true
}
stop_stack
rm -rf "$stack" "$out"
mkdir -p "$stack" "$out"
trap stop_stack EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$devstack" up --dir "$stack"

for name in $(compgen -e SPIKE_ || true); do
    unset "$name"
done
export SPIKE_TEST_STACK="$stack"

# Counters are kept in mapped files (%c), so that a process that is killed has written them down.
export LLVM_PROFILE_FILE_NAME="spike-%p-%m%c.profraw"
export RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-runtime-counter-relocation"
code=0
cargo llvm-cov --no-report --workspace --no-fail-fast || code=$?
unset RUSTFLAGS
cargo llvm-cov report --html --output-dir "$out"
cargo llvm-cov report --json --summary-only --output-path "$out/summary.json"
cargo xtask coverage "$out/summary.json" || code=$?
echo "line by line: $out/html/index.html"
exit "$code"
