-- Idempotency keys, payments, and ordinary orders that are made once by their id. Explained in ../README.md.

ALTER TABLE orders DROP INDEX orders_idem, DROP COLUMN idem_key;

CREATE TABLE idempotency_keys (
    user_id         BIGINT      NOT NULL,
    route           VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idem_key        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    payload_hash    BINARY(32)  NOT NULL,
    effect_id       BINARY(16)  NOT NULL,
    locked_until_ms BIGINT      NOT NULL,
    answer          MEDIUMBLOB  NULL,
    created_at_ms   BIGINT      NOT NULL,
    PRIMARY KEY (user_id, route, idem_key),
    KEY idempotency_keys_age (created_at_ms)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE payment_attempts (
    attempt_id    BINARY(16) NOT NULL PRIMARY KEY,
    order_id      BINARY(16) NOT NULL,
    event_id      BIGINT     NULL,
    user_id       BIGINT     NOT NULL,
    amount_minor  BIGINT     NOT NULL,
    currency      CHAR(3)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status        TINYINT    NOT NULL,
    untold        TINYINT    NULL,
    created_at_ms BIGINT     NOT NULL,
    updated_at_ms BIGINT     NOT NULL,
    live_order    BINARY(16) GENERATED ALWAYS AS (CASE WHEN status IN (1, 2) THEN order_id ELSE NULL END) STORED,
    UNIQUE KEY payment_attempts_live (live_order),
    KEY payment_attempts_order (order_id, attempt_id),
    KEY payment_attempts_due (status, updated_at_ms),
    KEY payment_attempts_untold (untold),
    CONSTRAINT payment_attempts_amount CHECK (amount_minor >= 0),
    CONSTRAINT payment_attempts_status CHECK (status BETWEEN 1 AND 4),
    CONSTRAINT payment_attempts_untold_paid CHECK (untold IS NULL OR status = 2)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE simulated_payments (
    attempt_id    BINARY(16) NOT NULL PRIMARY KEY,
    captured      TINYINT    NOT NULL,
    settles_at_ms BIGINT     NOT NULL,
    created_at_ms BIGINT     NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
