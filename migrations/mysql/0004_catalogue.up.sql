-- The ledger of inventory, and what the catalogue is listed by. Explained in ../README.md.

ALTER TABLE inventory
    ADD COLUMN version INT NOT NULL DEFAULT 1;

CREATE TABLE inventory_movements (
    id              BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id      BIGINT       NOT NULL,
    kind            TINYINT      NOT NULL,
    delta_available INT          NOT NULL,
    delta_reserved  INT          NOT NULL,
    delta_sold      INT          NOT NULL,
    actor_id        BIGINT       NULL,
    order_id        BINARY(16)   NULL,
    event_id        BIGINT       NULL,
    reason          VARCHAR(200) NOT NULL,
    at_ms           BIGINT       NOT NULL,
    KEY inventory_movements_product (product_id, id),
    CONSTRAINT inventory_movements_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT inventory_movements_kind CHECK (kind BETWEEN 1 AND 5)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What was there before the ledger is its first line.
INSERT INTO inventory_movements
    (product_id, kind, delta_available, delta_reserved, delta_sold, reason, at_ms)
SELECT product_id, 1, available, reserved, sold, 'stock before the ledger', updated_at_ms FROM inventory;

-- Text in the one form it is searched and sorted in, the same on every database: the store writes lower case, by Unicode.
ALTER TABLE products
    ADD COLUMN name_key VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sku_key VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '';

UPDATE products SET name_key = LEFT(LOWER(name), 200), sku_key = LEFT(LOWER(sku), 64);

ALTER TABLE products
    ALTER COLUMN name_key DROP DEFAULT,
    ALTER COLUMN sku_key DROP DEFAULT,
    ADD KEY products_by_id (deleted_at_ms, id, price_minor, currency),
    ADD KEY products_by_name (deleted_at_ms, name_key, id, price_minor, currency),
    ADD KEY products_by_price (deleted_at_ms, price_minor, id, currency),
    ADD KEY products_by_created_at (deleted_at_ms, created_at_ms, id, price_minor, currency),
    ADD KEY products_by_sku (deleted_at_ms, sku_key, id, price_minor, currency);

ALTER TABLE spike_events
    ADD KEY spike_events_of_product (product_id, state);
