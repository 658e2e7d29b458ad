DROP INDEX spike_events_state_end;
DROP INDEX spike_events_state_start;
DROP INDEX spike_events_by_end;
DROP INDEX spike_events_by_start;
DROP INDEX spike_events_of_state;
DROP INDEX spike_events_units;
ALTER TABLE spike_events DROP COLUMN units_due;
ALTER TABLE simulated_payments DROP COLUMN refunded_at_ms;

-- What has been refunded is due again: asked again, the provider refunds it no second time.
CREATE TABLE former_payment_attempts (
    attempt_id    BLOB    NOT NULL PRIMARY KEY,
    order_id      BLOB    NOT NULL,
    event_id      INTEGER NULL,
    user_id       INTEGER NOT NULL,
    amount_minor  INTEGER NOT NULL,
    currency      TEXT    NOT NULL,
    status        INTEGER NOT NULL,
    untold        INTEGER NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    live_order    BLOB    GENERATED ALWAYS AS (CASE WHEN status IN (1, 2) THEN order_id ELSE NULL END) VIRTUAL,
    CONSTRAINT payment_attempts_amount CHECK (amount_minor >= 0),
    CONSTRAINT payment_attempts_status CHECK (status BETWEEN 1 AND 4),
    CONSTRAINT payment_attempts_untold_paid CHECK (untold IS NULL OR status = 2),
    CONSTRAINT payment_attempts_fits CHECK (
        length(attempt_id) = 16 AND length(order_id) = 16 AND length(currency) <= 3
    )
) STRICT, WITHOUT ROWID;

INSERT INTO former_payment_attempts (attempt_id, order_id, event_id, user_id, amount_minor, currency, status, untold,
    created_at_ms, updated_at_ms)
SELECT attempt_id, order_id, event_id, user_id, amount_minor, currency, min(status, 4), untold,
    created_at_ms, updated_at_ms FROM payment_attempts;
DROP TABLE payment_attempts;
ALTER TABLE former_payment_attempts RENAME TO payment_attempts;
CREATE UNIQUE INDEX payment_attempts_live ON payment_attempts (live_order);
CREATE INDEX payment_attempts_order ON payment_attempts (order_id, attempt_id);
CREATE INDEX payment_attempts_due ON payment_attempts (status, updated_at_ms);
CREATE INDEX payment_attempts_untold ON payment_attempts (untold);
