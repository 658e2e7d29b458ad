DROP TABLE simulated_payments;
DROP TABLE payment_attempts;
DROP TABLE idempotency_keys;
ALTER TABLE orders
    ADD COLUMN idem_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL AFTER currency,
    ADD UNIQUE KEY orders_idem (user_id, idem_key);
