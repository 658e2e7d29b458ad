#!/usr/bin/env bash
# Run once by the image of MySQL, when its data is new: makes the users of deploy/mariadb/users.sh.
set -euo pipefail
DATABASE="$MYSQL_DATABASE" APPLICATION_USER=spike APPLICATION_PASSWORD="$MYSQL_APPLICATION_PASSWORD" \
    MIGRATION_USER=spike_migration MIGRATION_PASSWORD="$MYSQL_MIGRATION_PASSWORD" \
    bash /etc/mysql/users.sh | MYSQL_PWD="$MYSQL_ROOT_PASSWORD" mysql --user=root
