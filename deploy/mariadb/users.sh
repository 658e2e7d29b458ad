#!/usr/bin/env bash
# Prints SQL that makes the two users of Spike, for MySQL and MariaDB: the application reads and writes rows and changes no table;
# the migrations change tables and are used by `spike migrate` alone. Give it to the client as an administrator:
#   DATABASE=spike APPLICATION_USER=spike APPLICATION_PASSWORD=... MIGRATION_USER=spike_migration MIGRATION_PASSWORD=... \
#     bash deploy/mariadb/users.sh | mariadb
# A test runs a whole system with exactly these users (e2e/least_privilege.rs).
set -euo pipefail
: "${DATABASE:?}" "${APPLICATION_USER:?}" "${APPLICATION_PASSWORD:?}" "${MIGRATION_USER:?}" "${MIGRATION_PASSWORD:?}"

# Text between single quotes, whatever it holds. With NO_BACKSLASH_ESCAPES on, a password with a backslash would be another.
quoted() {
    local text="${1//\\/\\\\}"
    printf "'%s'" "${text//\'/\'\'}"
}

for user in APPLICATION MIGRATION; do
    name="${user}_USER" password="${user}_PASSWORD"
    echo "CREATE USER IF NOT EXISTS $(quoted "${!name}")@'%' IDENTIFIED BY $(quoted "${!password}");"
    echo "ALTER USER $(quoted "${!name}")@'%' IDENTIFIED BY $(quoted "${!password}");"
done
echo "GRANT SELECT, INSERT, UPDATE, DELETE ON \`$DATABASE\`.* TO $(quoted "$APPLICATION_USER")@'%';"
echo "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES ON \`$DATABASE\`.* TO $(quoted "$MIGRATION_USER")@'%';"
