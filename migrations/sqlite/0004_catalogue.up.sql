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
