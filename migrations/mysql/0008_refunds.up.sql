-- Refunds that are carried out, and an index for everything that is asked of events again and again. Explained in ../README.md.

ALTER TABLE payment_attempts DROP CONSTRAINT payment_attempts_status;
ALTER TABLE payment_attempts
    ADD CONSTRAINT payment_attempts_status CHECK (status BETWEEN 1 AND 6),
    DROP INDEX payment_attempts_untold,
    ADD KEY payment_attempts_untold (untold, updated_at_ms),
    ADD KEY payment_attempts_status (status, attempt_id);

ALTER TABLE simulated_payments ADD COLUMN refunded_at_ms BIGINT NULL;

ALTER TABLE spike_events
    ADD COLUMN units_due TINYINT GENERATED ALWAYS AS (
        CASE WHEN paid > sold OR (state = 4 AND reserved + returned < total) THEN 1 ELSE NULL END
    ) STORED,
    ADD KEY spike_events_units (units_due),
    ADD KEY spike_events_of_state (state, id),
    ADD KEY spike_events_by_start (starts_at_ms),
    ADD KEY spike_events_by_end (ends_at_ms),
    ADD KEY spike_events_state_start (state, starts_at_ms),
    ADD KEY spike_events_state_end (state, ends_at_ms);
