#!/usr/bin/env bash
# Runs one scenario with wrk: loadtest/wrk/run.sh login|list|order|spike
#
# LOAD_USERS is the file of `spike admin load-users`. LOAD_BASE (the file's), LOAD_DURATION_S (30), LOAD_CONNECTIONS, LOAD_THREADS (1)
# and LOAD_P95_MS (200) may be given. Exit code 0 only after PASS: wrk itself ends with 0 whatever became of its script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Connections wait for their answers, so their number is the load. More logins at once than these would wait for each other's hash.
case "${1:-}" in
    login) connections=2 ;;
    list) connections=16 ;;
    order) connections=8 ;;
    spike) connections=64 ;;
    *) echo "usage: loadtest/wrk/run.sh login|list|order|spike" >&2; exit 2 ;;
esac
if [ ! -r "${LOAD_USERS:-}" ]; then
    echo "LOAD_USERS is '${LOAD_USERS:-}'; allowed: the absolute path of a file from 'spike admin load-users'" >&2
    exit 2
fi
# The first line is the file's head; the users follow, one a line.
base="${LOAD_BASE:-$(head -n 1 "$LOAD_USERS" | sed -n 's/.*"base":"\([^"]*\)".*/\1/p')}"
connections="${LOAD_CONNECTIONS:-$connections}"
export LOAD_DURATION_S="${LOAD_DURATION_S:-30}" LOAD_THREADS="${LOAD_THREADS:-1}"

code=0
run=("${WRK:-wrk}" --latency --timeout 10s -t "$LOAD_THREADS" -c "$connections" -d "${LOAD_DURATION_S}s" -s "$1.lua" "$base")
said="$("${run[@]}" 2>&1)" || code=$?
echo "$said"
if [ "$code" -eq 0 ] && ! grep -qx "PASS $1" <<<"$said"; then
    echo "FAIL $1: the script did not come to its end"
    code=1
fi
exit "$code"
