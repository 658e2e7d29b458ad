-- When the orders of a past event were deleted, as in ../mysql. Explained in ../README.md.

ALTER TABLE spike_events ADD COLUMN orders_deleted_at_ms INTEGER NULL;
CREATE INDEX spike_events_archived ON spike_events (orders_deleted_at_ms, archived_at_ms);
