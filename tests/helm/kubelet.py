"""A kubelet for this machine: does with a process what the spec of a pod says.

A container has the image's program, user and stop signal, its own arguments, environment and files,
and nothing of ours. Probes, restarts, preStop and the grace period go as Kubernetes documents them.
What takes namespaces is done by other names: a mounted file lies below the pod's folder, with its path
changed wherever the spec and the files name it; and all pods have this machine's address, so the
configuration's ports are free ones, which the program's log tells.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time

TICK_SECONDS = 0.02
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Image:
    """What the Dockerfile says of a container, with `program` in the place of its ENTRYPOINT."""

    def __init__(self, dockerfile, program, folder):
        text = dockerfile.read_text()
        self.stop_signal = getattr(signal, re.search(r"^STOPSIGNAL (\w+)$", text, re.M)[1])
        # A copy, because a pod's user may not see into the folder of a build.
        self.program = shutil.copy(program, folder / "image")
        self.entrypoint = [str(self.program), *json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.M)[1])[1:]]


@dataclasses.dataclass
class Node:
    """What the pods of a release find where they run."""

    image: Image
    documents: list  # the rendered objects
    secrets: dict    # name → key → text
    folder: pathlib.Path

    def config_map(self, name):
        found = [d for d in self.documents if d["kind"] == "ConfigMap" and d["metadata"]["name"] == name]
        return found[0]["data"]


@dataclasses.dataclass
class Look:
    """One answer to a probe; status 0: nobody answered in time."""

    at: float
    status: int


class Probe:
    """What a probe of the spec has seen, in `looks`, and what follows from it."""

    def __init__(self, spec):
        self.path, self.port_name = spec["httpGet"]["path"], spec["httpGet"]["port"]
        self.period = spec["periodSeconds"]
        self.timeout = spec["timeoutSeconds"]
        self.threshold = spec["failureThreshold"]
        self.looks = []
        self.good = False
        self.failures = 0  # in a row

    def look(self, container):
        if self.looks and time.monotonic() < self.looks[-1].at + self.period:
            return
        look = Look(time.monotonic(), status_of(container.find_port(self.port_name), self.path, self.timeout))
        if 200 <= look.status < 400:
            self.good, self.failures = True, 0
        else:
            self.failures += 1
            self.good = self.good and not self.failed
        self.looks.append(look)

    @property
    def failed(self):
        return self.failures >= self.threshold


def get(port, path, timeout=3):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def status_of(port, path, timeout):
    if port is None:
        return 0
    try:
        return get(port, path, timeout)[0]
    except OSError:
        return 0


@dataclasses.dataclass
class Exit:
    code: int
    seconds: float  # since the pod was told to end, preStop included
    killed: bool    # the grace period was over


class Container:
    """The one container of a pod: its files, its environment, its process, one log for each start."""

    def __init__(self, node, pod_name, metadata, spec):
        self.node = node
        self.pod_name = pod_name
        self.namespace = metadata["namespace"]
        self.pod = spec
        (self.spec,) = spec["containers"]
        self.root = node.folder / pod_name
        self.process = None
        self.starts = 0
        self.ports = {}

    def start(self):
        self.starts += 1
        self.ports = {}
        # A pod that comes back under its name finds nothing that the last one has left.
        shutil.rmtree(self.root, ignore_errors=True)
        self.mount()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*self.confinement(), *self.node.image.entrypoint, *map(self.inside, self.spec["args"])],
                env=self.environment(), cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def log(self):
        return self.node.folder / f"{self.pod_name}.{self.starts}.log"

    def confinement(self):
        """Its rights as its security context says, if we may choose; and it ends when we do."""
        command = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
        if os.geteuid() == 0:
            security = self.pod["securityContext"]
            command += [f"--reuid={security['runAsUser']}", f"--regid={security['runAsGroup']}",
                        "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
        return [*command, "--"]

    def environment(self):
        variables = {}
        for variable in self.spec["env"]:
            value = variable.get("value") or self.referenced(variable.get("valueFrom", {}))
            for name, known in variables.items():
                value = value.replace(f"$({name})", known)
            variables[variable["name"]] = self.inside(value)
        return {"PATH": PATH, "HOME": "/", "HOSTNAME": self.pod_name} | variables

    def referenced(self, source):
        if "fieldRef" in source:
            return {"metadata.name": self.pod_name, "metadata.namespace": self.namespace}[
                source["fieldRef"]["fieldPath"]]
        if "secretKeyRef" in source:
            return self.node.secrets[source["secretKeyRef"]["name"]][source["secretKeyRef"]["key"]]
        if "configMapKeyRef" in source:
            return self.node.config_map(source["configMapKeyRef"]["name"])[source["configMapKeyRef"]["key"]]
        return ""

    def mount(self):
        volumes = {volume["name"]: self.files(volume) for volume in self.pod["volumes"]}
        for mount in self.spec["volumeMounts"]:
            for name, text in volumes[mount["name"]].items():
                if mount.get("subPath", name) != name:
                    continue
                file = pathlib.Path(self.inside(mount["mountPath"]))
                if "subPath" not in mount:
                    file /= name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(self.on_free_ports(self.inside(text)))

    def files(self, volume):
        """Name → text."""
        if "configMap" in volume:
            source, data = volume["configMap"], self.node.config_map(volume["configMap"]["name"])
        else:
            source, data = volume["secret"], self.node.secrets[volume["secret"]["secretName"]]
        items = source.get("items", [{"key": key, "path": key} for key in data])
        return {item["path"]: data[item["key"]] for item in items}

    def inside(self, text):
        """The text with the paths of mounts where they are on this machine."""
        for path in {mount["mountPath"] for mount in self.spec["volumeMounts"]}:
            text = text.replace(path, f"{self.root}{path}")
        return text

    @staticmethod
    def on_free_ports(text):
        return re.sub(r'"(0\.0\.0\.0|127\.0\.0\.1):(8080|8081|7070)"', '"127.0.0.1:0"', text)

    def find_port(self, name):
        """The port of that name in its spec, or None while it does not listen there."""
        if name not in self.ports:
            for line in self.log.read_text().splitlines(keepends=True):
                if f'"event":"{name}_listening"' in line and line.endswith("\n"):
                    self.ports[name] = json.loads(line)["port"]
        return self.ports.get(name)

    def peak_memory_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)[1]) * 1024


class Pod(threading.Thread):
    """A pod from its start until it is deleted, looked after by a thread of its own."""

    def __init__(self, node, name, metadata, spec):
        super().__init__(name=name, daemon=True)
        self.container = Container(node, name, metadata, spec)
        self.spec = spec
        self.stop_signal = node.image.stop_signal
        self.startup = self.liveness = self.readiness = None
        self.restarts = []  # why: an exit status, or the probe that failed
        self.ready_since = None
        self.exit = None
        self.peak_memory_bytes = 0
        self.deleted = threading.Event()

    @property
    def ready(self):
        return self.ready_since is not None

    def delete(self):
        """Returns when it has ended."""
        self.deleted.set()
        self.join()
        return self.exit

    def kill(self):
        """As the kernel does when the memory limit is reached."""
        self.container.process.kill()

    def run(self):
        self.begin()
        while not self.deleted.is_set():
            reason = self.ended_or_failed()
            if reason is not None:
                self.end(0)
                self.begin()
                self.restarts.append(reason)
            self.deleted.wait(TICK_SECONDS)
        self.end(self.container.spec.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0))
        self.ready_since = None

    def begin(self):
        spec = self.container.spec
        self.ready_since = None
        self.startup, self.liveness, self.readiness = (
            Probe(spec[name]) for name in ("startupProbe", "livenessProbe", "readinessProbe"))
        self.container.start()

    def ended_or_failed(self):
        code = self.container.process.poll()
        if code is not None:
            return code
        if not self.startup.good:
            self.startup.look(self.container)
            return "startup" if self.startup.failed else None
        self.liveness.look(self.container)
        self.readiness.look(self.container)
        if not self.readiness.good:
            self.ready_since = None
        elif not self.ready:
            self.ready_since = time.monotonic()
        return "liveness" if self.liveness.failed else None

    def end(self, pre_stop_seconds):
        process = self.container.process
        began = time.monotonic()
        if process.poll() is None:
            time.sleep(pre_stop_seconds)
            self.peak_memory_bytes = self.container.peak_memory_bytes()
            process.send_signal(self.stop_signal)
        killed = False
        try:
            process.wait(began + self.spec["terminationGracePeriodSeconds"] - time.monotonic())
        except subprocess.TimeoutExpired:
            killed = True
            process.kill()
            process.wait()
        self.exit = Exit(process.returncode, time.monotonic() - began, killed)


def run_to_end(node, name, metadata, spec, limit_seconds=60):
    """A pod that ends by itself, once: (exit status, what it said)."""
    container = Container(node, name, metadata, spec)
    container.start()
    return container.process.wait(limit_seconds), container.log.read_text()


class StatefulSet:
    """Makes the pods of a StatefulSet and replaces them in the order that Kubernetes does."""

    def __init__(self, node, document):
        self.node = node
        self.document = document
        self.pods = {}  # by ordinal
        self.gone = []

    def start(self, ordinal):
        name = f"{self.document['metadata']['name']}-{ordinal}"
        spec = self.document["spec"]["template"]["spec"]
        self.pods[ordinal] = Pod(self.node, name, self.document["metadata"], spec)
        self.pods[ordinal].start()

    def start_all(self):
        """podManagementPolicy Parallel: all at once."""
        for ordinal in range(self.document["spec"]["replicas"]):
            self.start(ordinal)

    def replace(self, ordinal):
        """The next pod under this name; returns when it counts as available."""
        self.gone.append(self.pods[ordinal])
        self.pods[ordinal].delete()
        self.start(ordinal)
        self.wait_until_available(ordinal)

    def wait_until_available(self, ordinal, limit_seconds=120):
        pod, deadline = self.pods[ordinal], time.monotonic() + limit_seconds
        while not (pod.ready and time.monotonic() >= pod.ready_since + self.document["spec"]["minReadySeconds"]):
            if time.monotonic() > deadline or not pod.is_alive():
                raise AssertionError(f"{pod.name} is not available after {limit_seconds} s; restarts: "
                                     f"{pod.restarts}; its log:\n{pod.container.log.read_text()}")
            time.sleep(TICK_SECONDS)

    def rolling_update(self):
        """From the highest ordinal down, one at a time."""
        for ordinal in sorted(self.pods, reverse=True):
            self.replace(ordinal)

    def delete_all(self):
        for pod in self.pods.values():
            pod.deleted.set()
        for pod in self.pods.values():
            pod.delete()
            self.gone.append(pod)
        self.pods = {}
