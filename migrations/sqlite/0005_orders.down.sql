DROP TABLE simulated_payments;
DROP TABLE payment_attempts;
DROP TABLE idempotency_keys;

CREATE TABLE former_orders (
    id            BLOB    NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    status        INTEGER NOT NULL,
    amount_minor  INTEGER NOT NULL,
    currency      TEXT    NOT NULL,
    idem_key      TEXT    NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    CONSTRAINT orders_idem UNIQUE (user_id, idem_key),
    CONSTRAINT orders_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT orders_amount CHECK (amount_minor >= 0),
    CONSTRAINT orders_status CHECK (status BETWEEN 1 AND 5),
    CONSTRAINT orders_fits CHECK (length(id) = 16 AND length(currency) <= 3 AND length(idem_key) <= 64)
) STRICT, WITHOUT ROWID;

CREATE TABLE former_orders_items (
    order_id    BLOB    NOT NULL,
    product_id  INTEGER NOT NULL,
    quantity    INTEGER NOT NULL,
    price_minor INTEGER NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES former_orders (id),
    CONSTRAINT order_items_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT order_items_quantity CHECK (quantity > 0),
    CONSTRAINT order_items_price CHECK (price_minor >= 0),
    CONSTRAINT order_items_fits CHECK (quantity <= 2147483647)
) STRICT, WITHOUT ROWID;

INSERT INTO former_orders (id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms)
SELECT id, user_id, status, amount_minor, currency, created_at_ms, expires_at_ms, updated_at_ms FROM orders;
INSERT INTO former_orders_items SELECT order_id, product_id, quantity, price_minor FROM order_items;
DROP TABLE order_items;
DROP TABLE orders;
ALTER TABLE former_orders RENAME TO orders;
ALTER TABLE former_orders_items RENAME TO order_items;
CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_due ON orders (status, expires_at_ms);
CREATE INDEX order_items_product ON order_items (product_id);
