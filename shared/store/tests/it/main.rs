//! The store against real databases. What every implementation must do is a function over a [`Store`] in one
//! of the modules that `contract!` lists; each runs on a database of its own, once on MariaDB and once on
//! SQLite. What only a server has (sessions, lock conflicts, killed connections) is in `server`; what only a
//! file has (kill -9, a second process, plans) is in `embedded`.

mod accounts;
mod archive;
mod audit_log;
mod breaker;
mod catalogue;
mod crowd;
mod database;
mod dead_letters;
mod embedded;
mod events;
mod evidence;
mod idempotency;
mod inserts;
mod inventory;
mod late;
mod life;
mod order_life;
mod payments;
mod plans;
mod products;
mod rate_limits;
mod rebuild;
mod sale;
mod server;
mod session_races;
mod sessions;
mod shop;
mod shop_crowd;
mod shop_orders;

/// One test for each function of the contract and each database.
macro_rules! contract {
    ($($module:ident: $($name:ident)+;)+) => {
        mod mariadb {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fresh = crate::database::mariadb().await;
                    crate::$module::$name(&fresh.store).await;
                    fresh.store.close().await;
                })+
            })+
        }
        mod sqlite {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let fresh = crate::database::sqlite().await;
                    crate::$module::$name(&fresh.store).await;
                    fresh.store.close().await;
                    crate::embedded::file_is_sound(&fresh).await;
                })+
            })+
        }
    };
}

mod contract {
    contract! {
        accounts: a_change_happens_once_and_is_recorded an_administrator_is_always_left
            accounts_are_listed_by_what_they_are the_first_administrator_is_made_once;
        archive: only_an_event_at_rest_is_archived_and_then_for_good;
        audit_log: what_was_done_is_read_back_newest_first what_was_done_is_found_by_who_what_and_on_what
            hostile_text_is_kept_as_it_came_or_refused an_outcome_is_told_once;
        catalogue: accounts_are_unique_by_email_in_any_case bulk_users_get_distinct_ids products_and_their_stock
            an_event_is_carved_out_of_the_inventory states_go_forward_only lists_are_paged
            what_a_column_cannot_hold_is_refused the_clock_is_right;
        dead_letters: a_letter_is_its_bytes_however_often_it_comes a_letter_larger_than_any_message_is_kept_in_part
            letters_are_found_by_event_reason_and_state_a_page_at_a_time
            a_replay_that_ends_here_again_is_not_forgotten;
        inventory: every_change_is_a_line_of_the_ledger an_adjustment_keeps_its_conditions
            adjustments_at_once_never_go_below_zero events_and_adjustments_at_once_add_up;
        idempotency: a_key_runs_once_and_replays_its_answer
            a_request_that_died_is_done_again_under_its_own_id of_many_requests_at_once_one_runs
            keys_are_forgotten_after_their_time;
        events: events_are_listed_by_state_and_time an_event_changes_until_it_starts a_deleted_event_gives_its_units_back an_event_follows_its_schedule
            a_closed_event_returns_what_nobody_holds_once units_add_up_whatever_happens_first
            a_users_order_in_an_event_is_the_live_one;
        products: a_product_changes_in_the_version_that_was_seen one_of_many_who_saw_the_same_version_changes_it
            a_deleted_product_is_gone_and_keeps_its_sku no_event_is_made_of_a_product_while_it_is_deleted
            lists_are_sorted_and_filtered a_page_of_very_many_is_one_indexed_query;
        rate_limits: limits_are_set_and_given_back_in_the_version_that_was_seen
            one_of_many_who_saw_the_same_limits_changes_them limits_out_of_range_are_refused_by_the_table;
        inserts: plain_orders_become_pending_rows a_replay_changes_nothing a_live_claim_rejects_another_order
            orders_beyond_the_total_are_rejected quantities_count_as_units the_same_user_twice_in_a_batch
            a_batch_longer_than_a_statement a_large_batch_with_one_conflict hostile_keys_are_refused_not_run
            an_unknown_event_is_not_found;
        late: an_entry_of_another_epoch_writes_nothing an_adopted_order_in_two_entries_is_one_row
            adopted_orders_are_written_by_their_verdict an_adoption_of_an_older_epoch_writes_nothing
            a_poison_order_is_kept_and_restocked presence_is_told_with_the_epoch;
        life: unpaid_orders_expire cancel_then_buy_again only_the_owner_cancels a_paid_order_stays
            an_order_past_its_deadline_is_not_paid markers_close_once_and_in_their_epoch
            a_full_event_starves_no_other_of_its_markers a_users_orders_by_cursor;
        rebuild: an_epoch_is_above_every_other a_snapshot_closes_markers_and_writes_lost_rows
            a_snapshot_of_an_older_epoch_changes_nothing a_snapshot_reads_every_row;
        shop_orders: an_order_takes_its_units_once an_order_that_is_refused_takes_nothing
            a_cancelled_order_frees_its_units_once unpaid_shop_orders_expire a_users_shop_orders_by_cursor;
        evidence: everything_of_an_event_is_evidence;
        payments: captured_money_pays_a_shop_order_once a_declined_order_can_be_paid_again
            money_for_an_order_that_has_ended_is_to_be_refunded_once a_spike_order_is_paid_the_same_way
            open_attempts_take_turns_to_be_asked_about the_simulated_provider_keeps_its_first_word
            pay_cancel_and_expiry_of_shop_orders_have_one_winner
            pay_cancel_and_expiry_of_spike_orders_have_one_winner of_many_attempts_at_once_one_is_recorded
            an_order_is_tried_so_often_and_no_oftener a_refund_is_made_once_and_listed_for_administrators;
        shop_crowd: a_crowd_of_clients_leaves_books_that_add_up;
        crowd: four_writers_never_exceed_the_total pay_and_cancel_and_expiry_have_one_winner
            writers_of_two_events_do_not_wait_for_each_other
            calls_dropped_half_way_leave_no_transaction_behind;
        sessions: a_session_starts_only_for_the_account_that_was_checked the_oldest_session_makes_room
            a_revocation_is_told_until_it_is_over a_refresh_rotates_and_its_answer_may_be_asked_for_again
            reuse_revokes_the_family_and_a_forgery_nothing a_token_expires_with_its_rest_and_with_its_session
            of_many_refreshes_at_once_one_rotates a_new_password_ends_every_session_and_every_login_under_way
            an_account_is_known_by_the_newest_token_of_a_live_session
            what_is_over_is_purged_in_batches_and_nothing_else
            an_administrators_session_has_a_row a_new_password_starts_its_session_or_changes_nothing
            an_account_is_made_with_its_line_in_the_log
            a_session_is_purged_although_its_spent_tokens_would_live_longer;
        session_races: a_session_that_ends_while_it_is_refreshed_is_dead
            a_login_while_its_account_ends_leaves_no_session
            logins_at_once_never_hold_more_sessions_than_are_allowed
            a_session_that_makes_room_while_it_is_refreshed_is_dead
            an_account_is_registered_with_its_session_or_not_at_all;
    }
}
