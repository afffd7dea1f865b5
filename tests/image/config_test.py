"""What the image says of itself: how it is run, what it is, where it comes from."""

import datetime
import filecmp
import os
import re
import unittest

from image import PROGRAM, ROOT, image, run, run_contained, unpacked

LABEL = "org.opencontainers.image."


def settings():
    return image().config["config"]


class ConfigTest(unittest.TestCase):
    def test_it_runs_the_service_as_a_user_without_rights(self):
        self.assertEqual(settings()["User"], "65532:65532")
        self.assertEqual(settings()["Entrypoint"], ["/usr/bin/penstock"])
        self.assertEqual(settings()["Cmd"], ["serve", "--config", "/etc/penstock/penstock.yaml"])

    def test_it_is_stopped_by_the_signal_that_the_service_drains_on(self):
        self.assertEqual(settings()["StopSignal"], "SIGTERM")

    def test_probes_look_after_its_health_and_nothing_else_does(self):
        self.assertNotIn("Healthcheck", settings())

    def test_it_asks_for_no_volume_and_sets_nothing_but_a_path(self):
        self.assertFalse(settings().get("Volumes"))
        self.assertEqual([name for name in settings().get("Env", []) if not name.startswith("PATH=")], [])

    def test_it_is_for_linux_on_this_machine(self):
        wanted = {"x86_64": "amd64", "aarch64": "arm64"}[run("uname", "-m").stdout.strip()]
        self.assertEqual((image().config["os"], image().config["architecture"]), ("linux", wanted))

    def test_its_labels_say_what_it_is(self):
        labels = settings()["Labels"]
        self.assertEqual(labels[LABEL + "title"], "Penstock")
        self.assertIn("PostgreSQL", labels[LABEL + "description"])
        self.assertEqual(labels[LABEL + "licenses"], "Apache-2.0")
        self.assertEqual({name for name in labels if name.startswith(LABEL)},
                         {LABEL + name for name in ("title", "description", "licenses", "version", "revision",
                                                    "created")})

    def test_its_labels_say_which_source_it_was_made_of(self):
        labels = settings()["Labels"]
        self.assertEqual("penstock " + labels[LABEL + "version"], run_contained("version").stdout.strip())
        head = run("git", "-C", ROOT, "rev-parse", "HEAD").stdout.strip()
        self.assertRegex(labels[LABEL + "revision"], rf"^{head}(-dirty)?$")
        created = datetime.datetime.strptime(labels[LABEL + "created"], "%Y-%m-%dT%H:%M:%S%z")
        seconds = int(run("git", "-C", ROOT, "log", "-1", "--format=%ct").stdout)
        self.assertEqual(created.timestamp(), seconds)

    def test_its_program_is_the_one_that_was_built_for_it(self):
        built = ROOT / "build/image/program" / PROGRAM
        # An engine, and ./dev image --whole, compile in the image's own stages.
        if built.exists():
            self.assertTrue(filecmp.cmp(built, unpacked() / PROGRAM, shallow=False))
        self.assertEqual(os.access(unpacked() / PROGRAM, os.X_OK), True)

    def test_it_is_made_of_one_layer_of_libraries_and_one_with_the_program(self):
        made = [step["created_by"] for step in image().config["history"] if not step.get("empty_layer")]
        self.assertEqual(len(image().manifest["layers"]), 2, made)
        self.assertTrue(all(re.search(r"\bCOPY\b", step) for step in made), made)
