"""What the tests of the container image have in common: the image, unpacked, and its program at work."""

import atexit
import functools
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from oci_image import SBOM, OciImage  # noqa: E402 (it is in tools/)

ARCHIVE = ROOT / "build" / "image" / "penstock.tar"
SBOM_BESIDE = ROOT / "build" / "image" / "penstock.spdx.json"
TOOLS = ROOT / "build" / "image" / "tools"
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
PROGRAM = "usr/bin/penstock"
USER = "65532:65532"


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)


@functools.cache
def image():
    opened = OciImage(ARCHIVE)
    atexit.register(opened.archive.close)
    return opened


@functools.cache
def members():
    return image().members()


@functools.cache
def text(path):
    return (unpacked() / path).read_text()


@functools.cache
def unpacked():
    """A folder with the image's files, and with what a container runtime adds to mount things on."""
    folder = tempfile.TemporaryDirectory(prefix="penstock-image-")
    atexit.register(folder.cleanup)
    root = pathlib.Path(folder.name)
    root.chmod(0o755)
    image().extract(root)
    for place in ("proc", "dev"):
        (root / place).mkdir()
    for place in ("etc/resolv.conf", "etc/hosts"):
        (root / place).touch()
    return root


def contained(*arguments, user=USER):
    """The command that runs the image's program with these arguments: see contain.sh."""
    return [str(part) for part in (ROOT / "tests/image/contain.sh", unpacked(), user, *arguments)]


def run_contained(*arguments, user=USER, environment=()):
    return subprocess.run(contained(*arguments, user=user), capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], **dict(environment)})
