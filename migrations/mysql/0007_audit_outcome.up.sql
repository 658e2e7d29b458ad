-- How an action on record ended: 0 not known (yet), 1 done, 2 refused, 3 failed. Rows from before say it in their detail only.

ALTER TABLE audit_log
    ADD COLUMN outcome TINYINT NOT NULL DEFAULT 1;

ALTER TABLE audit_log
    ADD CONSTRAINT audit_log_outcome CHECK (outcome BETWEEN 0 AND 3);
