"""The API server takes what the chart makes, as it is, and refuses what goes further."""

import copy
import os
import pathlib
import re
import unittest

import api
import chart
import cluster

STRICT = {"dryRun": "All", "fieldValidation": "Strict"}
UNITS = {"": 1000, "m": 1, "k": 10**6, "M": 10**9, "G": 10**12, "Ki": 1000 << 10, "Mi": 1000 << 20, "Gi": 1000 << 30}
DEFAULT = chart.CHART / "ci" / "default-values.yaml"


def amount(text):
    """What a quantity is worth: the API server writes 50000 as 50k."""
    match = re.fullmatch(r"(\d+)(|m|k|M|G|Ki|Mi|Gi)", text) if isinstance(text, str) else None
    return match and int(match[1]) * UNITS[match[2]]


def lost(sent, got, path=""):
    """Where an answer is not what was sent. What was empty may be missing, and lists may be longer."""
    if isinstance(sent, dict) and isinstance(got, dict):
        return [where for key, value in sent.items() for where in lost(value, got.get(key), f"{path}/{key}")]
    if isinstance(sent, list) and isinstance(got, list) and len(sent) <= len(got):
        return [where for i, value in enumerate(sent) for where in lost(value, got[i], f"{path}/{i}")]
    if sent == got or (got is None and not sent and sent is not False) or amount(sent) == amount(got) is not None:
        return []
    return [f"{path}: {sent!r} became {got!r}"]


class Admission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cluster.shared()
        cls.deployer = cls.cluster.deployer
        cls.namespace = cls.cluster.namespace(chart.NAMESPACE)  # what is rendered is for this one
        accounts = {document["metadata"]["name"]: document for file in chart.ALL_VALUES
                    for document in chart.rendered(file) if document["kind"] == "ServiceAccount"}
        for account in accounts.values():
            cls.deployer.create(account, cls.namespace)

    def pod(self, name, metadata, spec):
        return {"apiVersion": "v1", "kind": "Pod", "spec": spec, "metadata": {
            "name": name.rsplit("/", 1)[-1].lower(), "namespace": chart.NAMESPACE,
            "labels": metadata["labels"], "annotations": metadata.get("annotations", {})}}

    def default_pod(self):
        return self.pod(*next(chart.pods(chart.rendered(DEFAULT))))

    def refusal(self, document, namespace):
        with self.assertRaises(api.Refused) as caught:
            self.deployer.create(document, namespace, **STRICT)
        return caught.exception

    def test_the_server_is_of_the_newest_version_that_the_other_tests_know(self):
        version = self.cluster.admin.request("GET", "/version")[0]["gitVersion"]
        kit = pathlib.Path(os.environ["PENSTOCK_KUBERNETES_KIT"])
        self.assertEqual(version, (kit / "version").read_text().strip())
        self.assertEqual(version, f"v{chart.KUBERNETES[-1]}")

    def test_every_object_is_taken_without_a_warning_and_nothing_of_it_is_lost(self):
        for file in chart.ALL_VALUES:
            for document in chart.rendered(file):
                if document["kind"] == "ServiceAccount":
                    continue  # is there, and was taken the same way
                with self.subTest(file=file.name, kind=document["kind"], name=document["metadata"]["name"]):
                    answer, warnings = self.deployer.create(document, self.namespace, **STRICT)
                    self.assertEqual(warnings, [])
                    self.assertEqual(lost(document, answer), [])

    def test_what_gets_lost_is_noticed(self):
        self.assertEqual(lost({"a": [{"b": 1, "c": {}, "d": 0}]}, {"a": [{"b": 1}, 2], "e": 3}), [])
        self.assertEqual(lost({"a": [{"b": 1}]}, {"a": [{}]}), ["/a/0/b: 1 became None"])
        self.assertEqual(lost({"a": False}, {}), ["/a: False became None"])
        self.assertEqual(lost({"a": [1, 2]}, {"a": [1]}), ["/a: [1, 2] became [1]"])
        self.assertEqual(lost({"a": "50m"}, {"a": "1"}), ["/a: '50m' became '1'"])
        self.assertEqual(lost({"a": "50000", "b": "1024Mi"}, {"a": "50k", "b": "1Gi"}), [])

    def test_a_field_that_does_not_exist_is_refused(self):
        for file, kind in (("default", "StatefulSet"), ("deployment", "Deployment"), ("keda", "ScaledObject"),
                           ("monitoring", "ServiceMonitor"), ("monitoring", "PrometheusRule"),
                           ("hpa", "HorizontalPodAutoscaler")):
            document = copy.deepcopy(chart.one(chart.rendered(chart.CHART / "ci" / f"{file}-values.yaml"), kind))
            document["spec"]["doesNotExist"] = 1
            refused = self.refusal(document, self.namespace)
            self.assertEqual(refused.status, 400, refused)
            self.assertIn('unknown field "spec.doesNotExist"', refused.message)

    def test_every_pod_is_admitted_where_the_restricted_standard_is_enforced(self):
        admitted = 0
        for file in chart.ALL_VALUES:
            for name, metadata, spec in chart.pods(chart.rendered(file)):
                with self.subTest(file=file.name, pod=name):
                    pod = self.pod(name, metadata, spec)
                    _, warnings = self.deployer.create(pod, self.namespace, **STRICT)
                    self.assertEqual(warnings, [])
                    admitted += 1
        self.assertGreaterEqual(admitted, 3 * len(chart.ALL_VALUES))

    def test_a_pod_with_more_rights_is_refused_there_and_admitted_elsewhere(self):
        elsewhere = self.cluster.namespace(labels={})
        for container, spec, why in (
                ({"privileged": True, "allowPrivilegeEscalation": True}, {}, "privileged"),
                ({"allowPrivilegeEscalation": True}, {}, "allowPrivilegeEscalation != false"),
                ({"capabilities": {}}, {}, "unrestricted capabilities"),
                ({"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}, {}, "unrestricted capabilities"),
                ({"runAsUser": 0}, {}, "runAsUser=0"),
                ({"seccompProfile": {"type": "Unconfined"}}, {}, "seccompProfile"),
                ({}, {"hostNetwork": True}, "host namespaces"),
                ({}, {"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "runAsNonRoot != true"),
                ({}, {"volumes": "hostPath"}, "hostPath")):
            pod = copy.deepcopy(self.default_pod())
            pod["spec"]["serviceAccountName"] = "default"
            pod["spec"]["containers"][0]["securityContext"] |= container
            if spec.pop("volumes", None):
                pod["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}})
            pod["spec"] |= spec
            with self.subTest(why):
                refused = self.refusal(pod, self.namespace)
                self.assertEqual(refused.status, 403)
                self.assertIn('violates PodSecurity "restricted:latest"', refused.message)
                self.assertIn(why, refused.message)
                pod["metadata"]["namespace"] = elsewhere
                self.deployer.create(pod, elsewhere, **STRICT)

    def test_who_deploys_has_rights_in_the_namespace_alone(self):
        configuration = chart.one(chart.own(chart.rendered(DEFAULT)), "ConfigMap")
        configuration = {**configuration, "metadata": {"name": "x", "namespace": "default"}}
        self.assertEqual(self.refusal(configuration, "default").status, 403)
        for path in ("/api/v1/nodes", "/api/v1/namespaces", "/api/v1/pods"):
            with self.assertRaises(api.Refused) as caught:
                self.deployer.request("GET", path)
            self.assertEqual(caught.exception.status, 403)
