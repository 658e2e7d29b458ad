-- Sessions, their refresh tokens, and what is revoked, as in ../mysql. Each index and constraint is explained in ../README.md.

CREATE TABLE sessions (
    id            BLOB    NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    generation    INTEGER NOT NULL,
    address       TEXT    NULL,
    created_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    ends_at_ms    INTEGER NOT NULL,
    revoked_at_ms INTEGER NULL,
    revoked_why   INTEGER NULL,
    CONSTRAINT sessions_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT sessions_generation CHECK (generation > 0),
    CONSTRAINT sessions_times CHECK (expires_at_ms <= ends_at_ms),
    CONSTRAINT sessions_revoked CHECK ((revoked_at_ms IS NULL) = (revoked_why IS NULL)),
    CONSTRAINT sessions_revoked_why CHECK (revoked_why BETWEEN 1 AND 6),
    CONSTRAINT sessions_fits CHECK (length(id) = 16 AND generation <= 2147483647 AND length(address) <= 45)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_user ON sessions (user_id, revoked_at_ms);
CREATE INDEX sessions_expired ON sessions (expires_at_ms);

CREATE TABLE refresh_tokens (
    hash          BLOB    NOT NULL PRIMARY KEY,
    session_id    BLOB    NOT NULL,
    generation    INTEGER NOT NULL,
    spent_at_ms   INTEGER NULL,
    successor     BLOB    NULL,
    expires_at_ms INTEGER NOT NULL,
    CONSTRAINT refresh_tokens_of FOREIGN KEY (session_id) REFERENCES sessions (id),
    CONSTRAINT refresh_tokens_spent CHECK ((spent_at_ms IS NULL) = (successor IS NULL)),
    CONSTRAINT refresh_tokens_fits CHECK (
        length(hash) = 32 AND length(session_id) = 16 AND length(successor) = 32 AND generation <= 2147483647
    )
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX refresh_tokens_session ON refresh_tokens (session_id, generation);
CREATE INDEX refresh_tokens_expired ON refresh_tokens (expires_at_ms);

CREATE TABLE revocations (
    session_id    BLOB    NOT NULL PRIMARY KEY,
    min_ver       INTEGER NOT NULL,
    until_ms      INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT revocations_min_ver CHECK (min_ver BETWEEN 1 AND 4294967295),
    CONSTRAINT revocations_fits CHECK (length(session_id) = 16)
) STRICT, WITHOUT ROWID;

CREATE INDEX revocations_created ON revocations (created_at_ms);
CREATE INDEX revocations_over ON revocations (until_ms);
