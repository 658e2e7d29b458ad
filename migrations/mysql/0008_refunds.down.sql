ALTER TABLE spike_events
    DROP INDEX spike_events_units,
    DROP INDEX spike_events_of_state,
    DROP INDEX spike_events_by_start,
    DROP INDEX spike_events_by_end,
    DROP INDEX spike_events_state_start,
    DROP INDEX spike_events_state_end,
    DROP COLUMN units_due;

ALTER TABLE simulated_payments DROP COLUMN refunded_at_ms;

-- What has been refunded is due again: asked again, the provider refunds it no second time.
UPDATE payment_attempts SET status = 4 WHERE status IN (5, 6);
ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_status;
ALTER TABLE payment_attempts
    ADD CONSTRAINT payment_attempts_status CHECK (status BETWEEN 1 AND 4),
    DROP INDEX payment_attempts_status,
    DROP INDEX payment_attempts_untold,
    ADD KEY payment_attempts_untold (untold);
