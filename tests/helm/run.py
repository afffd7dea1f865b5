#!/usr/bin/env python3
"""Runs the chart's tests: tests/helm/run.py [--tools FOLDER] [--junit FILE] [NAME].

Builds helm, kubeconform and podsecurity with Go first, as tests/helm/tools/go.mod says, unless
FOLDER has them; promtool has to be on the PATH. NAME is a part of the names of the tests to run.
Exit status: 0 all passed, 1 some failed or none ran.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "helm"
PROGRAMS = ["helm.sh/helm/v3/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform", "./podsecurity"]


class Result(unittest.TextTestResult):
    """Remembers every test for JUnit's file; a subtest that fails fails its test."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.cases = {}  # id → [seconds, what went wrong]

    def startTest(self, test):
        super().startTest(test)
        self.cases[test.id()] = [time.monotonic(), []]

    def stopTest(self, test):
        super().stopTest(test)
        case = self.cases[test.id()]
        case[0] = time.monotonic() - case[0]

    def wrong(self, test, error):
        # A whole module or class that cannot be set up was never started.
        self.cases.setdefault(test.id(), [0.0, []])[1].append(self._exc_info_to_string(error, test))

    def addError(self, test, err):
        super().addError(test, err)
        self.wrong(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.wrong(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.wrong(test, err)


def write_junit(cases, file):
    suite = ET.Element("testsuite", name="helm", tests=str(len(cases)))
    for name, (seconds, wrong) in cases.items():
        case = ET.SubElement(suite, "testcase", name=name, time=f"{seconds:.3f}", status="fail" if wrong else "run")
        for text in wrong:
            ET.SubElement(case, "failure").text = text
    file.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(file)


def build_tools():
    folder = BUILD / "tools"
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-C", HERE / "tools", "-o", f"{folder}/", *PROGRAMS], check=True)
    return folder


def main():
    parser = argparse.ArgumentParser(description="Runs the chart's tests.")
    parser.add_argument("--tools", type=pathlib.Path, help="where helm, kubeconform and podsecurity are")
    parser.add_argument("--junit", type=pathlib.Path, default=BUILD / "test-results" / "helm.xml")
    parser.add_argument("name", nargs="?", help="run the tests whose names have this in them")
    options = parser.parse_args()
    os.environ["PENSTOCK_HELM_TOOLS"] = str(options.tools or build_tools())
    sys.path.insert(0, str(HERE))
    loader = unittest.TestLoader()
    if options.name:
        loader.testNamePatterns = [f"*{options.name}*"]
    tests = loader.discover(str(HERE), pattern="*_test.py")
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2).run(tests)
    write_junit(result.cases, options.junit)
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
