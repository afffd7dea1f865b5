"""What the chart's tests have in common: where things are, and the chart rendered by helm."""

import functools
import json
import os
import pathlib
import subprocess
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "helm" / "penstock"
TESTS = ROOT / "tests" / "helm"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
EXAMPLES = sorted((ROOT / "examples" / "kubernetes").glob("*.yaml"))
ALL_VALUES = CI_VALUES + EXAMPLES
# The oldest version that the chart runs on, and the newest whose Go module Debian 13's Go takes.
KUBERNETES = ("1.30.14", "1.34.4")
RELEASE = "orders-release"
NAMESPACE = "data"
HELMS = ("helm", "helm4/helm")  # 3 and 4
POD_KINDS = {"StatefulSet", "Deployment", "Job"}


def tool(name):
    """The program that run.py has built, or that is on the PATH."""
    built = pathlib.Path(os.environ.get("PENSTOCK_HELM_TOOLS", "/nonexistent")) / name
    return str(built) if built.exists() else name


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


def helm(*arguments, values=None, program="helm", **options):
    """Runs helm (3, or 4); `values` (a mapping) become a file of values, `options` are subprocess's."""
    with tempfile.TemporaryDirectory() as folder:
        if values is not None:
            file = pathlib.Path(folder) / "values.yaml"
            file.write_text(json.dumps(values))
            arguments += ("--values", file)
        return run(tool(program), *arguments, **options)


def template(*files, values=None, version=KUBERNETES[-1], program="helm"):
    """`helm template` with these files of values and then `values`: the finished process."""
    arguments = ["template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", version]
    for file in files:
        arguments += ["--values", file]
    return helm(*arguments, values=values, program=program)


def objects(text):
    return [document for document in yaml.safe_load_all(text) if document]


@functools.cache
def rendered(file, version=KUBERNETES[-1]):
    """The objects that a file of ci/ gives."""
    result = template(file, version=version)
    if result.returncode != 0:
        raise AssertionError(f"{file.name}: {result.stderr}")
    return objects(result.stdout)


def render(values, base="default"):
    """The objects of ci/BASE-values.yaml with `values` on top."""
    return _render(json.dumps(values), base)


@functools.cache
def _render(values, base):
    result = template(CHART / "ci" / f"{base}-values.yaml", values=json.loads(values))
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return objects(result.stdout)


def one(documents, kind, name_ends=""):
    found = [document for document in documents
             if document["kind"] == kind and document["metadata"]["name"].endswith(name_ends)]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} objects are a {kind} with a name that ends in '{name_ends}'")
    return found[0]


def workload(documents):
    return one([d for d in documents if d["kind"] in ("StatefulSet", "Deployment")],
               next(d["kind"] for d in documents if d["kind"] in ("StatefulSet", "Deployment")))


def pods(documents):
    """(name, metadata, spec) of every pod that the objects make."""
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        if document["kind"] == "Pod":
            yield name, document["metadata"], document["spec"]
        elif document["kind"] in POD_KINDS:
            pod = document["spec"]["template"]
            yield name, pod["metadata"], pod["spec"]


def own(documents):
    """The ConfigMaps with the configuration that the pods of the release read."""
    return [document for document in documents if "penstock.yaml" in document.get("data", {})
            and "helm.sh/hook" not in document["metadata"].get("annotations", {})]


def configuration(documents):
    """What is in it."""
    return yaml.safe_load(one(own(documents), "ConfigMap")["data"]["penstock.yaml"])
