ALTER TABLE spike_events DROP COLUMN archived_at_ms;
