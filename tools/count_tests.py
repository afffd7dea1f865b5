#!/usr/bin/env python3
"""Counts the tests in ctest's JUnit files and prints one line: "N passed, N failed".

What did not run to a good end has failed: a skipped or disabled test too, for a check that does not
run checks nothing. A file that is missing or has no test in it is an error; exit status 1 then, and
whenever a test failed. What a failed test said comes after its name: hours of output lie between.
"""

import pathlib
import sys
import xml.etree.ElementTree as ET

MOST_LINES = 20


def said(case):
    """What a failed test said, from GoogleTest's or Python's first word of a failure on."""
    text = "\n".join(case.findtext(tag) or "" for tag in ("failure", "system-out"))
    lines = [line for line in text.splitlines() if line.strip()]
    first = next((number for number, line in enumerate(lines)
                  if line.endswith(": Failure") or line.startswith("Traceback")), 0)
    return lines[first:first + MOST_LINES]


def main(paths):
    passed = failed = 0
    empty = []
    for path in map(pathlib.Path, paths):
        cases = ET.parse(path).getroot().findall("testcase") if path.is_file() else []
        if not cases:
            empty.append(path)
        for case in cases:
            if case.get("status") == "run" and case.find("failure") is None:
                passed += 1
            else:
                failed += 1
                print(f"failed: {case.get('name')} ({path.parent.parent.name}, {path.stem},"
                      f" {case.get('status')})", file=sys.stderr)
                for line in said(case):
                    print(f"    {line[:300]}", file=sys.stderr)
    for path in empty:
        print(f"no test ran: {path.parent.parent.name}, {path.stem}", file=sys.stderr)
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or empty else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
