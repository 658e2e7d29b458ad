-- Refunds that are carried out, and an index for everything that is asked of events again and again, as in ../mysql. Explained
-- in ../README.md. SQLite cannot change a condition, so the attempts are written anew.

CREATE TABLE fresh_payment_attempts (
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
    CONSTRAINT payment_attempts_status CHECK (status BETWEEN 1 AND 6),
    CONSTRAINT payment_attempts_untold_paid CHECK (untold IS NULL OR status = 2),
    CONSTRAINT payment_attempts_fits CHECK (
        length(attempt_id) = 16 AND length(order_id) = 16 AND length(currency) <= 3
    )
) STRICT, WITHOUT ROWID;

INSERT INTO fresh_payment_attempts (attempt_id, order_id, event_id, user_id, amount_minor, currency, status, untold,
    created_at_ms, updated_at_ms)
SELECT attempt_id, order_id, event_id, user_id, amount_minor, currency, status, untold,
    created_at_ms, updated_at_ms FROM payment_attempts;
DROP TABLE payment_attempts;
ALTER TABLE fresh_payment_attempts RENAME TO payment_attempts;
CREATE UNIQUE INDEX payment_attempts_live ON payment_attempts (live_order);
CREATE INDEX payment_attempts_order ON payment_attempts (order_id, attempt_id);
CREATE INDEX payment_attempts_due ON payment_attempts (status, updated_at_ms);
CREATE INDEX payment_attempts_untold ON payment_attempts (untold, updated_at_ms);
CREATE INDEX payment_attempts_status ON payment_attempts (status, attempt_id);

ALTER TABLE simulated_payments ADD COLUMN refunded_at_ms INTEGER NULL;

ALTER TABLE spike_events ADD COLUMN units_due INTEGER GENERATED ALWAYS AS (
    CASE WHEN paid > sold OR (state = 4 AND reserved + returned < total) THEN 1 ELSE NULL END
) VIRTUAL;
CREATE INDEX spike_events_units ON spike_events (units_due);
CREATE INDEX spike_events_of_state ON spike_events (state, id);
CREATE INDEX spike_events_by_start ON spike_events (starts_at_ms);
CREATE INDEX spike_events_by_end ON spike_events (ends_at_ms);
CREATE INDEX spike_events_state_start ON spike_events (state, starts_at_ms);
CREATE INDEX spike_events_state_end ON spike_events (state, ends_at_ms);
