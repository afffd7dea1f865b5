"""JSON schemas of the kinds that the chart makes, for kubeconform.

They come from where Kubernetes, the Prometheus operator and KEDA publish them: the OpenAPI document
and the custom resource definitions in their Go modules, which the module proxy serves. Unlike the
API server, which only warns, the schemas refuse fields that do not exist.
"""

import functools
import json
import pathlib
import subprocess

import yaml

OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
KEDA = "github.com/kedacore/keda/v2@v2.17.2"
CUSTOM_RESOURCES = [
    (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    (OPERATOR, "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    (KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
    (KEDA, "config/crd/bases/keda.sh_triggerauthentications.yaml"),
]
KINDS = {("", "ConfigMap"), ("", "Pod"), ("", "Service"), ("", "ServiceAccount"), ("apps", "Deployment"),
         ("apps", "StatefulSet"), ("autoscaling", "HorizontalPodAutoscaler"), ("batch", "Job"),
         ("networking.k8s.io", "NetworkPolicy"), ("policy", "PodDisruptionBudget")}
# How kubeconform finds a schema.
LOCATION = "{{.Group}}_{{.ResourceAPIVersion}}_{{.ResourceKind}}.json"


@functools.cache
def module(name):
    """The folder of a Go module, downloaded if it is not there."""
    result = subprocess.run(["go", "mod", "download", "-json", name], capture_output=True, text=True, cwd="/")
    if result.returncode != 0:
        raise RuntimeError(f"go mod download {name}: {result.stdout}{result.stderr}")
    return pathlib.Path(json.loads(result.stdout)["Dir"])


def strict(node):
    """Fields that do not exist are refused; what is a number or text may be either."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string") or node.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    node = {key: strict(value) for key, value in node.items()}
    fields = node.get("properties")
    if isinstance(fields, dict) and "additionalProperties" not in node \
            and not node.get("x-kubernetes-preserve-unknown-fields") and not is_fields(node):
        node["additionalProperties"] = False
    return node


def is_fields(node):
    """A mapping of fields of which one happens to be named `properties`."""
    return "type" not in node and "x-kubernetes-group-version-kind" not in node and "description" not in node


def write(folder, group, version, kind, schema):
    # kubeconform takes the version for the group where there is none.
    (folder / f"{group or version}_{version}_{kind.lower()}.json").write_text(json.dumps(schema))


def write_kubernetes(folder, version):
    document = json.loads((module(f"k8s.io/kubernetes@v{version}") / "api/openapi-spec/swagger.json").read_text())
    definitions = {name: strict(definition) for name, definition in document["definitions"].items()}
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    found = set()
    for definition in definitions.values():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            if (kind["group"], kind["kind"]) in KINDS and kind["version"] in ("v1", "v2"):
                needed = reachable(definition, definitions)
                write(folder, kind["group"], kind["version"], kind["kind"],
                      {**definition, "definitions": {name: definitions[name] for name in needed}})
                found.add((kind["group"], kind["kind"]))
    if found != KINDS:
        raise RuntimeError(f"Kubernetes {version} has no {KINDS - found}")


def reachable(node, definitions):
    """Names of all definitions that a node refers to, directly or not."""
    names, left = set(), [node]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        elif isinstance(item, dict):
            reference = item.get("$ref")
            name = reference.rsplit("/", 1)[1] if isinstance(reference, str) else None
            if name and name not in names:
                names.add(name)
                left.append(definitions[name])
            left += item.values()
    return names


def write_custom_resources(folder):
    for name, path in CUSTOM_RESOURCES:
        spec = yaml.safe_load((module(name) / path).read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            write(folder, spec["group"], version["name"], spec["names"]["kind"], schema)


def make(folder, version):
    """Writes the schemas of one version of Kubernetes into a folder, once; returns the folder."""
    folder = folder / version
    done = folder / "done"
    sources = json.dumps([version, LOCATION, CUSTOM_RESOURCES, sorted(KINDS)])
    if not done.exists() or done.read_text() != sources:
        folder.mkdir(parents=True, exist_ok=True)
        write_kubernetes(folder, version)
        write_custom_resources(folder)
        done.write_text(sources)
    return folder
