"""Kubernetes takes what the chart makes: its schemas, and the restricted Pod Security Standard."""

import copy
import json
import unittest

import chart
import schemas

SCHEMAS = chart.ROOT / "build" / "helm" / "schemas"


def kubeconform(documents, version):
    location = str(schemas.make(SCHEMAS, version) / schemas.LOCATION)
    return chart.run(chart.tool("kubeconform"), "-strict", "-summary", "-schema-location", location,
                     input="\n---\n".join(json.dumps(document) for document in documents))


def podsecurity(pods):
    return chart.run(chart.tool("podsecurity"), input=json.dumps(
        [{"name": name, "metadata": metadata, "spec": spec} for name, metadata, spec in pods]))


def all_documents(version):
    return [document for file in chart.ALL_VALUES for document in chart.rendered(file, version)]


class Schemas(unittest.TestCase):
    def test_every_object_is_one_that_kubernetes_knows(self):
        for version in chart.KUBERNETES:
            result = kubeconform(all_documents(version), version)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
            self.assertIn("Skipped: 0", result.stdout)

    def test_every_kind_that_has_a_schema_is_made(self):
        kinds = {document["kind"] for document in all_documents(chart.KUBERNETES[-1])}
        custom = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "TriggerAuthentication"}
        self.assertEqual(kinds, {kind for _, kind in schemas.KINDS} | custom)

    def test_a_field_that_does_not_exist_is_noticed_wherever_it_is(self):
        default = chart.rendered(chart.CHART / "ci" / "default-values.yaml")
        monitoring = chart.rendered(chart.CHART / "ci" / "monitoring-values.yaml")
        keda = chart.rendered(chart.CHART / "ci" / "keda-values.yaml")
        for document, path in ((chart.workload(default), ("spec",)),
                               (chart.workload(default), ("spec", "template", "spec", "containers", 0)),
                               (chart.one(default, "NetworkPolicy", "penstock"), ("spec", "egress", 0, "ports", 0)),
                               (chart.one(monitoring, "ServiceMonitor"), ("spec", "endpoints", 0)),
                               (chart.one(monitoring, "PrometheusRule"), ("spec", "groups", 0, "rules", 0)),
                               (chart.one(keda, "ScaledObject"), ("spec", "triggers", 0))):
            wrong = copy.deepcopy(document)
            node = wrong
            for step in path:
                node = node[step]
            node["doesNotExist"] = 1
            for version in chart.KUBERNETES:
                result = kubeconform([wrong], version)
                self.assertEqual(result.returncode, 1, f"{document['kind']} {path}: {result.stdout}")
                self.assertIn("doesNotExist", result.stdout)


class PodSecurity(unittest.TestCase):
    def test_every_pod_meets_the_restricted_standard(self):
        pods = [(f"{file.name}: {name}", metadata, spec) for file in chart.ALL_VALUES
                for name, metadata, spec in chart.pods(chart.rendered(file))]
        self.assertGreaterEqual(len(pods), 3 * len(chart.ALL_VALUES))
        result = podsecurity(pods)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_a_pod_that_does_not_is_noticed(self):
        for change in ({"allowPrivilegeEscalation": True}, {"capabilities": {}}, {"runAsUser": 0},
                       {"privileged": True}, {"seccompProfile": {"type": "Unconfined"}}):
            documents = copy.deepcopy(chart.rendered(chart.CHART / "ci" / "default-values.yaml"))
            name, metadata, spec = next(chart.pods(documents))
            spec["containers"][0]["securityContext"] |= change
            result = podsecurity([(name, metadata, spec)])
            self.assertEqual(result.returncode, 1, f"{change}: {result.stderr}")
            self.assertIn(name, result.stdout)
