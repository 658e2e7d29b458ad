-- Every table of the first version, as in ../mysql. Each index and constraint is explained in ../README.md.
-- A constraint named *_fits stands for the length or range that a column's type has in MySQL.

CREATE TABLE users (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    email         TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    token_version INTEGER NOT NULL DEFAULT 0,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    CONSTRAINT users_email UNIQUE (email),
    CONSTRAINT users_role CHECK (role IN ('user', 'admin')),
    CONSTRAINT users_token_version CHECK (token_version >= 0),
    CONSTRAINT users_text_fits CHECK (length(email) <= 254 AND length(name) <= 200 AND length(password_hash) <= 255)
) STRICT;

CREATE TABLE products (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    sku           TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    price_minor   INTEGER NOT NULL,
    currency      TEXT    NOT NULL,
    version       INTEGER NOT NULL DEFAULT 1,
    deleted_at_ms INTEGER NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    CONSTRAINT products_sku UNIQUE (sku),
    CONSTRAINT products_price CHECK (price_minor >= 0),
    CONSTRAINT products_text_fits CHECK (
        length(sku) <= 64 AND length(name) <= 200 AND octet_length(description) <= 65535 AND length(currency) <= 3
    )
) STRICT;

CREATE TABLE inventory (
    product_id    INTEGER NOT NULL PRIMARY KEY,
    available     INTEGER NOT NULL,
    reserved      INTEGER NOT NULL DEFAULT 0,
    sold          INTEGER NOT NULL DEFAULT 0,
    updated_at_ms INTEGER NOT NULL,
    CONSTRAINT inventory_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT inventory_available CHECK (available >= 0),
    CONSTRAINT inventory_reserved CHECK (reserved >= 0),
    CONSTRAINT inventory_sold CHECK (sold >= 0),
    CONSTRAINT inventory_fits CHECK (max(available, reserved, sold) <= 2147483647)
) STRICT;

CREATE TABLE spike_events (
    id             INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    product_id     INTEGER NOT NULL,
    name           TEXT    NOT NULL,
    total          INTEGER NOT NULL,
    reserved       INTEGER NOT NULL DEFAULT 0,
    price_minor    INTEGER NOT NULL,
    currency       TEXT    NOT NULL,
    per_user_limit INTEGER NOT NULL,
    pay_timeout_s  INTEGER NOT NULL,
    starts_at_ms   INTEGER NOT NULL,
    ends_at_ms     INTEGER NOT NULL,
    state          INTEGER NOT NULL,
    epoch          INTEGER NOT NULL DEFAULT 0,
    version        INTEGER NOT NULL DEFAULT 1,
    created_at_ms  INTEGER NOT NULL,
    updated_at_ms  INTEGER NOT NULL,
    CONSTRAINT spike_events_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT spike_events_total CHECK (total > 0),
    CONSTRAINT spike_events_reserved CHECK (reserved >= 0 AND reserved <= total),
    CONSTRAINT spike_events_price CHECK (price_minor >= 0),
    CONSTRAINT spike_events_limits CHECK (per_user_limit > 0 AND pay_timeout_s > 0),
    CONSTRAINT spike_events_window CHECK (starts_at_ms >= 0 AND ends_at_ms > starts_at_ms),
    CONSTRAINT spike_events_state_known CHECK (state BETWEEN 1 AND 4),
    CONSTRAINT spike_events_epoch CHECK (epoch >= 0),
    CONSTRAINT spike_events_fits CHECK (
        length(name) <= 200 AND length(currency) <= 3 AND max(total, per_user_limit, pay_timeout_s) <= 2147483647
    )
) STRICT;

CREATE INDEX spike_events_state ON spike_events (state, updated_at_ms);

CREATE TABLE spike_orders (
    order_id       BLOB    NOT NULL PRIMARY KEY,
    event_id       INTEGER NOT NULL,
    user_id        INTEGER NOT NULL,
    quantity       INTEGER NOT NULL,
    price_minor    INTEGER NOT NULL,
    amount_minor   INTEGER NOT NULL,
    currency       TEXT    NOT NULL,
    status         INTEGER NOT NULL,
    idem_key       TEXT    NULL,
    epoch          INTEGER NOT NULL,
    accepted_at_ms INTEGER NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    expires_at_ms  INTEGER NOT NULL,
    updated_at_ms  INTEGER NOT NULL,
    live_user      INTEGER GENERATED ALWAYS AS (CASE WHEN status IN (1, 2) THEN user_id ELSE NULL END) VIRTUAL,
    CONSTRAINT spike_orders_quantity CHECK (quantity > 0),
    CONSTRAINT spike_orders_amounts CHECK (price_minor >= 0 AND amount_minor >= 0),
    CONSTRAINT spike_orders_status CHECK (status BETWEEN 1 AND 5),
    CONSTRAINT spike_orders_times CHECK (accepted_at_ms >= 0 AND epoch >= 0),
    CONSTRAINT spike_orders_fits CHECK (length(order_id) = 16 AND quantity <= 2147483647 AND length(idem_key) <= 64)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX spike_orders_live ON spike_orders (event_id, live_user);
CREATE INDEX spike_orders_due ON spike_orders (status, expires_at_ms);
CREATE INDEX spike_orders_user ON spike_orders (user_id, order_id);

CREATE TABLE restock_outbox (
    order_id      BLOB    NOT NULL PRIMARY KEY,
    event_id      INTEGER NOT NULL,
    user_id       INTEGER NOT NULL,
    quantity      INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    done_at_ms    INTEGER NULL,
    done_epoch    INTEGER NULL,
    CONSTRAINT restock_outbox_quantity CHECK (quantity > 0),
    CONSTRAINT restock_outbox_fits CHECK (length(order_id) = 16 AND quantity <= 2147483647)
) STRICT, WITHOUT ROWID;

CREATE INDEX restock_outbox_open ON restock_outbox (done_at_ms, event_id);

CREATE TABLE dead_letters (
    id            INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    source        TEXT    NOT NULL,
    message_id    TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    payload       BLOB    NOT NULL,
    event_id      INTEGER NULL,
    order_id      BLOB    NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT dead_letters_fits CHECK (
        length(source) <= 64 AND length(message_id) <= 128 AND length(reason) <= 500 AND length(payload) <= 16777215
    )
) STRICT;

CREATE INDEX dead_letters_event ON dead_letters (event_id, id);

CREATE TABLE orders (
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

CREATE INDEX orders_user ON orders (user_id, id);
CREATE INDEX orders_due ON orders (status, expires_at_ms);

CREATE TABLE order_items (
    order_id    BLOB    NOT NULL,
    product_id  INTEGER NOT NULL,
    quantity    INTEGER NOT NULL,
    price_minor INTEGER NOT NULL,
    PRIMARY KEY (order_id, product_id),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_items_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT order_items_quantity CHECK (quantity > 0),
    CONSTRAINT order_items_price CHECK (price_minor >= 0),
    CONSTRAINT order_items_fits CHECK (quantity <= 2147483647)
) STRICT, WITHOUT ROWID;

CREATE INDEX order_items_product ON order_items (product_id);
