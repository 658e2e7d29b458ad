ALTER TABLE spike_events
    DROP CONSTRAINT spike_events_paid,
    DROP CONSTRAINT spike_events_sold,
    DROP CONSTRAINT spike_events_returned;
ALTER TABLE spike_events
    DROP COLUMN paid,
    DROP COLUMN sold,
    DROP COLUMN returned;
