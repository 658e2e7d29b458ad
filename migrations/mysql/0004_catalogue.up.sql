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
