-- Rate limits that an administrator has set, as in ../mysql. Explained in ../README.md.

CREATE TABLE rate_limits (
    id            INTEGER NOT NULL PRIMARY KEY,
    version       INTEGER NOT NULL,
    global_per_s  INTEGER NULL,
    global_burst  INTEGER NULL,
    event_per_s   INTEGER NULL,
    event_burst   INTEGER NULL,
    user_per_s    INTEGER NULL,
    user_burst    INTEGER NULL,
    address_per_s INTEGER NULL,
    address_burst INTEGER NULL,
    debounce_ms   INTEGER NULL,
    updated_at_ms INTEGER NOT NULL,
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
) STRICT;

INSERT INTO rate_limits (id, version, updated_at_ms) VALUES (1, 1, CAST(round(unixepoch('subsec') * 1000) AS INTEGER));
