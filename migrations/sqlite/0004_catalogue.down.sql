DROP TABLE inventory_movements;
ALTER TABLE inventory DROP COLUMN version;
