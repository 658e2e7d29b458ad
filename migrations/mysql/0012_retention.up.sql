-- When the orders of a past event were deleted. Explained in ../README.md.

ALTER TABLE spike_events
    ADD COLUMN orders_deleted_at_ms BIGINT NULL,
    ADD KEY spike_events_archived (orders_deleted_at_ms, archived_at_ms);
