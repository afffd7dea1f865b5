"""The Dockerfile against the rules of BuildKit, which `docker build --check` applies."""

import pathlib
import tempfile
import unittest

from image import ROOT, TOOLS, run


def lint(file):
    return run(TOOLS / "dockerlint", file)


class DockerfileTest(unittest.TestCase):
    def test_nothing_is_wrong_with_it(self):
        result = lint(ROOT / "Dockerfile")
        self.assertEqual((result.returncode, result.stdout + result.stderr), (0, ""))

    def test_what_is_wrong_is_found_with_its_line(self):
        right = (ROOT / "Dockerfile").read_text()
        lines = right.splitlines()
        for good, bad, rule in [
                ("FROM scratch AS runtime", "FROM scratch AS Runtime", "StageNameCasing"),
                ('ENTRYPOINT ["/usr/bin/penstock"]', "ENTRYPOINT /usr/bin/penstock", "JSONArgsRecommended"),
                ("USER 65532:65532", "ENV DATABASE_PASSWORD=secret", "SecretsUsedInArgOrEnv"),
                ("STOPSIGNAL SIGTERM", "STOPSIGNAL $NOTHING", "UndefinedVar"),
                ("STOPSIGNAL SIGTERM", "STOPPSIGNAL SIGTERM", "unknown instruction"),
                ("COPY --from=root /image/ /", "COPY --from=root /image/", "COPY requires")]:
            with self.subTest(rule), tempfile.TemporaryDirectory() as folder:
                self.assertIn(good, lines)
                file = pathlib.Path(folder) / "Dockerfile"
                file.write_text("\n".join(bad if line == good else line for line in lines) + "\n")
                result = lint(file)
                self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
                self.assertRegex(result.stdout, rf"Dockerfile:{lines.index(good) + 1}: .*{rule}")
