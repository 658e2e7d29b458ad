-- Who did what, when. Each index is explained in ../README.md.

CREATE INDEX users_by_role ON users (role, disabled);

CREATE TABLE audit_log (
    id          BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at_ms       BIGINT       NOT NULL,
    actor       BIGINT       NULL,
    action      VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    target_kind VARCHAR(32)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    target_id   VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    detail      TEXT         NOT NULL,
    request_id  VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    address     VARCHAR(45)  CHARACTER SET ascii COLLATE ascii_bin NULL,
    KEY audit_log_actor (actor, id),
    KEY audit_log_action (action, id),
    KEY audit_log_target (target_kind, target_id, id),
    CONSTRAINT audit_log_at CHECK (at_ms >= 0)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
