-- When an event's ledger was put away, as in ../mysql. Explained in ../README.md.

ALTER TABLE spike_events ADD COLUMN archived_at_ms INTEGER NULL;
