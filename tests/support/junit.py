"""For tests in Python: runs those of a folder and writes JUnit's file, which tools/count_tests.py reads."""

import sys
import time
import unittest
import xml.etree.ElementTree as ET


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
    suite = ET.Element("testsuite", name=file.stem, tests=str(len(cases)))
    for name, (seconds, wrong) in cases.items():
        case = ET.SubElement(suite, "testcase", name=name, time=f"{seconds:.3f}", status="fail" if wrong else "run")
        for text in wrong:
            ET.SubElement(case, "failure").text = text
    file.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(file)


def load(folder, name):
    """The tests of *_test.py in a folder whose names have `name` in them (None: all)."""
    sys.path.insert(0, str(folder))
    loader = unittest.TestLoader()
    if name:
        loader.testNamePatterns = [f"*{name}*"]
    return loader.discover(str(folder), pattern="*_test.py")


def run(tests, file):
    """Runs them and writes `file`. Returns the exit status: 0 all passed, 1 some failed or none ran."""
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2).run(tests)
    write_junit(result.cases, file)
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


def run_folder(folder, name, file):
    return run(load(folder, name), file)
