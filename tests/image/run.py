#!/usr/bin/env python3
"""Tests the container image in build/image: tests/image/run.py [--junit FILE] [NAME].

Builds dockerlint and spdxcheck with Go first, as tests/image/tools/go.mod says. Runs as root, under
penstock_test_servers, with a release build of the end-to-end tests; `./dev test image` sees to all that.
NAME is a part of the names of the tests to run. Exit status: 0 all passed, 1 some failed or none ran.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "image"
sys.path.insert(0, str(HERE.parent / "support"))
import junit  # noqa: E402 (it is in tests/support)


def main():
    parser = argparse.ArgumentParser(description="Tests the container image.")
    parser.add_argument("--junit", type=pathlib.Path, default=BUILD / "test-results" / "image.xml")
    parser.add_argument("name", nargs="?", help="run the tests whose names have this in them")
    options = parser.parse_args()
    tools = BUILD / "tools"
    tools.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-C", HERE / "tools", "-o", f"{tools}/", "./..."], check=True)
    return junit.run_folder(HERE, options.name, options.junit)


if __name__ == "__main__":
    sys.exit(main())
