-- Rate limits that an administrator has set. Explained in ../README.md.

CREATE TABLE rate_limits (
    id            TINYINT NOT NULL PRIMARY KEY,
    version       INT     NOT NULL,
    global_per_s  INT     NULL,
    global_burst  INT     NULL,
    event_per_s   INT     NULL,
    event_burst   INT     NULL,
    user_per_s    INT     NULL,
    user_burst    INT     NULL,
    address_per_s INT     NULL,
    address_burst INT     NULL,
    debounce_ms   INT     NULL,
    updated_at_ms BIGINT  NOT NULL,
    CONSTRAINT rate_limits_one CHECK (id = 1),
    CONSTRAINT rate_limits_version CHECK (version > 0),
    CONSTRAINT rate_limits_whole CHECK (
        (global_per_s IS NULL) = (global_burst IS NULL)
        AND (global_per_s IS NULL) = (event_per_s IS NULL)
        AND (global_per_s IS NULL) = (event_burst IS NULL)
        AND (global_per_s IS NULL) = (user_per_s IS NULL)
        AND (global_per_s IS NULL) = (user_burst IS NULL)
        AND (global_per_s IS NULL) = (address_per_s IS NULL)
        AND (global_per_s IS NULL) = (address_burst IS NULL)
        AND (global_per_s IS NULL) = (debounce_ms IS NULL)
    ),
    CONSTRAINT rate_limits_ranges CHECK (
        global_per_s BETWEEN 0 AND 100000000 AND global_burst BETWEEN 1 AND 100000000
        AND event_per_s BETWEEN 0 AND 100000000 AND event_burst BETWEEN 1 AND 100000000
        AND user_per_s BETWEEN 0 AND 100000000 AND user_burst BETWEEN 1 AND 100000000
        AND address_per_s BETWEEN 0 AND 100000000 AND address_burst BETWEEN 1 AND 100000000
        AND debounce_ms BETWEEN 0 AND 60000
    )
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE=utf8mb4_unicode_ci;

INSERT INTO rate_limits (id, version, updated_at_ms) VALUES (1, 1, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED));
