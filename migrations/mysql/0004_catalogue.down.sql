-- The foreign key to products needs an index by product; it had one of its own name before.
ALTER TABLE spike_events
    DROP KEY spike_events_of_product,
    ADD KEY spike_events_product (product_id);

ALTER TABLE products
    DROP KEY products_by_id,
    DROP KEY products_by_name,
    DROP KEY products_by_price,
    DROP KEY products_by_created_at,
    DROP KEY products_by_sku,
    DROP COLUMN name_key,
    DROP COLUMN sku_key;

DROP TABLE inventory_movements;
ALTER TABLE inventory DROP COLUMN version;
