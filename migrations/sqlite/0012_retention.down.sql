DROP INDEX spike_events_archived;
ALTER TABLE spike_events DROP COLUMN orders_deleted_at_ms;
