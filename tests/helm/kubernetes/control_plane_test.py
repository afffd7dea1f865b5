"""A control plane leaves nothing behind, however the process that started it ends."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import unittest
import unittest.mock

import api
import control_plane
from control_plane import until

PROGRAM = [sys.executable, "-B", pathlib.Path(__file__).resolve().parent / "control_plane.py"]


def processes_of(folder):
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass  # it has just ended
    return found


class Starting(unittest.TestCase):
    def test_a_port_that_is_taken_is_tried_no_longer(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            ports = iter([[taken, *control_plane.free_ports(1)], control_plane.free_ports(2)])
            plane = control_plane.ControlPlane(os.environ["PENSTOCK_KUBERNETES_KIT"])
            self.addCleanup(plane.stop)
            with unittest.mock.patch.object(control_plane, "free_ports", lambda count: next(ports)):
                url = plane.start_etcd()
            self.assertFalse(url.endswith(f":{taken}"))
            self.assertTrue(api.answers(f"{url}/health"))


class Ending(unittest.TestCase):
    def start(self):
        process = subprocess.Popen([*PROGRAM, os.environ["PENSTOCK_KUBERNETES_KIT"]], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        folder = pathlib.Path(process.stdout.readline().strip()).parent
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        self.assertEqual(len(processes_of(folder)), 3)  # etcd, the API server, the controllers
        return process, folder

    def test_an_interrupt_ends_its_processes_and_removes_its_folder(self):
        process, folder = self.start()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertFalse(folder.exists())
        self.assertEqual(processes_of(folder), [])

    def test_a_kill_ends_its_processes(self):
        process, folder = self.start()
        process.kill()
        until(lambda: not processes_of(folder), "no process is left")

    def test_a_program_that_is_not_there_is_told(self):
        result = subprocess.run([*PROGRAM, "/nonexistent"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("/nonexistent/kube-apiserver", result.stderr)
        self.assertIn("No such file or directory", result.stderr)
