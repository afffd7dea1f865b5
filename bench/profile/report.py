#!/usr/bin/env python3
"""Makes a flame graph and tables of a profiled run: the last part of ./dev profile.

Standard input is `perf script -F comm,tid,period,ip,sym,dso` of its samples.
"""

import argparse
import json
import pathlib
import sys

import flame_graph
import shares
import stacks

FUNCTIONS = 25
FACTS = ("program", "workload", "summary", "seconds", "records", "program_cpu_s", "servers_cpu_s",
         "broker_cpu_s", "peak_resident_mb", "cpus")


def read_facts(path):
    try:
        facts = json.loads(pathlib.Path(path).read_text())
        return {name: facts[name] for name in FACTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise stacks.BadInput(f"{path} does not hold the facts of a run: {error!r}") from error


def table(heading, parts, ns_per_record, most=None):
    """The largest parts; what they are of a record's time."""
    lines = [f"{heading:58} {'share':>6} {'ns/record':>10}"]
    for name, share in list(parts.items())[:most]:
        lines.append(f"{name[:58]:58} {share * 100:5.1f}% {share * ns_per_record:10.1f}")
    return "\n".join(lines)


def report(samples, facts):
    records = facts["records"]
    ns = facts["program_cpu_s"] / records * 1e9
    postgres = (facts["servers_cpu_s"] - facts["broker_cpu_s"]) / records * 1e9
    broker = facts["broker_cpu_s"] / records * 1e9
    return "\n\n".join((
        f"{facts['program']} moving {facts['workload']} ({facts['summary']}): {records / facts['seconds']:.0f} records/s over "
        f"{facts['seconds']:.1f} s while being sampled, {facts['cpus']} CPUs for everything, "
        f"{len(samples)} samples\n"
        f"CPU per record: {facts['program']} {ns:.0f} ns, PostgreSQL {postgres:.0f} ns, broker {broker:.0f} "
        f"ns; peak resident memory {facts['peak_resident_mb']} MB",
        table("thread", shares.add_up(samples, lambda sample: sample.thread), ns),
        table("stage", shares.add_up(samples, shares.stage_of), ns),
        table("thread and function, in itself", shares.add_up(samples, shares.function_of), ns,
              FUNCTIONS)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--facts", required=True, help="what penstock_profile wrote")
    parser.add_argument("--directory", required=True, help="where the flame graph goes")
    arguments = parser.parse_args()
    try:
        facts = read_facts(arguments.facts)
        samples = stacks.read(sys.stdin)
    except stacks.BadInput as error:
        sys.exit(f"profile: {error}")
    ns = facts["program_cpu_s"] / facts["records"] * 1e9
    total = sum(sample.weight for sample in samples)
    title = (f"{facts['program']} moving {facts['workload']} ({facts['summary']}): "
             f"{facts['records'] / facts['seconds']:.0f} records/s, {ns:.0f} ns of CPU each")
    svg = flame_graph.render(samples, facts["program"], title, lambda weight: (
        f"{weight / total * 100:.2f} %, {weight / total * ns:.1f} ns/record"))
    path = pathlib.Path(arguments.directory) / f"{facts['program']}-{facts['workload']}.svg"
    path.write_text(svg)
    print(report(samples, facts))
    print(f"\nflame graph: {path} (open it in a browser and point at a box)")


if __name__ == "__main__":
    main()
