"""Rules that the built manifests of an overlay keep and that no schema knows. `check.py FILE…`; exit code 1 names every breach.

Run by deploy/devstack/check-deploy.sh in the environment of kubernetes-validate, which brings the YAML reader.
"""

import sys

import yaml

# The pods of Spike itself: those of the servers in an overlay for trying things are not held to all of this.
OURS = {"spike-gateway", "spike-worker", "spike-migrate"}


def templates(documents):
    """Every pod template, with the kind and the name of what makes it."""
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield document["kind"], document["metadata"]["name"], document["spec"]["template"]


def pod_rules(name, template, settings):
    """Breaches of one pod of ours."""
    spec = template["spec"]
    security = spec.get("securityContext", {})
    yield security.get("runAsNonRoot") is True, "runs as root"
    yield security.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"), "no seccomp profile"
    yield spec.get("enableServiceLinks") is False, "takes variables of Services"
    yield spec.get("automountServiceAccountToken") is False, "has a token of the API server"
    labels = template["metadata"]["labels"]
    yield labels.get("app.kubernetes.io/part-of") == "spike", "no policy for the network selects it"
    for container in spec["containers"]:
        own = container.get("securityContext", {})
        yield own.get("readOnlyRootFilesystem") is True, "may write to its root"
        yield own.get("allowPrivilegeEscalation") is False, "may gain privileges"
        yield own.get("capabilities", {}).get("drop") == ["ALL"], "has capabilities"
        yield ":" in container["image"] and not container["image"].endswith(":latest"), "has an image without a version"
        resources = container.get("resources", {})
        yield {"cpu", "memory"} <= resources.get("requests", {}).keys(), "requests nothing"
        yield "memory" in resources.get("limits", {}), "has no limit on memory"
        if name == "spike-migrate":
            continue
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            yield probe in container, f"has no {probe}"
        yield container["livenessProbe"]["httpGet"]["path"] == "/livez", "lives by its dependencies"
        yield container["readinessProbe"]["httpGet"]["path"] == "/readyz", "is ready without its dependencies"
        drain = "SPIKE_HTTP_DRAIN_TIMEOUT_MS" if name == "spike-gateway" else "SPIKE_WORKER_DRAIN_TIMEOUT_MS"
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        needs = before + int(settings[drain]) / 1000
        yield spec["terminationGracePeriodSeconds"] > needs, f"is killed before it has drained ({needs} s)"
        if name == "spike-gateway":
            yield millicores(resources["requests"]["cpu"]) % 1000 == 0, "requests a part of a CPU"


def millicores(quantity):
    """Of a quantity of CPU as Kubernetes writes it: `2`, `1.5`, `1500m`."""
    text = str(quantity)
    return float(text[:-1]) if text.endswith("m") else float(text) * 1000


def references(documents):
    """Config maps and secrets that pods name and no document is. Secrets may be made elsewhere."""
    names = {(d["kind"], d["metadata"]["name"]) for d in documents}
    for _, name, template in templates(documents):
        for container in template["spec"]["containers"]:
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    yield ("ConfigMap", source["configMapRef"]["name"]) in names, f"{name} has no ConfigMap"
    selectors = [
        (d["metadata"]["name"], d["spec"]["selector"].get("matchLabels", d["spec"]["selector"]))
        for d in documents
        if d["kind"] in ("Service", "PodDisruptionBudget")
    ]
    labels = [t["metadata"]["labels"] for _, _, t in templates(documents)]
    for name, selector in selectors:
        yield any(selector.items() <= pod.items() for pod in labels), f"{name} selects no pod"
    for d in documents:
        if d["kind"] == "HorizontalPodAutoscaler":
            target = d["spec"]["scaleTargetRef"]
            same = [o for o in documents if (o["kind"], o["metadata"]["name"]) == (target["kind"], target["name"])]
            yield all("replicas" not in o["spec"] for o in same), f"{target['name']} has replicas beside an autoscaler"
            yield (target["kind"], target["name"]) in names, f"{d['metadata']['name']} scales nothing"


def breaches(documents):
    """All of them."""
    maps = [d for d in documents if d["kind"] == "ConfigMap" and d["metadata"]["name"].startswith("spike-settings")]
    settings = maps[0]["data"]
    seen = set()
    for _, name, template in templates(documents):
        if name in OURS:
            seen.add(name)
            yield from (f"{name} {what}" for holds, what in pod_rules(name, template, settings) if not holds)
    yield from (f"{name} is not there" for name in sorted(OURS - seen))
    yield from (what for holds, what in references(documents) if not holds)
    namespaces = {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"}
    if len(namespaces) != 1 or None in namespaces:
        yield f"more than one namespace: {namespaces}"


def main(files):
    """The exit code."""
    code = 0
    for file in files:
        with open(file, encoding="utf-8") as text:
            documents = list(yaml.safe_load_all(text))
        for breach in breaches(documents):
            print(f"{file}: {breach}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
