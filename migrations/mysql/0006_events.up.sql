-- Where an event's units go when it ends. Explained in ../README.md.

ALTER TABLE spike_events
    ADD COLUMN paid     INT NOT NULL DEFAULT 0,
    ADD COLUMN sold     INT NOT NULL DEFAULT 0,
    ADD COLUMN returned INT NOT NULL DEFAULT 0;

-- What was paid before there was a count of it.
UPDATE spike_events SET paid = (
    SELECT COALESCE(SUM(quantity), 0) FROM spike_orders WHERE event_id = spike_events.id AND status = 2
);

ALTER TABLE spike_events
    ADD CONSTRAINT spike_events_paid CHECK (paid >= 0 AND paid <= reserved),
    ADD CONSTRAINT spike_events_sold CHECK (sold >= 0 AND sold <= paid),
    ADD CONSTRAINT spike_events_returned CHECK (returned >= 0 AND reserved + returned <= total);
