#!/usr/bin/env python3
"""Breaks the product on purpose, one guarantee at a time, and demands that the tests notice.

Each file of tests/mutations/ is a patch with a header: what it breaks, and under `red:` the tests
that must fail with it, as the target that has them and their full names:

    A batch is released though it is not next in its chain.

    red: unit_sequence SequencerTest.ReleasesInOffsetOrder

    --- a/service/sequence/sequencer.cc
    …

The layer of a target is the beginning of its name. Unit and component tests are built with the
debug preset, those that need servers with the release preset; they find the servers in the
environment. Everything happens in a copy of the sources below build/, where one target at a time is
built. First every named test must pass without any mutation. A patch that does not apply or compile
any more, and a test that does not exist, is an error. The last line says "N killed, N survived".
"""

import argparse
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parent.parent
PRESETS = {"unit": "debug", "component": "debug", "integration": "release", "faults": "release"}
# A mutated program may hang, which is noticed, too.
SECONDS = {"unit": 60, "component": 60, "integration": 120, "faults": 300}


class Broken(Exception):
    """Something that is wrong with the mutations, not with the product."""


def layer_of(target):
    return target.split("_", 1)[0]


@dataclasses.dataclass
class Mutation:
    name: str
    path: pathlib.Path
    what: str
    red: list  # (target, test)


def read(path):
    header, found, _ = path.read_text().partition("\n--- ")
    lines = [line for line in header.splitlines() if line.strip()]
    red = []
    for line in lines:
        if line.startswith("red:"):
            target, *tests = line.removeprefix("red:").split()
            red += [(target, test) for test in tests]
    what = " ".join(line for line in lines if not line.startswith("red:"))
    if not (found and what and red):
        raise Broken(f"{path.name}: expected what it breaks, a line 'red: TARGET TEST…', and a patch")
    for target, _ in red:
        if layer_of(target) not in PRESETS:
            raise Broken(f"{path.name}: {target}: expected a target of {', '.join(PRESETS)}")
    return Mutation(path.stem, path, what, red)


def copy_sources(tree):
    """The sources as they are now; what is the same keeps its time, so that little is built."""
    listed = subprocess.run(
        ["git", "-C", REPO, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout.split("\0")
    wanted = {name for name in listed if name and (REPO / name).is_file()}
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        name = path.relative_to(tree)
        if name.parts[0] != "build" and str(name) not in wanted:
            path.unlink()
    for name in wanted:
        source, copy = REPO / name, tree / name
        if not copy.is_file() or source.read_bytes() != copy.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)


class Scratch:
    def __init__(self, tree):
        self.tree = tree
        self.configured = set()
        # git must not take the copy for a part of the clone around it.
        self.environment = {**os.environ, "CCACHE_BASEDIR": str(tree),
                            "GIT_CEILING_DIRECTORIES": str(tree.parent)}
        tree.mkdir(parents=True, exist_ok=True)
        copy_sources(tree)

    def run(self, *command):
        return subprocess.run(command, cwd=self.tree, env=self.environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def build(self, target):
        """None, or what the compiler said."""
        preset = PRESETS[layer_of(target)]
        if preset not in self.configured:
            configured = self.run("cmake", "--preset", preset)
            if configured.returncode != 0:
                raise Broken(f"the copy could not be configured:\n{configured.stdout}")
            self.configured.add(preset)
        # Where servers are, the program itself may be under test.
        targets = [target, "penstock"] if preset == "release" else [target]
        built = self.run("cmake", "--build", "--preset", preset, "--target", *targets)
        return None if built.returncode == 0 else built.stdout

    def test(self, target, test):
        """Whether it passed, and the end of what it said."""
        layer = layer_of(target)
        program = self.tree / "build" / PRESETS[layer] / "bin" / target
        try:
            done = subprocess.run(
                [program, f"--gtest_filter={test}"], cwd=program.parent, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=SECONDS[layer], errors="replace", text=True)
        except subprocess.TimeoutExpired:
            return False, f"not done in {SECONDS[layer]} s"
        if "Running 1 test " not in done.stdout:
            raise Broken(f"{target} has no test {test}")
        return done.returncode == 0, "\n".join(done.stdout.splitlines()[-30:])

    def apply(self, mutation, *options):
        # One line of context on each side has to do: the neighbours change.
        return self.run("git", "apply", "-C1", *options, str(mutation.path))


def check_baseline(scratch, mutations):
    by_target = {}
    for mutation in mutations:
        for target, test in mutation.red:
            by_target.setdefault(target, {}).setdefault(test)
    for target, tests in by_target.items():
        said = scratch.build(target)
        if said is not None:
            raise Broken(f"{target} does not build without a mutation:\n{said}")
        for test in tests:
            passed, said = scratch.test(target, test)
            if not passed:
                raise Broken(f"{target}: {test} fails without a mutation:\n{said}")


def try_one(scratch, mutation):
    """The tests that did not notice."""
    applied = scratch.apply(mutation)
    if applied.returncode != 0:
        raise Broken(f"{mutation.path.name} does not apply any more: make it anew\n{applied.stdout}")
    try:
        blind = []
        for target in dict.fromkeys(target for target, _ in mutation.red):
            said = scratch.build(target)
            if said is not None:
                raise Broken(f"{mutation.path.name} does not compile any more: make it anew\n{said}")
            blind += [test for of, test in mutation.red
                      if of == target and scratch.test(target, test)[0]]
        return blind
    finally:
        scratch.apply(mutation, "--reverse")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default=",".join(PRESETS), help="only tests of these")
    parser.add_argument("filter", nargs="?", default="", help="a regular expression on names")
    arguments = parser.parse_args()
    layers = arguments.layers.split(",")
    killed = survived = 0
    errors = []
    mutations = []
    for path in sorted((REPO / "tests/mutations").glob("*.patch")):
        try:
            mutation = read(path)
        except Broken as error:
            errors.append(str(error))
            continue
        mutation.red = [(target, test) for target, test in mutation.red
                        if layer_of(target) in layers]
        if mutation.red and re.search(arguments.filter, mutation.name):
            mutations.append(mutation)
    if not mutations and not errors:
        sys.exit("mutations: there is none of that name and layer")
    scratch = Scratch(REPO / "build/mutations/tree")
    try:
        started = time.monotonic()
        check_baseline(scratch, mutations)
        print(f"all named tests pass without a mutation ({time.monotonic() - started:.0f} s)",
              flush=True)
    except Broken as error:
        errors.append(str(error))
        mutations = []
    for mutation in mutations:
        started = time.monotonic()
        try:
            blind = try_one(scratch, mutation)
        except Broken as error:
            errors.append(str(error))
            continue
        took = f"({time.monotonic() - started:.0f} s)"
        if blind:
            survived += 1
            print(f"SURVIVED {mutation.name} {took}: {mutation.what}\n"
                  f"         still green: {', '.join(blind)}", flush=True)
        else:
            killed += 1
            print(f"killed   {mutation.name} {took}", flush=True)
    for error in errors:
        print(f"error: {error}", file=sys.stderr, flush=True)
    print(f"{killed} killed, {survived} survived" + (f", {len(errors)} in error" if errors else ""))
    return 1 if survived or errors else 0


if __name__ == "__main__":
    sys.exit(main())
