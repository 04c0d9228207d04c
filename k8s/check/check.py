"""Checks the manifests: every combination renders, fits the schemas of Kubernetes, and says what the programs say.

usage: check.py FOLDER-OF-PROGRAMS [PROMTOOL]
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib

import kubernetes_validate
import yaml

import render

K8S = pathlib.Path(__file__).resolve().parent.parent
ROOT = K8S.parent
VERSION = "1.32"
# Custom resources, whose schemas are not Kubernetes' own.
FOREIGN = {"cert-manager.io/v1"}

# Components of base that may be chosen freely; the registry comes last, the suite stands for base.
OPTIONAL = sorted(c.name for c in (K8S / "components").iterdir() if c.name not in ("suite", "registry"))

# What is wrong, and where.
failures = {}


def wrong(where, what):
    failures.setdefault(str(what), []).append(str(where))


def with_kubectl(folder):
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise render.Refused(done.stderr.strip())
    return [document for document in yaml.load_all(done.stdout, render.Loader) if document]


def identity(document):
    return document["kind"], document["metadata"]["name"]


def rendered(folder, where, both):
    """The documents; if `both` and kubectl is present, our renderer must agree with it."""
    ours = sorted(render.render(folder), key=identity)
    if not both or not shutil.which("kubectl"):
        return ours
    theirs = sorted(with_kubectl(folder), key=identity)
    if [identity(d) for d in ours] != [identity(d) for d in theirs]:
        wrong(where, "the two renderers list different documents")
    for mine, other in zip(ours, theirs):
        if json.dumps(mine, sort_keys=True) != json.dumps(other, sort_keys=True):
            wrong(where, f"the two renderers differ in {identity(mine)}")
    return theirs


def combinations():
    """The overlays, the suite with what its README allows, and base with every subset of the components."""
    for overlay in sorted((K8S / "overlays").iterdir()):
        yield f"overlays/{overlay.name}", overlay, None
    for chosen in (["telemetry"], ["registry"], ["telemetry", "registry"]):
        yield "+".join(["suite", *chosen]), None, ["suite", *chosen]
    for size in range(len(OPTIONAL) + 1):
        for chosen in itertools.combinations(OPTIONAL, size):
            for registry in ([], ["registry"]):
                yield "base+" + "+".join([*chosen, *registry]), None, [*chosen, *registry]


def documents_of(folder, components, where):
    if folder:
        return rendered(folder, where, True)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as place:
        place = os.path.realpath(place)
        spec = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(K8S / "base", place)] if "suite" not in components else [],
            "components": [os.path.relpath(K8S / "components" / c, place) for c in components],
        }
        with open(f"{place}/kustomization.yaml", "w", encoding="utf-8") as file:
            yaml.safe_dump(spec, file)
        # kubectl takes its time: it renders base, base with each component, and with all.
        return rendered(pathlib.Path(place), where, len(components) < 2 or len(components) > len(OPTIONAL))


valid = set()


def schema(document, where):
    text = json.dumps(document, sort_keys=True)
    if text in valid or document["apiVersion"] in FOREIGN:
        return
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
        valid.add(text)
    except Exception as error:  # noqa: BLE001 - the library raises several kinds
        wrong(where, f"{identity(document)}: {error}")


def pods(documents):
    """Name, labels and pod of whatever runs one."""
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = document["spec"]["template"]
        elif document["kind"] == "CronJob":
            template = document["spec"]["jobTemplate"]["spec"]["template"]
        else:
            continue
        yield document, template["metadata"]["labels"], template["spec"]


def matches(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def closed(document, pod, where):
    """What every pod of ours must be: not root, read-only, without privileges, with limits."""
    who = f"{where} {identity(document)}"
    if not pod.get("securityContext", {}).get("runAsNonRoot"):
        wrong(who, "may run as root")
    for container in pod["containers"]:
        context = container.get("securityContext", {})
        if not context.get("readOnlyRootFilesystem") or context.get("allowPrivilegeEscalation") is not False:
            wrong(who, "may write its root or gain privileges")
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            wrong(who, "keeps capabilities")
        resources = container.get("resources", {})
        if not resources.get("requests") or "memory" not in resources.get("limits", {}):
            wrong(who, "has no requests or no limit of memory")


def wiring(documents, where):
    """Ports, probes, selectors, disruption budgets and targets agree with each other."""
    by_name = {identity(d): d for d in documents}
    running = list(pods(documents))
    for document, _, pod in running:
        closed(document, pod, where)
        if ("ServiceAccount", pod.get("serviceAccountName")) not in by_name:
            wrong(where, f"{identity(document)} names a ServiceAccount that is not there")
        for container in pod["containers"]:
            names = [e["name"] for e in container.get("env", [])]
            for name in sorted({n for n in names if names.count(n) > 1}):
                wrong(where, f"{identity(document)} has {name} twice, which server-side apply refuses")
            ports = {p["name"]: p["containerPort"] for p in container.get("ports", [])}
            for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                probe = container.get(kind, {})
                if "httpGet" in probe and probe["httpGet"]["port"] not in ports:
                    wrong(where, f"{identity(document)}: {kind} asks an unknown port")
                if "grpc" in probe and probe["grpc"]["port"] not in ports.values():
                    wrong(where, f"{identity(document)}: {kind} asks an unknown port")
            volumes = {v["name"] for v in pod.get("volumes", [])}
            volumes |= {c["metadata"]["name"] for c in document["spec"].get("volumeClaimTemplates", [])}
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    wrong(where, f"{identity(document)} mounts {mount['name']}, which is no volume")
    for document in documents:
        spec = document.get("spec", {})
        if document["kind"] == "Service":
            chosen = [pod for _, labels, pod in running if matches(spec["selector"], labels)]
            names = {p["name"] for pod in chosen for c in pod["containers"] for p in c.get("ports", [])}
            for port in spec["ports"]:
                if port["targetPort"] not in names:
                    wrong(where, f"Service {document['metadata']['name']}: nobody listens at {port['targetPort']}")
        elif document["kind"] == "PodDisruptionBudget":
            if not any(matches(spec["selector"]["matchLabels"], labels) for _, labels, _ in running):
                wrong(where, f"{identity(document)} protects nothing")
        elif document["kind"] == "HorizontalPodAutoscaler":
            target = by_name.get((spec["scaleTargetRef"]["kind"], spec["scaleTargetRef"]["name"]))
            if not target or "replicas" in target["spec"]:
                wrong(where, f"{identity(document)} has no target, or fights with its replicas")
        elif document["kind"] == "Ingress":
            for rule in spec["rules"]:
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]
                    target = by_name.get(("Service", service["name"]))
                    if not target or service["port"]["name"] not in {p["name"] for p in target["spec"]["ports"]}:
                        wrong(where, f"{identity(document)} leads to {service}, which is not there")


def peers(documents, where):
    """Each service's list of peers leads to a Service and port that exist, and is allowed by the policies."""
    services = {d["metadata"]["name"]: {p["port"] for p in d["spec"]["ports"]} for d in documents if d["kind"] == "Service"}
    policies = [d for d in documents if d["kind"] == "NetworkPolicy"]
    for document, labels, pod in pods(documents):
        for container in pod["containers"]:
            env = {e["name"]: e.get("value", "") for e in container.get("env", [])}
            for name, value in env.items():
                if not name.startswith("JINKE_PEERS__") or "://" not in value:
                    continue
                host, port = re.fullmatch(r"https?://([^:]+):(\d+)", value).groups()
                if int(port) not in services.get(host, ()):
                    wrong(where, f"{identity(document)}: {name}={value} leads nowhere")
                if policies and not allowed(policies, labels, host.removeprefix("jinke-"), int(port)):
                    wrong(where, f"{identity(document)}: the network policies do not let it call {value}")


def allowed(policies, labels, component, port):
    target = {"app.kubernetes.io/name": "jinke", "app.kubernetes.io/component": component}

    def says(policy, subject, other, direction, side):
        selector = policy["spec"]["podSelector"].get("matchLabels")
        if not selector or not matches(selector, subject):
            return False
        return any(
            port in {p.get("port") for p in rule.get("ports", [])}
            and any(matches(peer["podSelector"]["matchLabels"], other) for peer in rule.get(side, []) if "podSelector" in peer)
            for rule in policy["spec"].get(direction, [])
        )

    out = any(says(p, labels, target, "egress", "to") for p in policies)
    into = any(says(p, target, labels, "ingress", "from") for p in policies)
    return out and into


# What `config show` printed, by what configured() says.
shown = {}


def configured(container):
    """A container's program and environment; a value out of a Secret is taken for the address of a database."""
    env = {e["name"]: e.get("value", "postgres://u:p@host/db") for e in container.get("env", [])}
    return (container.get("command") or [""])[0], tuple(sorted(env.items()))


def programs(documents, folder, where):
    """Every program accepts the environment it is given, and listens where the manifest says."""
    for document, _, pod in pods(documents):
        for container in pod["containers"]:
            command = container.get("command", [])
            if not command or not command[0].startswith("/usr/local/bin/"):
                continue
            key = configured(container)
            if key not in shown:
                shown[key] = show(folder / pathlib.Path(command[0]).name, dict(key[1]))
            text, error = shown[key]
            if error:
                wrong(where, f"{identity(document)}: {error}")
                continue
            open_ports = {int(port) for port in re.findall(r'"[0-9.]*:(\d+)"', text)}
            for port in container.get("ports", []):
                if port["containerPort"] not in open_ports:
                    wrong(where, f"{identity(document)}: the program does not listen at {port['containerPort']}")
            buffers(document, container, tomllib.loads(text).get("gateway", {}), where)


def key_files(documents, where):
    """Whatever restores a database has the key files of the same service, which it reads first."""
    for document, _, pod in pods(documents):
        secrets = {v["name"]: v["secret"] for v in pod.get("volumes", []) if "secret" in v}
        for container in pod["containers"]:
            if "restore" not in container.get("command", []):
                continue
            env = {e["name"]: e for e in container["env"]}
            mounts = {m["mountPath"]: secrets.get(m["name"], {}) for m in container["volumeMounts"]}
            for name in [n for n in env if n.endswith("__DATABASE__URL")]:
                folder = env.get(name.replace("__DATABASE__URL", "__KEYS__FOLDER"), {}).get("value")
                secret = mounts.get(folder, {})
                files = {item["path"] for item in secret.get("items", [])}
                same = secret.get("secretName") == env[name]["valueFrom"]["secretKeyRef"]["name"]
                if not same or files != {"sealing.key.json", "tokens.key.json"}:
                    wrong(where, f"{identity(document)} has {name}, but not that service's key files")


def buffers(document, container, gateway, where):
    """What serves the gateway can hold its request bodies, which take several times their size in memory."""
    number = int(gateway.get("listen", "").rpartition(":")[2] or 0)
    if number not in {p["containerPort"] for p in container.get("ports", [])}:
        return
    limit = in_bytes(container["resources"]["limits"]["memory"])
    if gateway["buffer_bytes"] * 8 > limit:
        wrong(where, f"{identity(document)}: gateway.buffer_bytes = {gateway['buffer_bytes']} needs a limit of 8 times as much memory, not {limit}")


def in_bytes(quantity):
    number, unit = re.fullmatch(r"(\d+)([KMGT]i)?", quantity).groups()
    return int(number) * 1024 ** " KMGT".index((unit or " ")[0])


BACKEND = "nginx.ingress.kubernetes.io/backend-protocol"


def listens_with_tls(config, port):
    """Whether a program with this configuration serves TLS at the port; None where it does not listen there."""
    for key, value in config.items():
        if key == "listen" and str(value).endswith(f":{port}"):
            return bool(config.get("tls", {}).get("cert_file"))
        if isinstance(value, dict):
            found = listens_with_tls(value, port)
            if found is not None:
                return found
    return None


def outside(documents, where):
    """An Ingress, and the Service it leads to, say HTTPS where the program behind serves TLS, and only there."""
    services = {d["metadata"]["name"]: d["spec"] for d in documents if d["kind"] == "Service"}
    backends = [
        (document, path["backend"]["service"])
        for document in documents
        if document["kind"] == "Ingress"
        for rule in document["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    for document, backend in backends:
        service = services.get(backend["name"], {"selector": {}, "ports": []})
        for port in [p for p in service["ports"] if p["name"] == backend["port"]["name"]]:
            served = set()
            for _, labels, pod in pods(documents):
                for container in pod["containers"] if matches(service["selector"], labels) else []:
                    number = {p["name"]: p["containerPort"] for p in container.get("ports", [])}.get(port["targetPort"])
                    text, _ = shown.get(configured(container), ("", ""))
                    served.add(listens_with_tls(tomllib.loads(text), number))
            if served not in ({True}, {False}):
                wrong(where, f"{identity(document)}: cannot tell what is served at {backend}: {served}")
                continue
            protocol = "https" if served.pop() else "http"
            said = {
                f"annotation {BACKEND}": document["metadata"].get("annotations", {}).get(BACKEND, "http"),
                f"appProtocol of {backend['name']}": port.get("appProtocol", protocol),
            }
            for who, value in said.items():
                if value.lower() != protocol:
                    wrong(where, f"{identity(document)}: {who} says {value}, but the pod serves {protocol}")


def show(program, env):
    if not program.exists():
        return "", f"there is no program {program.name}: build it first"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JINKE_")}
    done = subprocess.run([str(program), "config", "show"], env={**clean, **env}, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr.strip() if done.returncode else ""


def metrics():
    """Names of metrics in rules and dashboards exist in the code."""
    known = set()
    for folder in ("services", "connectors"):
        for path in (ROOT / folder).rglob("*.rs"):
            known |= set(re.findall(r'"(jinke_[a-z0-9_]+)"', path.read_text(encoding="utf-8")))
    telemetry = K8S / "components" / "telemetry"
    used = 0
    for path in [*telemetry.rglob("*.json"), *telemetry.rglob("*.yml")]:
        for name in re.findall(r"\bjinke_[a-z0-9_]+", path.read_text(encoding="utf-8")):
            used += 1
            if not {name, re.sub(r"_(bucket|sum|count)$", "", name)} & known:
                wrong(path.relative_to(ROOT), f"no program has the metric {name}")
    if not used:
        wrong("telemetry", "no metric is used at all")


def run_books():
    """Every alert names a run-book, and the run-book is there."""
    rules = K8S / "components" / "telemetry" / "prometheus" / "rules.yml"
    for group in yaml.safe_load(rules.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            path, _, heading = rule["annotations"]["runbook"].partition("#")
            file = ROOT / path
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).strip().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)}
            if heading not in anchors:
                wrong("rules.yml", f"{rule['alert']} names {path}#{heading}, which is not there")


def readmes():
    for folder in sorted((K8S / "components").iterdir()):
        if not (folder / "README.md").exists():
            wrong(folder.name, "has no README")


def main():
    folder = pathlib.Path(sys.argv[1])
    count = 0
    for where, overlay, components in combinations():
        try:
            documents = documents_of(overlay, components, where)
        except (render.Refused, KeyError, OSError) as error:
            wrong(where, error)
            continue
        count += 1
        for document in documents:
            schema(document, where)
        wiring(documents, where)
        peers(documents, where)
        programs(documents, folder, where)
        outside(documents, where)
        key_files(documents, where)
    metrics()
    run_books()
    readmes()
    if len(sys.argv) > 2:
        rules = K8S / "components" / "telemetry" / "prometheus" / "rules.yml"
        for asked in (["check", "rules", rules], ["test", "rules", rules.with_name("tests.yml")]):
            done = subprocess.run([sys.argv[2], *map(str, asked)], capture_output=True, text=True, check=False)
            if done.returncode:
                wrong(asked[-1].name, done.stdout + done.stderr)
    for what, places in failures.items():
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        print(f"k8s: {places[0]}{more}: {what}", file=sys.stderr)
    told = "kubectl and our own renderer" if shutil.which("kubectl") else "our own renderer"
    rules = "rules checked and tested by promtool" if len(sys.argv) > 2 else "promtool absent: rules not checked by it"
    print(f"k8s: {count} combinations by {told}, {len(valid)} distinct documents, {len(shown)} configurations; {rules}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
