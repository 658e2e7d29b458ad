#!/usr/bin/env bash
# Plants the bugs of shared/domain/src/mutant.rs one by one into one build and says which tests notice.
#
# Each line of the table: the bug, where its test is (for people), and the test. First every test is run without a bug and must
# pass; then each with its bug and must fail. The last ones are given to the nemesis, to show that its checker has teeth.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

make install-servers
stack="$PWD/.spike/mutants-stack"
devstack="${CARGO_TARGET_DIR:-target}/debug/devstack"
log="$PWD/.spike/mutants.log"
mkdir -p "$PWD/.spike"
cargo build --quiet --package spike-devstack --bin devstack
stop_stack() { "$devstack" down --dir "$stack" >/dev/null || true; }
stop_stack
rm -rf "$stack"
mkdir -p "$stack"
trap stop_stack EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
"$devstack" up --dir "$stack" >/dev/null
for name in $(compgen -e SPIKE_ || true); do
    unset "$name"
done
export SPIKE_TEST_STACK="$stack"

table() {
    cat <<'TABLE'
V1 worker an_entry_of_a_wiped_ledger_is_adopted_where_there_is_room
V2 worker v2_an_order_that_has_its_row_is_not_counted_as_under_way
V3 worker v3_units_that_a_rebuild_has_freed_are_not_owed_any_more
V4 worker v4_a_marker_read_before_a_rebuild_releases_nothing_in_it
V5 worker v5_the_key_of_a_cancelled_order_still_names_it_after_a_rebuild
V6 worker v6_a_rebuild_that_was_overtaken_reads_no_rows
V7 worker v7_a_rebuild_does_not_go_on_after_redis_has_restarted
V8 stock a_counted_order_takes_stock_once_and_gets_an_entry
V9 stock a_refused_order_is_refused_for_good
V10 worker an_entry_left_by_a_killed_worker_is_settled_by_the_sweep
V11 worker a_poison_order_is_rejected_alone_and_a_message_nobody_reads_is_parked
V12 worker v12_a_rebuild_after_the_database_was_put_back_is_above_the_ledgers_epoch
ack-before-commit worker a_message_whose_worker_dies_before_the_commit_comes_again
decrement-before-checks stock a_batch_is_decided_in_order_up_to_the_last_unit
group-at-end stock a_lost_group_reads_everything_again
maxlen worker accepted_orders_become_rows_and_leave_the_outbox
eval-fallback stock a_restarted_redis_sells_nothing_until_it_is_rebuilt
restock-without-compare stock a_release_counts_once_and_only_for_the_orders_own_claim
read-then-write-pay store an_order_past_its_deadline_is_not_paid
ignored-return broker a_window_that_fits_no_queue_is_an_error_and_the_next_connection_mends_it
unversioned-clear gateway local::sold_out::tests::
read-then-write-pay nemesis nemesis::kept
TABLE
}

# The nemesis lives in another test binary than the rest.
tests() {
    local binaries=(--lib --test it)
    if [ "$1" = nemesis ]; then binaries=(--test e2e); fi
    cargo test --quiet --workspace --features spike-domain/mutants "${binaries[@]}" --no-fail-fast -- "${@:2}"
}

echo "building" >"$log"
cargo test --quiet --workspace --features spike-domain/mutants --lib --test it --test e2e --no-run
passed() { awk '/^test result: /{ passed += $4; failed += $6 } END { exit !(passed > 0 && failed == 0) }' <<<"$1"; }

code=0
for kind in all nemesis; do
    mapfile -t filters < <(table | awk -v kind="$kind" '(kind == "nemesis") == ($2 == "nemesis") { print $3 }')
    if ! said="$(tests "$kind" "${filters[@]}" 2>&1)" || ! passed "$said"; then
        echo "$said" >>"$log"
        echo "without a planted bug the tests must pass; see $log" >&2
        exit 1
    fi
done
while read -r mutant where filter <&3; do
    if said="$(SPIKE_TEST_MUTANT="$mutant" tests "$where" "$filter" 2>&1)"; then
        printf '%-24s MISSED  by %s %s\n' "$mutant" "$where" "$filter"
        code=1
    elif grep -q '^test result: FAILED' <<<"$said"; then
        printf '%-24s caught  by %s %s\n' "$mutant" "$where" "$filter"
    else
        # It did not even start: that is no proof of anything.
        printf '%-24s MISSED  (no verdict; see %s)\n' "$mutant" "$log"
        code=1
    fi
    printf '=== %s\n%s\n' "$mutant" "$said" >>"$log"
done 3< <(table)
exit "$code"
