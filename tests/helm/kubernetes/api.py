"""Just enough of a client for the Kubernetes API: objects as Python mappings, answers with their warnings."""

import http.client
import json
import ssl
import time
import urllib.parse
import urllib.request

MERGE_PATCH = "application/merge-patch+json"


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


class Refused(Exception):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class Api:
    def __init__(self, url, token, authority):
        self._address = urllib.parse.urlsplit(url).netloc
        self._token = token
        self._tls = ssl.create_default_context(cafile=authority)
        self._kinds = {}

    def _send(self, method, path, body=None, content_type="application/json", timeout=60):
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=timeout)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        return connection, connection.getresponse()

    def request(self, method, path, body=None, content_type="application/json"):
        """(what was answered, its warnings); raises Refused."""
        for _ in range(30):
            connection, answer = self._send(method, path, body, content_type)
            try:
                text = answer.read()
            finally:
                connection.close()
            pause = answer.headers.get("Retry-After")  # such as when a kind has just been defined
            if pause is None:
                break
            time.sleep(int(pause))
        if answer.status >= 300:
            try:
                raise Refused(answer.status, json.loads(text)["message"])
            except ValueError:
                raise Refused(answer.status, text.decode(errors="replace")) from None
        return json.loads(text), answer.headers.get_all("Warning", [])

    def is_ready(self):
        try:
            connection, answer = self._send("GET", "/readyz", timeout=5)
            connection.close()
            return answer.status == 200
        except OSError:
            return False

    def watch(self, path, on_open):
        """The events of what stands at a path, from now on, until the server ends."""
        version = self.request("GET", path)[0]["metadata"]["resourceVersion"]
        connection, answer = self._send("GET", f"{path}?watch=1&resourceVersion={version}", timeout=None)
        on_open()
        try:
            while line := answer.readline():
                yield json.loads(line)
        except (OSError, http.client.HTTPException):
            pass  # the server has ended in the middle of a chunk
        finally:
            connection.close()

    def resources(self):
        """(group and version, resource) of everything that lives in namespaces and can be listed."""
        groups = self.request("GET", "/apis")[0]["groups"]
        for version in ["v1"] + [group["preferredVersion"]["groupVersion"] for group in groups]:
            for resource in self._resources(version):
                if resource["namespaced"] and "list" in resource["verbs"]:
                    yield version, resource

    def path(self, version, kind, namespace="", name="", **query):
        return self._path(version, self._resource(version, kind), namespace, name, **query)

    def _resource(self, version, kind):
        for _ in range(2):
            for resource in self._resources(version):
                if resource["kind"] == kind and "/" not in resource["name"]:
                    return resource
            self._kinds.pop(version, None)  # it may have been defined since
        raise LookupError(f"the server knows no {kind} of {version}")

    def _path(self, version, resource, namespace, name="", **query):
        path = self._root(version)
        if namespace and resource["namespaced"]:
            path += f"/namespaces/{namespace}"
        path += f"/{resource['name']}"
        if name:
            path += f"/{name}"
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def _resources(self, version):
        if version not in self._kinds:
            self._kinds[version] = self.request("GET", self._root(version))[0]["resources"]
        return self._kinds[version]

    @staticmethod
    def _root(version):
        return f"/apis/{version}" if "/" in version else f"/api/{version}"

    def create(self, document, namespace="", **query):
        return self.request("POST", self.path(document["apiVersion"], document["kind"], namespace, **query), document)

    def get(self, version, kind, namespace, name):
        return self.request("GET", self.path(version, kind, namespace, name))[0]

    def find(self, version, kind, namespace, name):
        """The object, or None."""
        try:
            return self.get(version, kind, namespace, name)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def list(self, version, kind, namespace):
        return self.request("GET", self.path(version, kind, namespace))[0]["items"]

    def names(self, namespace):
        """KIND/NAME of everything in a namespace, but the record of what happened in it."""
        found = set()
        for version, resource in self.resources():
            if resource["kind"] != "Event":
                items = self.request("GET", self._path(version, resource, namespace))[0]["items"]
                found |= {f"{resource['kind']}/{item['metadata']['name']}" for item in items}
        return found
