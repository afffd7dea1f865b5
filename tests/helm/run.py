#!/usr/bin/env python3
"""Runs the chart's tests: tests/helm/run.py [--tools FOLDER] [--without-cluster] [--junit FILE] [NAME].

Builds helm (3 and 4), kubeconform and podsecurity with Go first, as the go.mod files in tests/helm/tools
say, unless FOLDER has them; promtool has to be on the PATH. NAME is a part of the names of the tests to
run. Those in kubernetes/ install the chart into a cluster, and tools/kubernetes_kit.sh builds what it
consists of, which takes minutes once, and they take minutes themselves; --without-cluster leaves them out.
Exit status: 0 all passed, 1 some failed or none ran.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import junit  # noqa: E402 (it is in tests/support)

ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "helm"
# Module → what is built of it, into the folder of the same name in build/helm.
PROGRAMS = {
    "tools": ["helm.sh/helm/v3/cmd/helm", "github.com/yannh/kubeconform/cmd/kubeconform", "./podsecurity"],
    "tools/helm4": ["helm.sh/helm/v4/cmd/helm"],
}


def build_tools():
    for module, packages in PROGRAMS.items():
        (BUILD / module).mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "build", "-C", HERE / module, "-o", f"{BUILD / module}/", *packages], check=True)
    return BUILD / "tools"


def kubernetes_kit():
    """The folder of the cluster's programs."""
    result = subprocess.run([ROOT / "tools" / "kubernetes_kit.sh"], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(1)  # it has said why
    return result.stdout.strip()


def interrupt(*_):
    raise KeyboardInterrupt  # what was started ends with us, and folders are removed


def main():
    parser = argparse.ArgumentParser(description="Runs the chart's tests.")
    parser.add_argument("--tools", type=pathlib.Path, help="where helm, kubeconform and podsecurity are")
    parser.add_argument("--without-cluster", action="store_true", help="leave out the tests in a cluster")
    parser.add_argument("--junit", type=pathlib.Path, default=BUILD / "test-results" / "helm.xml")
    parser.add_argument("name", nargs="?", help="run the tests whose names have this in them")
    options = parser.parse_args()
    os.environ["PENSTOCK_HELM_TOOLS"] = str(options.tools or build_tools())
    signal.signal(signal.SIGTERM, interrupt)
    tests, in_cluster = junit.load(HERE, options.name), junit.load(HERE / "kubernetes", options.name)
    if options.without_cluster:
        print(f"left out: {in_cluster.countTestCases()} tests in a cluster; ./dev test helm runs them", file=sys.stderr)
    elif in_cluster.countTestCases() > 0:
        os.environ["PENSTOCK_KUBERNETES_KIT"] = kubernetes_kit()
        tests.addTests(in_cluster)
    return junit.run(tests, options.junit)


if __name__ == "__main__":
    sys.exit(main())
