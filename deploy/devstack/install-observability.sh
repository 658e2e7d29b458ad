#!/usr/bin/env bash
# Installs Prometheus with promtool (Debian and Ubuntu), where it is missing: tests check the exposition, the rules and the
# dashboards with it. Its service is kept from starting; a test runs one of its own.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"

missing_packages() {
    command -v prometheus >/dev/null && command -v promtool >/dev/null || echo prometheus
}

cannot() {
    echo "missing: ${missing[*]}, and $1." >&2
    echo "Install it yourself; only the tests of deploy/observability need it." >&2
    exit 1
}

install_missing
