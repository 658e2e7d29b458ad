ALTER TABLE spike_events DROP COLUMN returned;
ALTER TABLE spike_events DROP COLUMN sold;
ALTER TABLE spike_events DROP COLUMN paid;
