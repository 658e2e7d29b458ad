ALTER TABLE audit_log
    DROP CONSTRAINT audit_log_outcome;
ALTER TABLE audit_log
    DROP COLUMN outcome;
