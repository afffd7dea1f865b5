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

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import junit  # noqa: E402 (it is in tests/support)

BUILD = HERE.parent.parent / "build" / "helm"
PROGRAMS = ["helm.sh/helm/v3/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform", "./podsecurity"]


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
    return junit.run_folder(HERE, options.name, options.junit)


if __name__ == "__main__":
    sys.exit(main())
