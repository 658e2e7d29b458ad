-- How an action on record ended, as in ../mysql.

ALTER TABLE audit_log ADD COLUMN outcome INTEGER NOT NULL DEFAULT 1
    CONSTRAINT audit_log_outcome CHECK (outcome BETWEEN 0 AND 3);
