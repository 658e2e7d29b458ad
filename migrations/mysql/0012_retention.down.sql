ALTER TABLE spike_events
    DROP KEY spike_events_archived,
    DROP COLUMN orders_deleted_at_ms;
