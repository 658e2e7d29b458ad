-- Every table of the first version. Each index and constraint is explained in ../README.md.
-- MySQL 8 and MariaDB 10.11 read this file alike: nothing here may be special to one of them.

CREATE TABLE users (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email         VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name          VARCHAR(200) NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    role          VARCHAR(16)  CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    disabled      TINYINT      NOT NULL DEFAULT 0,
    token_version INT          NOT NULL DEFAULT 0,
    created_at_ms BIGINT       NOT NULL,
    updated_at_ms BIGINT       NOT NULL,
    UNIQUE KEY users_email (email),
    CONSTRAINT users_role CHECK (role IN ('user', 'admin')),
    CONSTRAINT users_token_version CHECK (token_version >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE products (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sku           VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    name          VARCHAR(200) NOT NULL,
    description   TEXT         NOT NULL,
    price_minor   BIGINT       NOT NULL,
    currency      CHAR(3)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    version       INT          NOT NULL DEFAULT 1,
    deleted_at_ms BIGINT       NULL,
    created_at_ms BIGINT       NOT NULL,
    updated_at_ms BIGINT       NOT NULL,
    UNIQUE KEY products_sku (sku),
    CONSTRAINT products_price CHECK (price_minor >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE inventory (
    product_id    BIGINT NOT NULL PRIMARY KEY,
    available     INT    NOT NULL,
    reserved      INT    NOT NULL DEFAULT 0,
    sold          INT    NOT NULL DEFAULT 0,
    updated_at_ms BIGINT NOT NULL,
    CONSTRAINT inventory_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT inventory_available CHECK (available >= 0),
    CONSTRAINT inventory_reserved CHECK (reserved >= 0),
    CONSTRAINT inventory_sold CHECK (sold >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE spike_events (
    id             BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id     BIGINT       NOT NULL,
    name           VARCHAR(200) NOT NULL,
    total          INT          NOT NULL,
    reserved       INT          NOT NULL DEFAULT 0,
    price_minor    BIGINT       NOT NULL,
    currency       CHAR(3)      CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    per_user_limit INT          NOT NULL,
    pay_timeout_s  INT          NOT NULL,
    starts_at_ms   BIGINT       NOT NULL,
    ends_at_ms     BIGINT       NOT NULL,
    state          TINYINT      NOT NULL,
    epoch          BIGINT       NOT NULL DEFAULT 0,
    version        INT          NOT NULL DEFAULT 1,
    created_at_ms  BIGINT       NOT NULL,
    updated_at_ms  BIGINT       NOT NULL,
    KEY spike_events_state (state, updated_at_ms),
    CONSTRAINT spike_events_product FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT spike_events_total CHECK (total > 0),
    CONSTRAINT spike_events_reserved CHECK (reserved >= 0 AND reserved <= total),
    CONSTRAINT spike_events_price CHECK (price_minor >= 0),
    CONSTRAINT spike_events_limits CHECK (per_user_limit > 0 AND pay_timeout_s > 0),
    CONSTRAINT spike_events_window CHECK (starts_at_ms >= 0 AND ends_at_ms > starts_at_ms),
    CONSTRAINT spike_events_state_known CHECK (state BETWEEN 1 AND 4),
    CONSTRAINT spike_events_epoch CHECK (epoch >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE spike_orders (
    order_id       BINARY(16)  NOT NULL PRIMARY KEY,
    event_id       BIGINT      NOT NULL,
    user_id        BIGINT      NOT NULL,
    quantity       INT         NOT NULL,
    price_minor    BIGINT      NOT NULL,
    amount_minor   BIGINT      NOT NULL,
    currency       CHAR(3)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    status         TINYINT     NOT NULL,
    idem_key       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    epoch          BIGINT      NOT NULL,
    accepted_at_ms BIGINT      NOT NULL,
    created_at_ms  BIGINT      NOT NULL,
    expires_at_ms  BIGINT      NOT NULL,
    updated_at_ms  BIGINT      NOT NULL,
    live_user      BIGINT      GENERATED ALWAYS AS (CASE WHEN status IN (1, 2) THEN user_id ELSE NULL END) STORED,
    UNIQUE KEY spike_orders_live (event_id, live_user),
    KEY spike_orders_due (status, expires_at_ms),
    KEY spike_orders_user (user_id, order_id),
    CONSTRAINT spike_orders_quantity CHECK (quantity > 0),
    CONSTRAINT spike_orders_amounts CHECK (price_minor >= 0 AND amount_minor >= 0),
    CONSTRAINT spike_orders_status CHECK (status BETWEEN 1 AND 5),
    CONSTRAINT spike_orders_times CHECK (accepted_at_ms >= 0 AND epoch >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE restock_outbox (
    order_id      BINARY(16) NOT NULL PRIMARY KEY,
    event_id      BIGINT     NOT NULL,
    user_id       BIGINT     NOT NULL,
    quantity      INT        NOT NULL,
    created_at_ms BIGINT     NOT NULL,
    done_at_ms    BIGINT     NULL,
    done_epoch    BIGINT     NULL,
    KEY restock_outbox_open (done_at_ms, event_id),
    CONSTRAINT restock_outbox_quantity CHECK (quantity > 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE dead_letters (
    id            BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    source        VARCHAR(64)  NOT NULL,
    message_id    VARCHAR(128) NOT NULL,
    reason        VARCHAR(500) NOT NULL,
    payload       MEDIUMBLOB   NOT NULL,
    event_id      BIGINT       NULL,
    order_id      BINARY(16)   NULL,
    created_at_ms BIGINT       NOT NULL,
    KEY dead_letters_event (event_id, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE orders (
    id            BINARY(16)  NOT NULL PRIMARY KEY,
    user_id       BIGINT      NOT NULL,
    status        TINYINT     NOT NULL,
    amount_minor  BIGINT      NOT NULL,
    currency      CHAR(3)     CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idem_key      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at_ms BIGINT      NOT NULL,
    expires_at_ms BIGINT      NOT NULL,
    updated_at_ms BIGINT      NOT NULL,
    UNIQUE KEY orders_idem (user_id, idem_key),
    KEY orders_user (user_id, id),
    KEY orders_due (status, expires_at_ms),
    CONSTRAINT orders_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT orders_amount CHECK (amount_minor >= 0),
    CONSTRAINT orders_status CHECK (status BETWEEN 1 AND 5)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE order_items (
    order_id    BINARY(16) NOT NULL,
    product_id  BIGINT     NOT NULL,
    quantity    INT        NOT NULL,
    price_minor BIGINT     NOT NULL,
    PRIMARY KEY (order_id, product_id),
    KEY order_items_product (product_id),
    CONSTRAINT order_items_order FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT order_items_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT order_items_quantity CHECK (quantity > 0),
    CONSTRAINT order_items_price CHECK (price_minor >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
