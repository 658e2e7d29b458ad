#!/usr/bin/env bash
# Installs the servers the native stack runs (Debian and Ubuntu), where they are missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

missing_packages() {
    command -v redis-server >/dev/null || echo redis-server
    command -v mariadbd >/dev/null && command -v mariadb >/dev/null && command -v mariadb-install-db >/dev/null \
        || echo mariadb-server
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && command -v epmd >/dev/null || echo rabbitmq-server
}

cannot() {
    echo "missing: ${missing[*]}, and $1." >&2
    echo "Install them yourself, or run the servers in containers: 'docker compose up -d --wait redis rabbitmq mysql'" >&2
    echo "and take SPIKE_REDIS_URL, SPIKE_AMQP_URL and SPIKE_DATABASE_URL from .env.example." >&2
    exit 1
}

install_missing
