#!/usr/bin/env python3
"""./dev bench cel: our engine, cel-go and expr over the same cases, in turns on the same machine.

Prints a table; with --json the last line is one JSON object: by case "ns" and "allocations" of one
evaluation by our engine, and how many times longer the others take ("vs_cel_go", "vs_expr"; null
where an engine lacks a function). Every figure is the median of the rounds.
"""

import argparse
import collections
import json
import os
import statistics
import subprocess
import sys

ROUNDS = 5


def run(program, cases, pattern):
    """Yields what one round of a program measured, as dictionaries."""
    command = [program, cases, pattern]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"bench: {os.path.basename(program)} ended with status {result.returncode}")
    return map(json.loads, result.stdout.splitlines())


def measure(programs, cases, pattern):
    """Returns {case: {engine: (ns, allocations)}}, medians over the rounds."""
    rounds = collections.defaultdict(lambda: collections.defaultdict(list))
    for number in range(ROUNDS):
        for program in programs:
            for cost in run(program, cases, pattern):
                rounds[cost["name"]][cost["engine"]].append((cost["ns"], cost["allocations"]))
        print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
    return {
        name: {
            engine: tuple(statistics.median(column) for column in zip(*costs))
            for engine, costs in engines.items()
        }
        for name, engines in rounds.items()
    }


def summarize(costs):
    ns, allocations = costs["penstock"]

    def times_slower(engine):
        return round(costs[engine][0] / ns, 2) if engine in costs else None

    return {
        "ns": round(ns, 1),
        "allocations": round(allocations, 2),
        "vs_cel_go": times_slower("cel-go"),
        "vs_expr": times_slower("expr"),
    }


def print_table(measured):
    def cell(costs, engine):
        if engine not in costs:
            return f"{'-':>9} {'-':>6} {'-':>7}"
        ns, allocations = costs[engine]
        return f"{ns:9.1f} {allocations:6.1f} {ns / costs['penstock'][0]:6.1f}x"

    print(f"{'':20} {'penstock':>16} {'cel-go':>24} {'expr':>24}")
    print(f"{'case':20} {'ns':>9} {'allocs':>6}" + f" {'ns':>9} {'allocs':>6} {'':>7}" * 2)
    for name, costs in measured.items():
        ns, allocations = costs["penstock"]
        print(f"{name:20} {ns:9.1f} {allocations:6.1f} {cell(costs, 'cel-go')} {cell(costs, 'expr')}")


def main():
    parser = argparse.ArgumentParser(prog="./dev bench cel")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--cases", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--program", action="append", required=True, help=argparse.SUPPRESS)
    parser.add_argument("filter", nargs="?", default="", help="regular expression on case names")
    arguments = parser.parse_args()
    measured = measure(arguments.program, arguments.cases, arguments.filter)
    if not measured:
        sys.exit(f"bench: no case matches '{arguments.filter}'")
    load = os.getloadavg()[0]
    print(f"median of {ROUNDS} rounds; load {load:.1f} on {os.cpu_count()} processors")
    print_table(measured)
    if arguments.json:
        print(json.dumps({name: summarize(costs) for name, costs in measured.items()}))


if __name__ == "__main__":
    main()
