-- Where an event's units go when it ends, as in ../mysql. Explained in ../README.md.
-- SQLite checks what stands in a table when a column with a condition is added: what was paid before there was a
-- count of it is counted first, so that every condition holds from the start.

ALTER TABLE spike_events ADD COLUMN paid INTEGER NOT NULL DEFAULT 0
    CONSTRAINT spike_events_paid CHECK (paid >= 0 AND paid <= reserved);

UPDATE spike_events SET paid = (
    SELECT COALESCE(SUM(quantity), 0) FROM spike_orders WHERE event_id = spike_events.id AND status = 2
);

ALTER TABLE spike_events ADD COLUMN sold INTEGER NOT NULL DEFAULT 0
    CONSTRAINT spike_events_sold CHECK (sold >= 0 AND sold <= paid);
ALTER TABLE spike_events ADD COLUMN returned INTEGER NOT NULL DEFAULT 0
    CONSTRAINT spike_events_returned CHECK (returned >= 0 AND reserved + returned <= total);
