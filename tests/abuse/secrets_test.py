"""Passwords, looked for wherever a process speaks."""

import os
import pathlib
import subprocess
import time

import stand
from stand import Attack

CANARY = "Hunter2S3cret"
STRINGS = [
    f"postgres://u:first@{CANARY}@127.0.0.1:1/d", f"postgres://u:{CANARY}/x@127.0.0.1:1/d",
    f"postgres://u:a/{CANARY}@127.0.0.1:1/d", f"postgres://u:{CANARY}#x@127.0.0.1:1/d",
    f"postgres://u:{CANARY}?x@127.0.0.1:1/d", f"postgres://u:{CANARY}?x=y@127.0.0.1:1/d",
    f"postgres://u:a:{CANARY}@127.0.0.1:1/d", f"postgres://u:a%{CANARY}@127.0.0.1:1/d",
    f"postgres://u:a {CANARY}@127.0.0.1:1/d", f"postgres://u:a[{CANARY}@127.0.0.1:1/d",
    f"host=127.0.0.1 port=1 password=a {CANARY}=x", f"host=127.0.0.1 port=1 user=u password={CANARY} sslmode={CANARY}",
    f"postgres://u:{CANARY},x@127.0.0.1:1/d", f"postgres://u:{CANARY}@127.0.0.1:1/d",
    f"postgres://u:x,{CANARY}@127.0.0.1:1/d", f"postgres://u:a@b:{CANARY}@127.0.0.1:1/d",
    f"postgres://u:p@127.0.0.1:{CANARY}/d", f"host=127.0.0.1 port=1 user=u passwd={CANARY}",
]


class Secrets(Attack):
    def test_connection_strings_that_are_not_as_they_should_be_tell_nothing(self):
        file = self.service.folder / "secret.yaml"
        config = self.service.config
        begin = config.index('postgres: "') + len("postgres: ")
        file.write_text(config[:begin] + "${CANARY_URL}" + config[config.index("\n", begin):])
        with self.unharmed():
            for text in STRINGS[:6] if stand.QUICK else STRINGS:
                environment = os.environ | {"CANARY_URL": text}
                for command in (["check", "--online"], ["migrate", "status"], ["serve"]):
                    with self.subTest(text=text, command=command[0]):
                        process = subprocess.Popen([str(stand.PENSTOCK), *command, "--config", str(file)],
                                                   env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                                   stderr=subprocess.STDOUT)
                        try:
                            said, _ = process.communicate(timeout=1.5 if command == ["serve"] else 20)
                        except subprocess.TimeoutExpired:
                            process.terminate()
                            said, _ = process.communicate(timeout=30)
                        self.assertNotIn(CANARY, said.decode(errors="replace"))
                        self.assertNotIn(CANARY.lower(), said.decode(errors="replace").lower())

    def test_a_service_that_runs_says_its_password_nowhere(self):
        password = stand.SERVERS["password"]
        self.assert_works()
        said = {"log": "\n".join(self.service.lines()), "metrics": self.service.get("/metrics").decode(),
                "readyz": self.service.get("/readyz?format=json").decode(), "ctl": self.service.ctl("list"),
                "get": self.service.ctl("get", self.service.name, "--json"),
                "ps": pathlib.Path(f"/proc/{self.service.process.pid}/cmdline").read_bytes().decode()}
        for place, text in said.items():
            self.assertNotIn(password, text, place)


class Tracing(Attack):
    options = {"environment": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://joe:{CANARY}@127.0.0.1:1",
                               "OTEL_EXPORTER_OTLP_HEADERS": f"authorization={CANARY}",
                               "OTEL_TRACES_SAMPLER": "always_on"}}

    def test_the_password_of_the_collector_is_said_nowhere(self):
        self.assert_works()
        stand.wait_until(lambda: any("trace_export_failed" in line for line in self.service.lines()),
                         "the export of traces fails")
        time.sleep(0.2)
        for line in self.service.lines():
            self.assertNotIn(CANARY, line)
