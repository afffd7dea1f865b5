"""A release from helm's point of view: install, test, upgrade, rollback, uninstall, and what goes wrong.

API server and controllers are real; nodes.py plays the nodes. So objects are made, changed and
removed, pods are admitted and replaced in order, and no container runs.
"""

import datetime
import unittest

import api
import chart
import cluster
import nodes
from control_plane import until

NAME = f"{chart.RELEASE}-penstock"
PIPELINES = {"app.kubernetes.io/component": "pipelines"}
MIGRATION = {"app.kubernetes.io/component": "migration"}
UNKNOWN_FIELD = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "extra"},
                 "spec": {"doesNotExist": 1, "ports": [{"port": 1}]}}
QUICK = {"workload": {"minReadySeconds": 0}}


def changed_pipeline(**workload):
    return {"workload": {"minReadySeconds": 0, **workload}, "pipelines": [{
        "name": "orders", "source": {"topics": ["orders"], "group": "orders-to-postgres"},
        "compute": {"where": "msg.amount > 0.0"}, "sink": {"target": {"table": "orders"}}}]}


def instant(text):
    return datetime.datetime.fromisoformat(text)


def has(pod, labels):
    return labels.items() <= pod["metadata"].get("labels", {}).items()


def replay(events):
    """The pods that run pipelines, {uid: pod}, after each event."""
    pods = {}
    for what, pod in events:
        if has(pod, PIPELINES):
            pods.pop(pod["metadata"]["uid"], None)
            if what != "DELETED":
                pods[pod["metadata"]["uid"]] = pod
        yield dict(pods)


class Release(unittest.TestCase):
    program = chart.HELMS[0]

    def setUp(self):
        self.cluster = cluster.shared()
        self.admin = self.cluster.admin
        self.namespace = self.cluster.namespace()
        self.before = self.admin.names(self.namespace)

    def helm(self, *arguments, values=None):
        result = self.cluster.helm(self.namespace, *arguments, values=values, program=self.program)
        phases = {pod["metadata"]["name"]: pod["status"]["phase"] for _, pod in self.events()}
        self.assertEqual(result.returncode, 0, f"{arguments}: {result.stderr}; the pods: {phases}")
        for warning in ("warnings.go", "unknown field", "violate"):  # the server's, as client-go prints them
            self.assertNotIn(warning, result.stderr)
        return result

    def failing_helm(self, *arguments, values=None):
        result = self.cluster.helm(self.namespace, *arguments, values=values, program=self.program)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    @staticmethod
    def deploy(command, name="default", timeout="2m"):
        return (command, chart.RELEASE, chart.CHART, "--values", chart.CHART / "ci" / f"{name}-values.yaml",
                "--timeout", timeout)

    def workload(self, kind="StatefulSet"):
        return self.admin.get("apps/v1", kind, self.namespace, NAME)

    def configuration(self):
        return self.admin.get("v1", "ConfigMap", self.namespace, NAME)["data"]["penstock.yaml"]

    def events(self):
        return self.cluster.nodes.history(self.namespace)

    def pods(self):
        *_, now = replay(self.events())
        return now

    def wait_for_pods(self, count, other_than=()):
        """UIDs of `count` ready pods, none of them one of the others."""
        def settled():
            pods = self.pods()
            new = len(pods) == count and not pods.keys() & set(other_than)
            return pods if new and all(map(nodes.is_ready, pods.values())) else None
        return set(until(settled, f"{count} new pods are ready in {self.namespace}"))

    def assert_gone(self, but=frozenset()):
        left = lambda: self.admin.names(self.namespace) - self.before - but
        until(lambda: not left(), "nothing is left behind")

    def assert_one_at_a_time(self, start, replicas):
        """After event `start` all pods but one were always ready."""
        states = list(replay(self.events()))[start:]
        self.assertGreaterEqual(min(sum(map(nodes.is_ready, pods.values())) for pods in states), replicas - 1)

    def assert_migrated_first(self, start, first):
        """After event `start` a migration succeeded before the first event of this kind of a pipelines' pod."""
        events = self.events()[start:]
        migrated = [i for i, (_, pod) in enumerate(events)
                    if has(pod, MIGRATION) and pod["status"]["phase"] == "Succeeded"]
        others = [i for i, (what, pod) in enumerate(events) if what == first and has(pod, PIPELINES)]
        self.assertTrue(migrated)
        self.assertLess(migrated[0], others[0])


class Lifecycle(Release):
    def test_a_statefulset_is_installed_changed_rolled_back_and_removed(self):
        self.whole_life("StatefulSet", "default", 2)

    def test_a_deployment_is_installed_changed_rolled_back_and_removed(self):
        self.whole_life("Deployment", "deployment", 3)

    def whole_life(self, kind, values, replicas):
        self.helm(*self.deploy("install", values), "--wait", values=QUICK)
        installed, configuration = self.workload(kind), self.configuration()
        first = self.wait_for_pods(replicas)
        self.assert_migrated_first(0, "ADDED")

        self.assertIn("Phase:          Succeeded", self.helm("test", chart.RELEASE).stdout)

        start = len(self.events())
        self.helm(*self.deploy("upgrade", values), "--wait", values=changed_pipeline(replicas=replicas))
        upgraded = self.workload(kind)
        second = self.wait_for_pods(replicas, other_than=first)
        self.assertIn("msg.amount > 0.0", self.configuration())
        self.assertEqual(upgraded["metadata"]["generation"], installed["metadata"]["generation"] + 1)
        self.assertNotEqual(self.checksum(upgraded), self.checksum(installed))
        self.assert_migrated_first(start, "DELETED")
        self.assert_one_at_a_time(start, replicas)

        self.helm(*self.deploy("upgrade", values), "--wait", values=changed_pipeline(replicas=replicas))
        self.assertEqual(self.workload(kind)["metadata"]["generation"], upgraded["metadata"]["generation"])
        self.assertEqual(self.wait_for_pods(replicas), second)

        start = len(self.events())
        self.helm("rollback", chart.RELEASE, "1", "--wait", "--timeout", "2m")
        self.wait_for_pods(replicas, other_than=second)
        self.assertEqual(self.workload(kind)["spec"]["template"], installed["spec"]["template"])
        self.assertEqual(self.configuration(), configuration)
        self.assert_one_at_a_time(start, replicas)

        self.helm("uninstall", chart.RELEASE, "--wait", "--timeout", "2m")
        self.assert_gone(but={f"Pod/{NAME}-test"})  # to be read, as the manual says
        self.assertIn(f"Pod/{NAME}-test", self.admin.names(self.namespace))

    @staticmethod
    def checksum(workload):
        return workload["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    def test_a_release_can_go_from_any_values_to_the_next(self):
        self.helm(*self.deploy("install"), "--wait", values=QUICK)
        for file in chart.ALL_VALUES:
            with self.subTest(file.name):
                self.helm("upgrade", chart.RELEASE, chart.CHART, "--values", file, "--wait", "--timeout", "2m",
                          values=QUICK)
        self.helm("rollback", chart.RELEASE, "--wait", "--timeout", "2m")
        self.helm("uninstall", chart.RELEASE, "--wait", "--timeout", "2m")
        self.assert_gone()

    def test_autoscaling_that_is_turned_on_brings_the_fewest_pods(self):
        self.helm(*self.deploy("install", "deployment"), "--wait", values=QUICK)
        self.wait_for_pods(3)
        autoscaling = {"kind": "hpa", "minReplicas": 2, "maxReplicas": 3}
        self.helm(*self.deploy("upgrade", "deployment"), values=QUICK | {"autoscaling": autoscaling})
        # Without the number in the workload Kubernetes makes it 1, until the autoscaler looks.
        self.wait_for_pods(2)
        until(lambda: self.workload("Deployment")["spec"]["replicas"] == 2, "the autoscaler has set the number")


class LifecycleWithHelm4(Lifecycle):
    """Applies on the server's side, and waits in its own way."""
    program = chart.HELMS[1]

    def test_a_field_that_does_not_exist_is_refused(self):
        said = self.failing_helm(*self.deploy("install"), values={"extraObjects": [UNKNOWN_FIELD]})
        self.assertIn("doesNotExist", said)

    def test_a_migration_that_fails_is_told_when_the_time_is_up(self):
        self.cluster.nodes.fail(self.namespace, "migration")
        said = self.failing_helm(*self.deploy("install", timeout="10s"), values={"migrations": {"backoffLimit": 0}})
        self.assertIn(f"name: {NAME}-migrate, kind: Job, status: Failed", said)
        self.assertNotIn(f"StatefulSet/{NAME}", self.admin.names(self.namespace))


class Pods(Release):
    def test_the_next_pod_is_replaced_when_the_last_has_been_ready_for_a_while(self):
        self.helm(*self.deploy("install"), "--wait", values={"workload": {"minReadySeconds": 2}})
        first = self.wait_for_pods(2)
        self.helm(*self.deploy("upgrade"), values=changed_pipeline(minReadySeconds=2))
        self.wait_for_pods(2, other_than=first)
        last, before = sorted(self.pods().values(), key=lambda pod: pod["metadata"]["name"])
        ready = next(c["lastTransitionTime"] for c in before["status"]["conditions"] if c["type"] == "Ready")
        pause = instant(last["metadata"]["creationTimestamp"]) - instant(ready)
        self.assertGreaterEqual(pause.total_seconds(), 2)

    def test_nodes_that_are_drained_get_one_ready_pod_at_a_time(self):
        self.helm(*self.deploy("install"), "--wait", values={"workload": {"minReadySeconds": 0, "replicas": 3}})
        self.wait_for_pods(3)
        self.wait_for_budget(healthy=3, allowed=1)
        self.cluster.nodes.hold(self.namespace, "pipelines")
        self.evict(f"{NAME}-0")
        self.wait_for_budget(healthy=2, allowed=0)
        with self.assertRaises(api.Refused) as caught:
            self.evict(f"{NAME}-1")
        self.assertEqual(caught.exception.status, 429)

    def test_pods_that_are_not_ready_do_not_hold_up_the_draining_of_nodes(self):
        self.cluster.nodes.hold(self.namespace, "pipelines")
        self.helm(*self.deploy("install"), values=QUICK)
        self.wait_for_budget(healthy=0, allowed=0)
        until(lambda: all(pod["status"]["phase"] == "Running" for pod in self.pods().values()), "the pods run")
        self.evict(f"{NAME}-0")
        self.evict(f"{NAME}-1")

    def wait_for_budget(self, healthy, allowed):
        def is_so():
            status = self.admin.get("policy/v1", "PodDisruptionBudget", self.namespace, NAME)["status"]
            return (status.get("expectedPods") and len(self.pods()) == status["expectedPods"]
                    and (status["currentHealthy"], status["disruptionsAllowed"]) == (healthy, allowed))
        until(is_so, f"{healthy} pods are healthy and {allowed} may go")

    def evict(self, name):
        self.admin.request(
            "POST", self.admin.path("v1", "Pod", self.namespace, name) + "/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": self.namespace}})


class Trouble(Release):
    def test_a_migration_that_fails_stops_the_install_before_any_pod_starts(self):
        self.cluster.nodes.fail(self.namespace, "migration")
        said = self.failing_helm(*self.deploy("install"), values={"migrations": {"backoffLimit": 0}})
        self.assertIn(f"{NAME}-migrate failed: BackoffLimitExceeded", said)
        left = self.admin.names(self.namespace) - self.before
        self.assertEqual({name for name in left if not name.startswith(f"Pod/{NAME}-migrate-")},
                         {f"Job/{NAME}-migrate", f"Secret/sh.helm.release.v1.{chart.RELEASE}.v1"})

        self.cluster.nodes.heal(self.namespace)
        self.helm(*self.deploy("upgrade"), "--install", "--wait", values=QUICK)
        self.wait_for_pods(2)
        self.helm("uninstall", chart.RELEASE, "--wait")
        self.assert_gone()

    def test_a_migration_that_fails_stops_an_upgrade_and_leaves_the_pods_alone(self):
        self.helm(*self.deploy("install"), "--wait", values=QUICK)
        pods, configuration = self.wait_for_pods(2), self.configuration()
        self.cluster.nodes.fail(self.namespace, "migration")
        values = changed_pipeline() | {"migrations": {"backoffLimit": 0}}
        self.assertIn("pre-upgrade hooks failed", self.failing_helm(*self.deploy("upgrade"), values=values))
        self.assertEqual(self.workload()["metadata"]["generation"], 1)
        self.assertEqual(self.configuration(), configuration)
        self.assertEqual(self.wait_for_pods(2), pods)

        self.cluster.nodes.heal(self.namespace)
        self.helm(*self.deploy("upgrade"), "--wait", values=changed_pipeline())
        self.wait_for_pods(2, other_than=pods)

    def test_a_version_that_does_not_start_costs_one_pod_and_is_rolled_back_without_help(self):
        self.helm(*self.deploy("install"), "--wait", values={"workload": {"minReadySeconds": 0, "replicas": 3}})
        pods, start = self.wait_for_pods(3), len(self.events())
        self.cluster.nodes.hold(self.namespace, "pipelines")
        self.helm(*self.deploy("upgrade"), values=changed_pipeline(replicas=3))
        until(lambda: any(pod["status"]["phase"] == "Running" for uid, pod in self.pods().items() if uid not in pods),
              "a pod of the new version runs, and is not ready")
        self.cluster.nodes.heal(self.namespace)
        self.helm("rollback", chart.RELEASE, "1", "--wait", "--timeout", "2m")
        self.assertEqual(len(self.wait_for_pods(3) & pods), 2)
        self.assert_one_at_a_time(start, 3)

    def test_a_test_that_fails_is_told(self):
        self.helm(*self.deploy("install"), "--wait", values=QUICK)
        self.cluster.nodes.fail(self.namespace, "test")
        self.assertIn(f"pod {NAME}-test failed", self.failing_helm("test", chart.RELEASE))

    def test_what_the_api_server_does_not_take_is_told_and_can_be_put_right(self):
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}}
        said = self.failing_helm(*self.deploy("install"), values={"affinity": affinity})
        self.assertIn("requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value", said)
        self.helm(*self.deploy("upgrade"), "--install", "--wait", values=QUICK)
        self.helm("uninstall", chart.RELEASE, "--wait")
        self.assert_gone()

    def test_a_pod_with_more_rights_among_the_extra_objects_is_refused(self):
        spec = {"containers": [{"name": "shell", "image": "shell", "securityContext": {"privileged": True}}]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"}, "spec": spec}
        said = self.failing_helm(*self.deploy("install"), values={"extraObjects": [pod]})
        self.assertIn('pods "shell" is forbidden: violates PodSecurity "restricted:latest": privileged', said)

    def test_a_warning_of_the_server_is_noticed(self):
        values = {"extraObjects": [UNKNOWN_FIELD]}
        result = self.cluster.helm(self.namespace, *self.deploy("install"), values=values)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("warnings.go", result.stderr)
        self.assertRegex(result.stderr, r"unknown field .*spec\.doesNotExist")
