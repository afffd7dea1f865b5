"""What the chart refuses, and what it says then; and that the schema knows what the program knows."""

import json
import re
import unittest

import yaml

import chart

PIPELINE = {"name": "orders", "source": {"topics": ["orders"], "group": "orders-to-postgres"},
            "sink": {"target": {"table": "orders"}}}


def pipeline(**changes):
    return {"pipelines": [{**PIPELINE, **changes}]}


def source(**changes):
    return pipeline(source={**PIPELINE["source"], **changes})


SASL = {"securityProtocol": "sasl_ssl", "sasl": {"existingSecret": "kafka-user"}}

# What is wrong, the values on top of ci/default-values.yaml, and what helm must say.
REFUSED = [
    ("an unknown key", {"replicaCount": 3}, "at '': additional properties 'replicaCount' not allowed"),
    ("an unknown key, deep", {"probes": {"liveness": {"path": "/"}}},
     "at '/probes/liveness': additional properties 'path' not allowed"),
    ("a mistyped key of a pipeline", pipeline(sinks={}), "at '/pipelines/0': additional properties 'sinks'"),
    ("no pipeline at all", {"pipelines": []}, "at '/pipelines': minItems: got 0, want 1"),
    ("pipelines and a ConfigMap", {"existingConfigMap": {"name": "x"}}, "at '/pipelines': maxItems: got 1, want 0"),
    ("a pipeline without a group", source(group=""), "at '/pipelines/0/source/group': minLength: got 0, want 1"),
    ("a topic that is a pattern", source(topics=["^orders.*"]),
     "at '/pipelines/0/source/topics/0': '^orders.*' does not match pattern"),
    ("a duration without a unit", pipeline(drain_timeout="10"), "at '/pipelines/0/drain_timeout'"),
    ("a size of words", pipeline(resources={"memory_bytes": "much"}), "at '/pipelines/0/resources/memory_bytes'"),
    ("another kind of workload", {"workload": {"kind": "DaemonSet"}},
     "at '/workload/kind': value must be one of 'StatefulSet', 'Deployment'"),
    ("static membership of a Deployment", {"workload": {"kind": "Deployment"}},
     "at '/staticMembership/enabled': value must be false"),
    ("a session that brokers refuse", {"staticMembership": {"sessionTimeoutSeconds": 3}},
     "at '/staticMembership/sessionTimeoutSeconds': minimum: got 3, want 6"),
    ("replicas as text", {"workload": {"replicas": "2"}}, "at '/workload/replicas': got string, want integer"),
    ("root", {"securityContext": {"runAsUser": 0}}, "at '/securityContext/runAsUser': minimum: got 0, want 1"),
    ("privileges", {"securityContext": {"privileged": True}},
     "at '/securityContext': additional properties 'privileged' not allowed"),
    ("the node's file system", {"extraVolumes": [{"name": "x", "hostPath": {"path": "/"}}]},
     "at '/extraVolumes/0': additional properties 'hostPath' not allowed"),
    ("a volume of nothing", {"extraVolumes": [{"name": "x"}]}, "at '/extraVolumes/0': minProperties: got 1, want 2"),
    ("two autoscalers", {"autoscaling": {"kind": ["hpa", "keda"]}},
     "at '/autoscaling/kind': value must be one of 'none', 'hpa', 'keda'"),
    ("autoscaling without a cap", {"autoscaling": {"kind": "keda"}}, "at '/partitions': minimum: got 0, want 1"),
    ("KEDA on Prometheus without an address",
     {"partitions": 4, "autoscaling": {"kind": "keda", "keda": {"trigger": "prometheus"}}},
     "at '/autoscaling/keda/prometheus/serverAddress': minLength: got 0, want 1"),
    ("SASL without a password", {"kafka": {"securityProtocol": "sasl_ssl", "sasl": {"username": "u"}}},
     "at '/kafka/sasl/existingSecret': minLength: got 0, want 1"),
    ("SASL without a user", {"kafka": SASL}, "at '/kafka/sasl/username': minLength: got 0, want 1"),
    ("SASL with two users",
     {"kafka": {**SASL, "sasl": {"existingSecret": "s", "username": "u", "usernameKey": "k"}}},
     "at '/kafka/sasl/username': value must be ''"),
    ("certificates without TLS", {"kafka": {"securityProtocol": "plaintext", "tls": {"caSecret": "ca"}}},
     "at '/kafka/tls/caSecret': value must be ''"),
    ("a password that goes to brokers in the open",
     {"kafka": {"securityProtocol": "sasl_plaintext",
                "sasl": {"existingSecret": "kafka-user", "username": "u", "mechanism": "PLAIN"}}},
     "at '/kafka/sasl/mechanism': 'PLAIN' does not match pattern"),
    ("a control API that asks nobody who they are", {"control": {"enabled": True}},
     "at '/control/tls/existingSecret': minLength: got 0, want 1"),
    ("a control API without an authority for its callers",
     {"control": {"enabled": True, "tls": {"existingSecret": "s", "clientCaKey": ""}}}, "at '/control/tls/clientCaKey'"),
    ("brokers without a port", {"kafka": {"bootstrapServers": "kafka"}}, "at '/kafka/bootstrapServers': 'kafka' does not"),
    ("a digest cut short", {"image": {"digest": "sha256:12"}}, "at '/image/digest': 'sha256:12' does not match"),
    ("no memory limit", {"resources": {"limits": {"memory": None}}}, "at '/resources/limits': missing property 'memory'"),
    ("memory without a unit", {"resources": {"limits": {"memory": "512"}}}, "at '/resources/limits/memory': '512' does"),
    ("alerts without pages", {"prometheusRule": {"enabled": True}},
     "at '/prometheusRule/runbookBaseUrl': minLength: got 0, want 1"),
    ("a label that selects pods", {"podLabels": {"app.kubernetes.io/name": "x"}}, "at '/podLabels'"),
    ("a port out of range", {"networkPolicy": {"egress": {"kafka": {"ports": [90920]}}}},
     "at '/networkPolicy/egress/kafka/ports/0': maximum: got 90,920, want 65,535"),
    ("a peer of two kinds",
     {"networkPolicy": {"ingress": {"control": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}}},
     "at '/networkPolicy/ingress/control/0': maxProperties: got 2, want 1"),
    # What compares two values, or a value with a pattern that would not explain itself.
    ("a password of the brokers", source(kafka={"sasl.password": "hunter2"}),
     "pipelines: 'orders' has sasl.password in the open; put it in a Secret"),
    ("a password of the database", pipeline(sink={"target": {"table": "t"}, "postgres": "postgres://u:hunter2@db/shop"}),
     "pipelines: 'orders' has a password in sink.postgres; put the connection string in a Secret"),
    ("a password with a slash", pipeline(sink={"target": {"table": "t"}, "postgres": "postgres://u:ab/cd@db/shop"}),
     "pipelines: 'orders' has a password in sink.postgres"),
    ("a password in key=value form", pipeline(sink={"target": {"table": "t"}, "postgres": "host=db password=hunter2"}),
     "pipelines: 'orders' has a password in sink.postgres"),
    ("no database", {"database": {"existingSecret": ""}},
     "'orders' has no sink.postgres, and database.existingSecret names no Secret"),
    ("no brokers", {"kafka": {"bootstrapServers": ""}},
     "'orders' has no bootstrap.servers under source.kafka, and kafka.bootstrapServers is empty"),
    ("two pipelines of one name", {"pipelines": [PIPELINE, PIPELINE]}, "'orders' is the name of two pipelines"),
    ("two static members of one name", {"pipelines": [PIPELINE, {**PIPELINE, "name": "b"}]},
     "two pipelines are in the group 'orders-to-postgres'; with staticMembership"),
    ("more workers at least than at most", {"workers": {"min": 3, "max": 2}},
     "workers.min is 3, but workers.max is 2"),
    ("more pods than partitions", {"partitions": 2, "workload": {"replicas": 3}},
     "workload.replicas is 3, but there are 2 partitions: the other pods would idle"),
    ("more pods at least than at most",
     {"partitions": 4, "autoscaling": {"kind": "hpa", "minReplicas": 6}},
     "autoscaling.minReplicas is 6, but maxReplicas and partitions allow 4"),
    ("nothing to scale on", {"partitions": 4, "autoscaling": {"kind": "hpa", "cpuUtilization": 0}},
     "neither cpuUtilization nor hpa.lagMetric.name is set"),
    ("KEDA without groups",
     {"partitions": 4, "pipelines": [], "existingConfigMap": {"name": "x"}, "autoscaling": {"kind": "keda"}},
     "needs autoscaling.keda.consumerGroups"),
    ("an alert that is not there",
     {"prometheusRule": {"enabled": True, "runbookBaseUrl": "https://x.example", "disabled": ["PenstockNothing"]}},
     "prometheusRule.disabled: there is no alert 'PenstockNothing'"),
]


def keys_of_the_program():
    """Path → keys, from the page that is generated from the program's own specification."""
    page = (chart.ROOT / "docs" / "reference" / "configuration.md").read_text()
    sections = re.split(r"^## ", page, flags=re.M)[1:]
    return {section.splitlines()[0].strip(): set(re.findall(r"^\| `(\w+)` \|", section, flags=re.M))
            for section in sections}


class Schema(unittest.TestCase):
    def setUp(self):
        self.schema = json.loads((chart.CHART / "values.schema.json").read_text())

    def resolve(self, node):
        while "$ref" in node:
            node = self.schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
        return node

    def keys(self, path):
        node = self.schema
        for part in path.split("."):
            name = part.removesuffix("[]")
            node = self.resolve(node["properties"][name])
            if part.endswith("[]"):
                node = self.resolve(node["items"])
        return set(node["properties"])

    def test_a_wrong_value_is_refused_with_a_clear_message(self):
        for name, values, message in REFUSED:
            with self.subTest(name):
                result = chart.template(chart.CHART / "ci" / "default-values.yaml", values=values)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(message, result.stderr)

    def test_a_pipeline_may_say_exactly_what_the_program_understands(self):
        checked = 0
        for path, keys in keys_of_the_program().items():
            if path.startswith("pipelines[]"):
                self.assertEqual(self.keys(path), keys, path)
                checked += 1
        self.assertGreaterEqual(checked, 12)

    def test_the_log_may_be_what_the_program_understands(self):
        self.assertEqual(self.keys("log"), keys_of_the_program()["log"])

    def test_every_value_is_in_the_schema_and_every_key_of_the_schema_is_a_value(self):
        values = yaml.safe_load((chart.CHART / "values.yaml").read_text())

        def compare(node, value, path):
            node = self.resolve(node)
            if not isinstance(value, dict) or "properties" not in node:
                return
            free = {"global"} if not path else set()
            self.assertEqual(set(node["properties"]) - free, set(value), path or "the top")
            for key, below in value.items():
                compare(node["properties"][key], below, f"{path}.{key}")

        for key in ("networkPolicy", "affinity"):
            self.assertIn(key, values)
        values["affinity"] = dict.fromkeys(self.schema["properties"]["affinity"]["properties"], {})
        compare(self.schema, values, "")

    def test_every_mapping_is_closed_or_says_what_its_values_are(self):
        free = {"global", "nodeAffinity", "podAffinity", "podAntiAffinity", "configMap", "csi", "downwardAPI",
                "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}

        def check(node, key):
            if isinstance(node, list):
                for item in node:
                    check(item, key)
            elif isinstance(node, dict):
                if node.get("type") == "object" and key not in free:
                    self.assertIn("additionalProperties", node, key)
                for name, below in node.items():
                    check(below, name)

        check(self.schema, "")
