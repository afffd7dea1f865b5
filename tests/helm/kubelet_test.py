"""The kubelet notices pods that do not behave: what pod_life_test says of Penstock's could be otherwise."""

import pathlib
import tempfile
import textwrap
import unittest

import kubelet
import stand

# Serves the statuses that its first argument lists, one for each request, the last one for ever. Its
# second argument says what it does when it is told to end.
PROGRAM = """\
    #!/usr/bin/python3
    import http.server, signal, sys

    statuses = [int(status) for status in sys.argv[1].split(",")]
    ending = {"deaf": signal.SIG_IGN, "fails": lambda *_: sys.exit(3)}
    signal.signal(signal.SIGTERM, ending[sys.argv[2]])

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            self.end_headers()

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    print('{"event":"probes_listening","port":%d}' % server.server_port, flush=True)
    server.serve_forever()
"""
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
DOCKERFILE = 'STOPSIGNAL SIGTERM\nENTRYPOINT ["/usr/bin/program"]\n'


def probe(threshold):
    return {"httpGet": {"path": "/", "port": "probes"}, "periodSeconds": 0.1, "timeoutSeconds": 5, "failureThreshold": threshold}


class Kubelet(unittest.TestCase):
    def start(self, statuses, ending="fails", **probes):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="penstock-pods-")))
        folder.chmod(0o755)
        (folder / "Dockerfile").write_text(DOCKERFILE)
        program = folder / "program"
        program.write_text(textwrap.dedent(PROGRAM))
        program.chmod(0o755)
        node = kubelet.Node(kubelet.Image(folder / "Dockerfile", program, folder), [], {}, folder)
        spec = {"containers": [{
                    "args": [",".join(map(str, statuses)), ending], "env": [], "volumeMounts": [],
                    **{name: probe(probes.get(name, 1000)) for name in PROBES}}],
                "volumes": [], "securityContext": {"runAsUser": 65532, "runAsGroup": 65532},
                "terminationGracePeriodSeconds": 0.5}
        pod = kubelet.Pod(node, "pod-0", {"namespace": "test"}, spec)
        pod.start()
        self.addCleanup(pod.delete)
        return pod

    def test_a_program_that_does_not_end_is_killed_after_its_grace_period(self):
        pod = self.start([200], ending="deaf")
        stand.wait_until(lambda: pod.ready, "it is ready")
        ended = pod.delete()
        self.assertTrue(ended.killed)
        self.assertGreaterEqual(ended.seconds, 0.5)

    def test_the_exit_status_is_the_programs(self):
        pod = self.start([200])
        stand.wait_until(lambda: pod.ready, "it is ready")
        ended = pod.delete()
        self.assertEqual((ended.code, ended.killed), (3, False))

    def test_a_program_that_never_comes_up_is_restarted(self):
        pod = self.start([503], startupProbe=3)
        stand.wait_until(lambda: pod.restarts, "it is restarted")
        self.assertEqual(pod.restarts[0], "startup")
        self.assertFalse(pod.ready)

    def test_a_program_whose_liveness_fails_is_restarted(self):
        pod = self.start([200, 200, 200, 503], livenessProbe=3)
        stand.wait_until(lambda: pod.restarts, "it is restarted")
        self.assertEqual(pod.restarts[0], "liveness")

    def test_a_program_that_fails_its_readiness_is_not_ready_and_goes_on(self):
        pod = self.start([200, 200, 200, 503], readinessProbe=3)
        stand.wait_until(lambda: pod.ready, "it is ready")
        stand.wait_until(lambda: not pod.ready, "it is not ready")
        self.assertEqual(pod.restarts, [])
        self.assertIsNone(pod.container.process.poll())
