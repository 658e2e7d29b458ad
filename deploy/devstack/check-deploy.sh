#!/usr/bin/env bash
# Checks the files of deploy without a cluster and without Docker: Compose's file for the default and for every profile, its variables
# and mounts; the overlays of Kubernetes against schemas and against the rules of check.py; the shell scripts' syntax.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

code=0
fault() {
    echo "$*" >&2
    code=1
}

compose() { docker-compose --env-file .env.example "$@" >/dev/null; }
compose config --quiet || fault "docker-compose.yml is not taken"
mapfile -t profiles < <(grep -o 'profiles: \[[^]]*\]' docker-compose.yml | sed 's/.*\[//; s/\]//; s/, */\n/g' | sort -u)
[ "${#profiles[@]}" -ge 3 ] || fault "no profiles in docker-compose.yml"
for profile in "${profiles[@]}"; do
    compose --profile "$profile" config --quiet || fault "profile $profile is not taken"
done

# Variables: `${NAME:-default}`, and those that are passed on, `NAME:` with nothing behind it.
used="$(grep -oE '\$\{[A-Z_]+(:-[^}]*)?\}' docker-compose.yml | sed -E 's/^\$\{([A-Z_]+)(:-(.*))?\}$/\1=\3/'
    grep -oE '^ +SPIKE_[A-Z_]+:$' docker-compose.yml | sed -E 's/^ +([A-Z_]+):$/\1=/')"
while IFS= read -r variable; do
    grep -qxF "#$variable" .env.example || fault ".env.example has no line '#$variable', which docker-compose.yml uses"
done < <(sort -u <<<"$used")
while IFS='=' read -r name _; do
    grep -q "^$name=" <<<"$used" || fault ".env.example has $name, which docker-compose.yml does not use"
done < <(sed -n '/^# Every other setting/q; s/^#\([A-Z_]*=.*\)$/\1/p' .env.example)
while IFS= read -r path; do
    [ -e "$path" ] || fault "docker-compose.yml mounts $path, which is not there"
done < <(grep -oE '^ +- \./[^:]+' docker-compose.yml | sed 's/^ *- //' \
    | if [ -d deploy/observability ]; then cat; else grep -v '^\./deploy/observability/'; fi)

# Where Grafana is told to look is where the dashboards are.
folder="$(sed -n 's/^ *path: //p' deploy/observability/grafana/provisioning/dashboards/spike.yml)"
grep -qF -- "- ./deploy/observability/grafana/dashboards:$folder:ro" docker-compose.yml || fault "docker-compose.yml mounts no dashboards at $folder"

kubectl=kubectl
[ ! -x .spike/kubectl/kubectl ] || kubectl=.spike/kubectl/kubectl
bin="$PWD/.spike/kubernetes-validate/bin" built="$PWD/.spike/kubernetes"
mkdir -p "$built"
for overlay in deploy/kubernetes/overlays/*/; do
    name="$(basename "$overlay")"
    "$kubectl" kustomize "$overlay" >"$built/$name.yaml" || { fault "overlay $name cannot be built"; continue; }
    for version in 1.30 1.37; do
        "$bin/kubernetes-validate" --strict --quiet -k "$version" "$built/$name.yaml" || fault "overlay $name, Kubernetes $version"
    done
    "$bin/python" deploy/kubernetes/check.py "$built/$name.yaml" || fault "overlay $name breaks rules"
done

# A check that takes everything would be of no use: each of these must be refused.
while IFS='|' read -r what change; do
    sed -E "$change" "$built/prod.yaml" >"$built/bad.yaml"
    ! cmp -s "$built/prod.yaml" "$built/bad.yaml" || fault "the fault '$what' is not planted"
    if "$bin/kubernetes-validate" --strict --quiet -k 1.37 "$built/bad.yaml" >/dev/null 2>&1 \
        && "$bin/python" deploy/kubernetes/check.py "$built/bad.yaml" >/dev/null; then
        fault "nobody notices the fault '$what'"
    fi
done <<'FAULTS'
a misspelt field|s/readOnlyRootFilesystem/readOnlyRootFileSystem/
a root that is written to|s/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/
too little time to drain|s/terminationGracePeriodSeconds: 40/terminationGracePeriodSeconds: 20/
a wrong port|s/containerPort: 8080/containerPort: eighty/
variables of Services|s/enableServiceLinks: false/enableServiceLinks: true/
a Service of nobody|s/^(    app.kubernetes.io\/name: )spike-gateway$/\1nobody/
a part of a CPU for the gateway's cores|s/^( +cpu: )"4"$/\11500m/
replicas beside an autoscaler|s/^(  )(progressDeadlineSeconds|revisionHistoryLimit): .*/\1replicas: 2/
liveness that asks dependencies|s/\/livez/\/healthz/
FAULTS

while IFS= read -r script; do
    bash -n "$script" || fault "$script"
done < <(git ls-files '*.sh' .ci)
exit "$code"
