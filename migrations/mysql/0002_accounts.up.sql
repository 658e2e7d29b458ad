-- Sessions, their refresh tokens, and what is revoked. Each index and constraint is explained in ../README.md.

CREATE TABLE sessions (
    id            BINARY(16)  NOT NULL PRIMARY KEY,
    user_id       BIGINT      NOT NULL,
    generation    INT         NOT NULL,
    address       VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NULL,
    created_at_ms BIGINT      NOT NULL,
    used_at_ms    BIGINT      NOT NULL,
    expires_at_ms BIGINT      NOT NULL,
    ends_at_ms    BIGINT      NOT NULL,
    revoked_at_ms BIGINT      NULL,
    revoked_why   TINYINT     NULL,
    KEY sessions_user (user_id, revoked_at_ms),
    KEY sessions_expired (expires_at_ms),
    CONSTRAINT sessions_owner FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT sessions_generation CHECK (generation > 0),
    CONSTRAINT sessions_times CHECK (expires_at_ms <= ends_at_ms),
    CONSTRAINT sessions_revoked CHECK ((revoked_at_ms IS NULL) = (revoked_why IS NULL)),
    CONSTRAINT sessions_revoked_why CHECK (revoked_why BETWEEN 1 AND 6)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE refresh_tokens (
    hash          BINARY(32) NOT NULL PRIMARY KEY,
    session_id    BINARY(16) NOT NULL,
    generation    INT        NOT NULL,
    spent_at_ms   BIGINT     NULL,
    successor     BINARY(32) NULL,
    expires_at_ms BIGINT     NOT NULL,
    UNIQUE KEY refresh_tokens_session (session_id, generation),
    KEY refresh_tokens_expired (expires_at_ms),
    CONSTRAINT refresh_tokens_of FOREIGN KEY (session_id) REFERENCES sessions (id),
    CONSTRAINT refresh_tokens_spent CHECK ((spent_at_ms IS NULL) = (successor IS NULL))
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE revocations (
    session_id    BINARY(16) NOT NULL PRIMARY KEY,
    min_ver       BIGINT     NOT NULL,
    until_ms      BIGINT     NOT NULL,
    created_at_ms BIGINT     NOT NULL,
    KEY revocations_created (created_at_ms),
    KEY revocations_over (until_ms),
    CONSTRAINT revocations_min_ver CHECK (min_ver BETWEEN 1 AND 4294967295)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
