"""The cluster that the chart is installed into: a control plane, nodes, the kinds of the operators that
the chart can work with, and a namespace for each test."""

import functools
import itertools
import os

import yaml

import api
import chart
import control_plane
import nodes
import schemas
from control_plane import until

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
OPERATORS = ("monitoring.coreos.com", "keda.sh")


class Cluster:
    def __init__(self):
        self.control_plane = control_plane.shared()
        self.admin = self.control_plane.api("admin")
        self.deployer = self.control_plane.api("deployer")
        self.nodes = nodes.Nodes(self.admin)
        self._numbers = itertools.count(1)
        self._install_operators()
        # What the values of ci/ take for granted.
        self.admin.create({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                           "metadata": {"name": "data"}, "value": 1000})

    def _install_operators(self):
        for module, path in schemas.CUSTOM_RESOURCES:
            definition = yaml.safe_load((schemas.module(module) / path).read_text())
            self.admin.create(definition)
            name, spec = definition["metadata"]["name"], definition["spec"]
            until(lambda: self._is_established(name), f"the kind {name} is established")
            version, kind = f"{spec['group']}/{spec['versions'][0]['name']}", spec["names"]["kind"]
            until(lambda: self._is_known(version, kind), f"the kind {kind} can be found")
        # As the operators' own charts have it: who may do everything in a namespace may make these too.
        self.admin.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                           "metadata": {"name": "operators",
                                        "labels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}},
                           "rules": [{"apiGroups": OPERATORS, "resources": ["*"], "verbs": ["*"]}]})

    def _is_established(self, name):
        definition = self.admin.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
        conditions = definition.get("status", {}).get("conditions") or []
        return any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions)

    def _is_known(self, version, kind):
        try:
            return self.admin.path(version, kind)
        except (LookupError, api.Refused):
            return None

    def namespace(self, name=None, labels=RESTRICTED):
        """A new namespace, in which `deployer` is the admin and nobody anywhere else."""
        name = name or f"data-{next(self._numbers)}"
        self.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self.admin.create({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                           "metadata": {"name": "deployers-are-admins"},
                           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
                           "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
                                         "name": "deployers"}]}, name)
        # The account that ci/openshift-values.yaml wants to find.
        self.admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "restricted"}}, name)
        until(lambda: self.admin.find("v1", "ServiceAccount", name, "default"), f"{name} has its default account")
        until(lambda: self._may_deploy(name), f"deployer may make a ScaledObject in {name}")
        return name

    def _may_deploy(self, namespace):
        asked = {"namespace": namespace, "group": "keda.sh", "resource": "scaledobjects", "verb": "create"}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                  "spec": {"resourceAttributes": asked}}
        return self.deployer.create(review)[0]["status"]["allowed"]

    def helm(self, namespace, *arguments, values=None, program="helm"):
        """Runs helm as `deployer`; the finished process."""
        self.nodes.check()
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.control_plane.folder / "home"),
                       "KUBECONFIG": str(self.control_plane.kubeconfig("deployer"))}
        return chart.helm(*arguments, "--namespace", namespace, values=values, program=program, env=environment)


@functools.cache
def _started():
    try:
        return Cluster(), None
    except Exception as error:  # every test that wants it shall say why there is none
        return None, error


def shared():
    """The one that all tests of this process use."""
    cluster, error = _started()
    if error:
        raise RuntimeError(f"there is no cluster: {error}") from error
    return cluster
