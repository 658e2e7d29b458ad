-- Dead letters that are replayed and dropped, and parked once however often they come. Explained in ../README.md.

ALTER TABLE dead_letters ADD COLUMN identity BLOB NULL CHECK (length(identity) = 32);
ALTER TABLE dead_letters ADD COLUMN size_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN state INTEGER NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 3);
ALTER TABLE dead_letters ADD COLUMN parks INTEGER NOT NULL DEFAULT 1 CHECK (parks > 0);
ALTER TABLE dead_letters ADD COLUMN parked_at_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE dead_letters ADD COLUMN changed_at_ms INTEGER NULL;
ALTER TABLE dead_letters ADD COLUMN changed_by TEXT NULL CHECK (length(changed_by) <= 128);
ALTER TABLE dead_letters ADD COLUMN changed_why TEXT NULL CHECK (length(changed_why) <= 500);

UPDATE dead_letters SET size_bytes = LENGTH(payload), parked_at_ms = created_at_ms;

CREATE UNIQUE INDEX dead_letters_identity ON dead_letters (identity);
CREATE INDEX dead_letters_state ON dead_letters (state, id);
