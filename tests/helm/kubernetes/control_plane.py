#!/usr/bin/env python3
"""A Kubernetes control plane for tests: etcd, kube-apiserver and kube-controller-manager.

They listen on ephemeral ports of 127.0.0.1 and keep everything in a folder of their own; both end
with this process, however it ends. There is no node: nodes.py plays that part. Two users may come
in: `admin`, who may do everything, and `deployer`, who is what a namespace's RoleBindings make him.

By hand: tests/helm/kubernetes/control_plane.py FOLDER, with what tools/kubernetes_kit.sh prints, starts
one, prints the path of the admin's kubeconfig, and goes on until it is interrupted.
"""

import atexit
import functools
import json
import os
import pathlib
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import api

# What the chart's objects need to come to life, and to be gone with their owners.
CONTROLLERS = ["clusterrole-aggregation", "deployment", "disruption", "endpointslice", "garbage-collector",
               "horizontal-pod-autoscaler", "job", "replicaset", "serviceaccount", "statefulset"]
START_SECONDS = 180  # some seconds on an idle machine


def until(condition, what, seconds=60):
    """Waits for a condition and returns what it gave."""
    end = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.05)
    return result


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


class PortTaken(Exception):
    pass


class Process:
    """One program. The kernel kills it when we end."""

    def __init__(self, folder, name, *arguments):
        self.name = name.rsplit("/", 1)[-1]
        self._log = folder / f"{self.name}.log"
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", name, *arguments],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0)

    def check(self):
        if self._popen.poll() is None:
            return
        if "address already in use" in self._log.read_text(errors="replace"):
            raise PortTaken(self.name)
        raise RuntimeError(f"{self.name} ended with status {self._popen.returncode}:\n{self._last_lines()}")

    def wait_for(self, condition):
        def ready():
            self.check()
            return condition()
        try:
            until(ready, f"{self.name} is ready", START_SECONDS)
        except AssertionError as error:
            raise RuntimeError(f"{error}; its last lines:\n{self._last_lines()}") from None

    def _last_lines(self):
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def stop(self):
        self._popen.terminate()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


class ControlPlane:
    def __init__(self, programs):
        self._programs = pathlib.Path(programs)
        self._processes = []
        self._tokens = {"admin": secrets.token_hex(16), "deployer": secrets.token_hex(16)}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="penstock-cluster-"))

    def start(self):
        try:
            self._write_credentials()
            etcd = self.start_etcd()
            self._listening(1, lambda port: self._start_api_server(etcd, port))
            for user in self._tokens:
                self._write_kubeconfig(user)
            self._start_controllers()
        except BaseException:
            self.stop()
            raise
        return self

    def start_etcd(self):
        return self._listening(2, self._start_etcd)

    def stop(self):
        while self._processes:
            self._processes.pop().stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self):
        for process in self._processes:
            process.check()

    def api(self, user):
        return api.Api(self.url, self._tokens[user], self.folder / "server.crt")

    def kubeconfig(self, user):
        return self.folder / f"{user}.kubeconfig"

    def _listening(self, count, start):
        # A port that was free a moment ago may be another program's by now.
        for attempt in range(5):
            try:
                return start(*free_ports(count))
            except PortTaken:
                self._processes.pop().stop()
        raise RuntimeError("no port could be had in five attempts")

    def _run(self, name, *arguments):
        self._processes.append(Process(self.folder, name, *arguments))
        return self._processes[-1]

    def _write_credentials(self):
        for name, what in (("server", "/CN=127.0.0.1"), ("service-accounts", "/CN=service-accounts")):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-noenc", "-days", "2", "-subj", what, "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.crt"],
                           check=True, capture_output=True)
        groups = {"admin": "system:masters", "deployer": "deployers"}
        (self.folder / "tokens.csv").write_text("".join(
            f"{token},{user},{user},{groups[user]}\n" for user, token in self._tokens.items()))

    def _write_kubeconfig(self, user):
        self.kubeconfig(user).write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": self.url, "certificate-authority": str(self.folder / "server.crt")}}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}]}))
        self.kubeconfig(user).chmod(0o600)

    def _start_etcd(self, port, peer_port):
        url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
        etcd = self._run("etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
                         "--listen-client-urls", url, "--advertise-client-urls", url,
                         "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                         "--initial-cluster", f"default={peer_url}")
        etcd.wait_for(lambda: api.answers(f"{url}/health"))
        return url

    def _start_api_server(self, etcd, port):
        folder = self.folder
        server = self._run(
            str(self._programs / "kube-apiserver"), f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1", f"--secure-port={port}", "--endpoint-reconciler-type=none",
            f"--tls-cert-file={folder}/server.crt", f"--tls-private-key-file={folder}/server.key",
            "--anonymous-auth=false", f"--token-auth-file={folder}/tokens.csv", "--authorization-mode=RBAC",
            "--allow-privileged=true",  # as clusters have it, so that it is Pod Security that refuses
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/service-accounts.crt",
            f"--service-account-signing-key-file={folder}/service-accounts.key",
            "--service-cluster-ip-range=10.0.0.0/24", "--enable-priority-and-fairness=false", "--profiling=false")
        self.url = f"https://127.0.0.1:{port}"
        admin = self.api("admin")
        server.wait_for(admin.is_ready)

    def _start_controllers(self):
        controllers = self._run(
            str(self._programs / "kube-controller-manager"), f"--kubeconfig={self.kubeconfig('admin')}",
            "--controllers=" + ",".join(f"{name}-controller" for name in CONTROLLERS),
            "--leader-elect=false", "--secure-port=0", "--profiling=false",
            "--kube-api-qps=200", "--kube-api-burst=400")
        admin = self.api("admin")  # they make the account `default` of every namespace
        controllers.wait_for(lambda: admin.find("v1", "ServiceAccount", "default", "default"))


@functools.cache
def shared():
    """The one that all tests of this process use; it ends with the process."""
    control_plane = ControlPlane(os.environ["PENSTOCK_KUBERNETES_KIT"])
    atexit.register(control_plane.stop)
    return control_plane.start()


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: control_plane.py FOLDER: where kube-apiserver and kube-controller-manager are"
                 " (tools/kubernetes_kit.sh prints it)")
    signal.signal(signal.SIGTERM, interrupt)
    control_plane = ControlPlane(sys.argv[1])
    try:
        control_plane.start()
        print(control_plane.kubeconfig("admin"), flush=True)
        while True:
            control_plane.check()
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        control_plane.stop()


if __name__ == "__main__":
    main()
