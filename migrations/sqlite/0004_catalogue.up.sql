-- The ledger of inventory, and what the catalogue is listed by, as in ../mysql. Explained in ../README.md.

ALTER TABLE inventory ADD COLUMN version INTEGER NOT NULL DEFAULT 1;

CREATE TABLE inventory_movements (
    id              INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    product_id      INTEGER NOT NULL,
    kind            INTEGER NOT NULL,
    delta_available INTEGER NOT NULL,
    delta_reserved  INTEGER NOT NULL,
    delta_sold      INTEGER NOT NULL,
    actor_id        INTEGER NULL,
    order_id        BLOB    NULL,
    event_id        INTEGER NULL,
    reason          TEXT    NOT NULL,
    at_ms           INTEGER NOT NULL,
    CONSTRAINT inventory_movements_of FOREIGN KEY (product_id) REFERENCES products (id),
    CONSTRAINT inventory_movements_kind CHECK (kind BETWEEN 1 AND 5),
    CONSTRAINT inventory_movements_fits CHECK (
        length(reason) <= 200 AND length(order_id) = 16
        AND max(abs(delta_available), abs(delta_reserved), abs(delta_sold)) <= 2147483647
    )
) STRICT;

CREATE INDEX inventory_movements_product ON inventory_movements (product_id, id);

-- What was there before the ledger is its first line.
INSERT INTO inventory_movements
    (product_id, kind, delta_available, delta_reserved, delta_sold, reason, at_ms)
SELECT product_id, 1, available, reserved, sold, 'stock before the ledger', updated_at_ms FROM inventory;

-- Text in the one form it is searched and sorted in, the same on every database: the store writes lower case, by Unicode.
-- SQLite's own lower() knows ASCII only; a product that was there before gets its key right at its next change.
ALTER TABLE products ADD COLUMN name_key TEXT NOT NULL DEFAULT '' CONSTRAINT products_name_key_fits CHECK (length(name_key) <= 200);
ALTER TABLE products ADD COLUMN sku_key TEXT NOT NULL DEFAULT '' CONSTRAINT products_sku_key_fits CHECK (length(sku_key) <= 64);

UPDATE products SET name_key = lower(name), sku_key = lower(sku);

CREATE INDEX products_by_id ON products (deleted_at_ms, id, price_minor, currency);
CREATE INDEX products_by_name ON products (deleted_at_ms, name_key, id, price_minor, currency);
CREATE INDEX products_by_price ON products (deleted_at_ms, price_minor, id, currency);
CREATE INDEX products_by_created_at ON products (deleted_at_ms, created_at_ms, id, price_minor, currency);
CREATE INDEX products_by_sku ON products (deleted_at_ms, sku_key, id, price_minor, currency);

CREATE INDEX spike_events_of_product ON spike_events (product_id, state);
