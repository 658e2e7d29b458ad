-- Who did what, when, as in ../mysql. Each index is explained in ../README.md.

CREATE INDEX users_by_role ON users (role, disabled);

CREATE TABLE audit_log (
    id          INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at_ms       INTEGER NOT NULL,
    actor       INTEGER NULL,
    action      TEXT    NOT NULL,
    target_kind TEXT    NULL,
    target_id   TEXT    NULL,
    detail      TEXT    NOT NULL,
    request_id  TEXT    NULL,
    address     TEXT    NULL,
    CONSTRAINT audit_log_at CHECK (at_ms >= 0),
    CONSTRAINT audit_log_fits CHECK (
        length(action) <= 128 AND length(target_kind) <= 32 AND length(target_id) <= 64
        AND octet_length(detail) <= 65535 AND length(request_id) <= 64 AND length(address) <= 45
    )
) STRICT;

CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_action ON audit_log (action, id);
CREATE INDEX audit_log_target ON audit_log (target_kind, target_id, id);
