DROP TABLE audit_log;
DROP INDEX users_by_role;
