"""The program takes the configuration that the chart makes, with the environment of the chart's pods."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import chart

URI = "postgres://db.example.com/shop"
PROGRAM = os.environ.get("PENSTOCK_BINARY", str(chart.ROOT / "build" / "release" / "penstock"))


def environment(container):
    """The container's variables, with made-up values where they come from a Secret or the pod."""
    def value(variable):
        is_uri = variable.get("valueFrom", {}).get("secretKeyRef", {}).get("key") == "uri"
        return URI if is_uri else variable.get("value", variable["name"].lower())
    return {variable["name"]: value(variable) for variable in container["env"]}


def make_certificates(folder):
    """What cert-manager puts into a Secret: a pair, and the authority that signed it (itself)."""
    folder.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=penstock", "-days", "1", "-keyout", folder / "tls.key", "-out", folder / "tls.crt"],
                   check=True, capture_output=True)  # fmt: skip
    shutil.copy(folder / "tls.crt", folder / "ca.crt")


def make_secret(folder, volume):
    """Made-up values, each with the line end that files of secrets have."""
    folder.mkdir()
    for item in volume["secret"]["items"]:
        (folder / item["path"]).write_text((URI if item["path"] == "uri" else "made-up") + "\n")


def penstock(command, documents):
    spec = chart.workload(documents)["spec"]["template"]["spec"]
    container = spec["containers"][0]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        text = chart.one(chart.own(documents), "ConfigMap")["data"]["penstock.yaml"]
        for mount in container["volumeMounts"]:
            if mount["name"] == "control-tls":  # the program looks into these files
                make_certificates(folder / mount["name"])
            elif mount["mountPath"].startswith("/etc/penstock/secrets/"):
                make_secret(folder / mount["name"], volumes[mount["name"]])
            else:
                continue
            text = text.replace(mount["mountPath"], str(folder / mount["name"]))
        file = folder / "penstock.yaml"
        file.write_text(text)
        return chart.run(PROGRAM, command, "--config", file, env=os.environ | environment(container))


class Configuration(unittest.TestCase):
    def test_the_program_finds_no_mistake_in_what_the_chart_makes(self):
        checked = 0
        for file in chart.ALL_VALUES:
            documents = chart.rendered(file)
            if not any(chart.own(documents)):
                continue  # existingConfigMap: not ours
            result = penstock("check", documents)
            self.assertEqual(result.returncode, 0, f"{file.name}: {result.stderr}")
            checked += 1
        self.assertGreaterEqual(checked, len(chart.ALL_VALUES) - 1)

    def test_a_mistake_is_noticed(self):
        pipelines = [{"name": "a", "source": {"topics": ["a"], "group": "a"}, "sink": {"target": {"table": "a"}},
                      "compute": {"where": "msg.a >"}}]
        self.assertEqual(penstock("check", chart.render({"pipelines": pipelines})).returncode, 2)

    def test_the_tests_beside_the_examples_pass(self):
        for file in chart.EXAMPLES:
            result = penstock("test", chart.rendered(file))
            self.assertEqual(result.returncode, 0, f"{file.name}: {result.stdout}{result.stderr}")
