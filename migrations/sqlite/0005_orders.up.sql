-- Idempotency keys, payments, and ordinary orders that are made once by their id, as in ../mysql. Explained in
-- ../README.md. SQLite cannot drop a column that is UNIQUE, so the two tables of orders are written anew.

CREATE TABLE fresh_orders (
    id            BLOB    NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    amount_minor  INTEGER NOT NULL,
    currency      TEXT    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    CONSTRAINT orders_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT orders_amount CHECK (amount_minor >= 0),
    CONSTRAINT orders_status CHECK (status BETWEEN 1 AND 5),
    CONSTRAINT orders_fits CHECK (length(id) = 16 AND length(currency) <= 3)
) STRICT, WITHOUT ROWID;

CREATE TABLE fresh_orders_items (
    order_id    BLOB    NOT NULL,
    product_id  INTEGER NOT NULL,
    quantity    INTEGER NOT NULL,
    price_minor INTEGER NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES fresh_orders (id),
    CONSTRAINT order_items_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT order_items_quantity CHECK (quantity > 0),
    CONSTRAINT order_items_price CHECK (price_minor >= 0),
    CONSTRAINT order_items_fits CHECK (quantity <= 2147483647)
) STRICT, WITHOUT ROWID;

INSERT INTO fresh_orders (id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms)
SELECT id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms FROM orders;
INSERT INTO fresh_orders_items SELECT order_id, product_id, quantity, price_minor FROM order_items;
DROP TABLE order_items;
DROP TABLE orders;
ALTER TABLE fresh_orders RENAME TO orders;
ALTER TABLE fresh_orders_items RENAME TO order_items;
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_due ON orders (status, expires_at_ms);
CREATE INDEX order_items_product ON order_items (product_id);

CREATE TABLE idempotency_keys (
    user_id         INTEGER NOT NULL,
    route           TEXT    NOT NULL,
    idem_key        TEXT    NOT NULL,
    payload_hash    BLOB    NOT NULL,
    effect_id       BLOB    NOT NULL,
    locked_until_ms INTEGER NOT NULL,
    answer          BLOB    NULL,
    created_at_ms   INTEGER NOT NULL,
    PRIMARY KEY (user_id, route, idem_key),
    CONSTRAINT idempotency_keys_fits CHECK (
        length(route) <= 64 AND length(idem_key) <= 64 AND length(payload_hash) = 32 AND length(effect_id) = 16
    )
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at_ms);

CREATE TABLE payment_attempts (
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

CREATE UNIQUE INDEX payment_attempts_live ON payment_attempts (live_order);
CREATE INDEX payment_attempts_order ON payment_attempts (order_id, attempt_id);
CREATE INDEX payment_attempts_due ON payment_attempts (status, updated_at_ms);
CREATE INDEX payment_attempts_untold ON payment_attempts (untold);

CREATE TABLE simulated_payments (
    attempt_id    BLOB    NOT NULL PRIMARY KEY,
    captured      INTEGER NOT NULL,
    settles_at_ms INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT simulated_payments_fits CHECK (length(attempt_id) = 16)
) STRICT, WITHOUT ROWID;
