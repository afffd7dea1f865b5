"""Plays the part of the nodes: there are none, no container starts, but pods that were admitted count
as running and ready, those that have work to do have done it, and those that are deleted take a
moment to end.

It also remembers every change of every pod, in order, so that a test can say what was never the case.
"""

import copy
import datetime
import threading

import api

TRIES = 20  # the controllers change pods, too
ENDING_SECONDS = 0.2  # controllers are made for pods that take a moment to end
COMPONENT = "app.kubernetes.io/component"


class Nodes:
    def __init__(self, admin):
        self._api = admin
        self._lock = threading.Lock()
        self._history = []
        self._fails = set()
        self._held = set()
        self._ended = None
        self._ending = set()
        opened = threading.Event()
        threading.Thread(target=self._watch, args=[opened.set], daemon=True).start()
        if not opened.wait(60):
            raise RuntimeError(f"pods cannot be watched: {self._ended}")

    def fail(self, namespace, component):
        """Pods of this component end with an error from now on."""
        with self._lock:
            self._fails.add((namespace, component))

    def hold(self, namespace, component):
        """New pods of this component run and do not become ready."""
        with self._lock:
            self._held.add((namespace, component))

    def heal(self, namespace):
        with self._lock:
            self._fails = {item for item in self._fails if item[0] != namespace}
            self._held = {item for item in self._held if item[0] != namespace}

    def check(self):
        with self._lock:
            if self._ended:
                raise RuntimeError(f"pods are no longer watched: {self._ended}")

    def history(self, namespace):
        """(ADDED, MODIFIED or DELETED, the pod) in order."""
        self.check()
        with self._lock:
            return [event for event in self._history if event[1]["metadata"]["namespace"] == namespace]

    def _watch(self, on_open):
        try:
            for event in self._api.watch("/api/v1/pods", on_open):
                if event["type"] == "ERROR":
                    raise RuntimeError(event["object"])
                self._see(event["type"], event["object"])
            raise RuntimeError("the API server has closed the connection")
        except Exception as error:  # told to whoever asks next
            with self._lock:
                self._ended = error

    def _see(self, what, pod):
        with self._lock:
            self._history.append((what, copy.deepcopy(pod)))
        if what == "DELETED":
            return
        if "deletionTimestamp" in pod["metadata"]:
            if pod["metadata"]["uid"] not in self._ending:
                self._ending.add(pod["metadata"]["uid"])
                threading.Timer(ENDING_SECONDS, self._try, [self._end, pod]).start()
        elif pod["status"]["phase"] == "Pending":
            self._try(self._start, pod)

    def _start(self, pod):
        path = self._path(pod)
        if "nodeName" not in pod["spec"]:  # from now on it is the node that lets a pod go
            self._api.request("POST", path + "/binding", {
                "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": "node"},
                "metadata": {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}})
            pod["spec"]["nodeName"] = "node"
        change = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": self._status(pod)}
        self._api.request("PATCH", path + "/status", change, api.MERGE_PATCH)

    def _end(self, pod):
        self._api.request("DELETE", self._path(pod), {
            "gracePeriodSeconds": 0, "preconditions": {"uid": pod["metadata"]["uid"]}})

    def _path(self, pod):
        return self._api.path("v1", "Pod", pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _try(self, change, pod):
        namespace, name, uid = (pod["metadata"][field] for field in ("namespace", "name", "uid"))
        for attempt in range(TRIES):
            try:
                return change(pod)
            except OSError:
                return None  # the API server has ended
            except api.Refused:
                now = self._api.find("v1", "Pod", namespace, name)
                if now is None or now["metadata"]["uid"] != uid:
                    return None  # it is gone, or another has its name by now
                if attempt == TRIES - 1:
                    raise

    def _status(self, pod):
        key = (pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get(COMPONENT, ""))
        with self._lock:
            fails, held = key in self._fails, key in self._held
        if fails:
            return {"phase": "Failed"}
        if pod["spec"]["restartPolicy"] == "Never":
            return {"phase": "Succeeded"}
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "False" if held else "True", "lastTransitionTime": now}]}


def is_ready(pod):
    conditions = pod["status"].get("conditions", [])
    return "deletionTimestamp" not in pod["metadata"] and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
