-- Dead letters that are replayed and dropped, and parked once however often they come. Explained in ../README.md.

ALTER TABLE dead_letters
    ADD COLUMN identity      BINARY(32)   NULL,
    ADD COLUMN size_bytes    BIGINT       NOT NULL DEFAULT 0,
    ADD COLUMN state         TINYINT      NOT NULL DEFAULT 1,
    ADD COLUMN parks         INT          NOT NULL DEFAULT 1,
    ADD COLUMN parked_at_ms  BIGINT       NOT NULL DEFAULT 0,
    ADD COLUMN changed_at_ms BIGINT       NULL,
    ADD COLUMN changed_by    VARCHAR(128) NULL,
    ADD COLUMN changed_why   VARCHAR(500) NULL;

UPDATE dead_letters SET size_bytes = LENGTH(payload), parked_at_ms = created_at_ms;

ALTER TABLE dead_letters
    ADD UNIQUE KEY dead_letters_identity (identity),
    ADD KEY dead_letters_state (state, id),
    ADD CONSTRAINT dead_letters_states CHECK (state BETWEEN 1 AND 3),
    ADD CONSTRAINT dead_letters_parks CHECK (parks > 0);
