#!/usr/bin/env python3
"""./dev bench peers: lets penstock_bench_peers measure, and prints what this run has found out.

What it does not know itself it hands on; --help is the program's.
"""

import argparse
import datetime
import json
import subprocess
import sys

import figures

PEERS = {"flink-sql", "kafka-connect"}


def commit():
    """Of Penstock, and whether its sources have changed since."""

    def git(*command):
        result = subprocess.run(
            ["git", "-c", "safe.directory=*", *command],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False,
        )  # fmt: skip
        return result.stdout.strip() if result.returncode == 0 else None

    head = git("rev-parse", "--short", "HEAD")
    if head is None:
        return "unknown"
    return head + (" with changes" if git("status", "--porcelain", "--", "service", "cmake") else "")


def kit_of(script, programs):
    """What the peers need; nothing is fetched for a run without them."""
    if programs and not PEERS & set(programs.split(",")):
        return []
    result = subprocess.run([script], stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit("bench: without their kit the peers can be left out: --programs penstock,ceiling")
    return ["--kit", result.stdout.strip()]


def main():
    parser = argparse.ArgumentParser(prog="./dev bench peers", add_help=False, allow_abbrev=False)
    parser.add_argument("--program", required=True)
    parser.add_argument("--make-kit", required=True)
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--results")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--programs", default="")
    arguments, others = parser.parse_known_args()
    if {"-h", "--help"} & set(others):
        sys.exit(subprocess.run([arguments.program, "--help"], check=False).returncode)
    if arguments.results is None:
        arguments.results = f"build/peers/{'in-memory' if arguments.in_memory else 'results'}.json"
    command = [arguments.program, *others, "--results", arguments.results, "--commit", commit()]
    if arguments.in_memory:
        command += ["--in-memory"]
    if arguments.programs:
        command += ["--programs", arguments.programs]
    started = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    status = subprocess.run(command + kit_of(arguments.make_kit, arguments.programs), check=False)
    if status.returncode != 0:
        sys.exit(status.returncode)
    measured = {
        workload: result
        for workload, result in figures.load(arguments.results).items()
        if result["conditions"]["date"] >= started
    }
    print(figures.tables(measured))
    print(f"\nMedians of the rounds; all figures and their conditions: {arguments.results}")
    if arguments.json:
        print(json.dumps(figures.summary(measured)))


if __name__ == "__main__":
    try:
        main()
    except figures.BadResults as error:
        sys.exit(f"bench: {error}")
