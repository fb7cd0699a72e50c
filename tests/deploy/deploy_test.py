"""Usage: deploy_test.py DEPLOY_DIRECTORY LAZARET

Reads the compose file and the Kubernetes manifests: names refer to what is there, selectors select what they mean, and
`lazaret config check` takes each server's configuration file and environment. Prints what is wrong; 1 when something is.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import yaml

deploy = pathlib.Path(sys.argv[1])
lazaret = sys.argv[2]
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def check_config(what, toml, environment):
    """Whether the server takes this file and these variables."""
    with tempfile.TemporaryDirectory() as directory:
        file = pathlib.Path(directory, "lazaret.toml")
        file.write_text(toml)
        variables = {**environment, "LAZARET_CONFIG": str(file), "HOME": directory}
        done = subprocess.run([lazaret, "config", "check"], env=variables, capture_output=True, text=True, timeout=60)
        expect(done.returncode == 0, f"{what}: {done.stdout}{done.stderr}")
        return done.stdout


# --- compose ---

compose = yaml.safe_load((deploy / "compose.yaml").read_text())
services = compose["services"]
common_toml = (deploy / "lazaret.toml").read_text()
dockerfile = (deploy / "Dockerfile").read_text()
image_environment = dict(re.findall(r"(LAZARET_\w+)=(\S+)", dockerfile))
targets = re.findall(r"^FROM \S+ AS (\w+)$", dockerfile, re.MULTILINE)

for name, config in compose["configs"].items():
    expect((deploy / config["file"]).is_file(), f"compose: config {name} is not there")
for name, service in services.items():
    for network in service["networks"]:
        expect(network in compose["networks"], f"compose: {name}: no network {network}")
    for config in service.get("configs", []):
        expect(config["source"] in compose["configs"], f"compose: {name}: no config {config['source']}")
    for other in service.get("depends_on", {}):
        expect(other in services, f"compose: {name} depends on {other}")
    for volume in service.get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
        expect(source.startswith("/") or source in compose["volumes"], f"compose: {name}: no volume {source}")
    if "build" in service:
        expect(service["build"]["target"] in targets, f"compose: {name}: the Dockerfile has no such target")
        expect((deploy / service["build"]["context"] / service["build"]["dockerfile"]).is_file(), f"compose: {name}")
for name in ("api", "worker"):
    environment = {**image_environment, **services[name]["environment"]}
    checked = check_config(f"compose: {name}", common_toml, environment)
    expect(environment["LAZARET_ROLE"] == name, f"compose: role of {name}")
    expect("redis://redis" in checked, f"compose: {name} does not use redis")

for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", dockerfile, re.MULTILINE):
    for path in source.split():
        expect((deploy.parent / path).exists(), f"Dockerfile: {path} is not there")
        ignore = (deploy / "Dockerfile.dockerignore").read_text().split()
        expect(f"!{path}" in ignore, f"Dockerfile: {path} is not sent to the builder (Dockerfile.dockerignore)")

# --- Kubernetes ---

kustomization = yaml.safe_load((deploy / "kubernetes/kustomization.yaml").read_text())
objects = {}  # by kind and name
for file in kustomization["resources"] + ["autoscaling.yaml"]:
    for one in yaml.safe_load_all((deploy / "kubernetes" / file).read_text()):
        key = (one["kind"], one["metadata"]["name"])
        expect(key not in objects, f"{file}: {key} is there twice")
        expect("/" in one["apiVersion"] or one["apiVersion"] == "v1", f"{file}: {key}: apiVersion")
        objects[key] = one


def of_kind(*kinds):
    return [(name, one["spec"]) for (kind, name), one in objects.items() if kind in kinds]


def matches(selector, labels):
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return all(e["operator"] == "In" and labels.get(e["key"]) in e["values"]
               for e in selector.get("matchExpressions", []))


workloads = of_kind("Deployment", "StatefulSet")
labels_of = {name: spec["template"]["metadata"]["labels"] for name, spec in workloads}
images = {image["name"] for image in kustomization["images"]}


def selected(selector):
    return [name for name, labels in labels_of.items() if matches(selector, labels)]


def value_of(variable):
    if "value" in variable:
        return variable["value"]
    source = variable["valueFrom"]
    if "resourceFieldRef" in source:
        return "2"
    reference = source["secretKeyRef"]
    return objects[("Secret", reference["name"])]["stringData"][reference["key"]]


for name, spec in workloads:
    expect(selected(spec["selector"]) == [name], f"{name}: its selector selects {selected(spec['selector'])}")
    pod = spec["template"]["spec"]
    claims = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", [])}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        if "configMap" in volume:
            expect(("ConfigMap", volume["configMap"]["name"]) in objects, f"{name}: {volume}")
        if "persistentVolumeClaim" in volume:
            claim = ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
            expect(claim in objects, f"{name}: {volume}")
    expect(pod["securityContext"]["runAsNonRoot"], f"{name}: root")
    for container in pod["containers"]:
        for mount in container["volumeMounts"]:
            expect(mount["name"] in volumes or mount["name"] in claims, f"{name}: no volume {mount['name']}")
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            port = (container.get(probe, {}).get("httpGet") or container.get(probe, {}).get("tcpSocket") or {}).get("port")
            expect(port is None or port in ports, f"{name}: {probe}: no port {port}")
        expect(":" in container["image"] or container["image"] in images, f"{name}: image {container['image']}")
        if container["name"] == "lazaret":
            environment = {variable["name"]: value_of(variable) for variable in container["env"]}
            toml = objects[("ConfigMap", "lazaret")]["data"]["lazaret.toml"]
            check_config(f"kubernetes: {name}", toml, {**image_environment, **environment})
            expect(name == "lazaret-" + environment["LAZARET_ROLE"], f"kubernetes: role of {name}")

ports_of = {name: {port["name"] for container in spec["template"]["spec"]["containers"]
                   for port in container.get("ports", [])} for name, spec in workloads}
for name, spec in of_kind("Service"):
    chosen = selected({"matchLabels": spec["selector"]})
    expect(len(chosen) == 1, f"service {name} selects {chosen}")
    for port in spec["ports"]:
        expect(all(port["targetPort"] in ports_of[one] for one in chosen), f"service {name}: {port}")
for name, spec in of_kind("PodDisruptionBudget"):
    expect(selected(spec["selector"]) == [name], f"disruption budget {name} selects {selected(spec['selector'])}")
for name, spec in of_kind("HorizontalPodAutoscaler"):
    target = spec["scaleTargetRef"]
    expect((target["kind"], target["name"]) in objects, f"autoscaler {name}: no {target['name']}")
for name, spec in of_kind("NetworkPolicy"):
    expect(selected(spec["podSelector"]), f"network policy {name} selects nothing")
    for rule in spec.get("ingress", []) + spec.get("egress", []):
        for peer in rule.get("from", []) + rule.get("to", []):
            expect("podSelector" not in peer or selected(peer["podSelector"]), f"network policy {name}: {peer}")

# --- Redis ---

for what, text in (("redis.conf", (deploy / "redis.conf").read_text()),
                   ("kubernetes/redis.yaml", objects[("ConfigMap", "lazaret-redis")]["data"]["redis.conf"])):
    for line in ("appendonly yes", "maxmemory-policy (noeviction|volatile-lru)"):
        expect(re.search(f"^{line}$", text, re.MULTILINE), f"{what}: no '{line}'")

# --- systemd ---

unit = (deploy / "lazaret.service").read_text()
variables = dict(re.findall(r"^Environment=(LAZARET_\w+)=(\S+)$", unit, re.MULTILINE))
check_config("lazaret.service", common_toml, variables)
for needed in ("seccomp", "landlock_restrict_self", "@mount"):
    expect(re.search(rf"^SystemCallFilter=.*{needed}\b", unit, re.MULTILINE), f"lazaret.service: no {needed}")

for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
