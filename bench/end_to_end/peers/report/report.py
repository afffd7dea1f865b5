#!/usr/bin/env python3
"""./dev bench report: writes docs/benchmarks.md and its charts from what ./dev bench peers measured.

What does not follow from the figures is taken from ../README.md, so that it is said
once. --json prints the figures of all workloads in the file as one object and writes nothing.
"""

import argparse
import json
import math
import pathlib
import sys

import charts
import figures
from figures import BARE, CEILING, CONTROL, PACES, PENSTOCK, RATES
from judgement import floors, goals_table, not_ahead
from markdown import bold, number, table, title_of

PEERS = pathlib.Path(__file__).resolve().parents[1]
ROOT = PEERS.parents[2]
RESULTS = ROOT / "docs" / "benchmarks" / "results.json"
IN_MEMORY = "in-memory.json"  # beside them, if there are any: by --in-memory
QUICK = "quick.json"  # and by --quick

# ---- tables --------------------------------------------------------------------------------------


def when(result):
    """The conditions of a workload in one line."""
    conditions = result["conditions"]
    amounts = conditions["amounts"]
    rounds = amounts.get("rounds", 1)
    others = figures.others_cpus(result)
    busy = "" if others is None else f" Other processes took up to {others:.1f} CPUs meanwhile."
    return (
        f"Measured {conditions['date'][:10]}, {rounds} round{'s' if rounds > 1 else ''} of "
        f"{amounts.get('seconds', 0)} s each, {amounts.get('records', 0):,} records, Penstock at "
        f"`{conditions['versions'].get('penstock', 'unknown')}`.{busy}"
    )


def missing(workload):
    return f"`{workload}` was not measured: `./dev bench peers --workload {workload}`."


def left_out(result):
    return [f"- Left out: {program} ({why})." for program, why in result.get("left_out", {}).items()]


def former(workloads):
    if not any(figures.FORMER in result["programs"] for result in workloads.values()):
        return ""
    return f" {figures.FORMER} is not measured any more: [the programs](#the-programs-and-their-configurations)."


def rate_section(workloads, workload, base=PENSTOCK):
    if workload not in workloads:
        return [f"### {workload}", missing(workload)]
    result = workloads[workload]
    ours, rows = figures.rate(workloads, workload, base), []
    for program in figures.programs_of(workloads, workload):
        value = lambda field: figures.median(workloads, workload, program, field)  # noqa: E731
        rounds = figures.every_round(workloads, workload, program, "records_per_second")
        rows.append(
            bold(program, [
                program, number(value("records_per_second")),
                number(figures.ratio(value("records_per_second"), ours), 2),
                number(value("program_cpu"), 2), number(value("servers_cpu"), 2),
                number(value("peak_mb")), number(value("seconds"), 1),
            ]) + [" ".join(f"{rate:,.0f}" for rate in rounds)]
        )  # fmt: skip
    head = ["", "records/s", f"against {base}", "CPU s/M", "servers' CPU s/M", "peak MB", "seconds",
            "records/s, every round"]  # fmt: skip
    return [f"### {workload}", f"{result['summary'][:1].upper()}{result['summary'][1:]}. {when(result)}", "", table(head, rows), "",
            *left_out(result)]  # fmt: skip


def floor_section(workloads, in_memory):
    lines = floors(workloads, in_memory)
    return ["Why these are not reached:", "", *lines, ""] if lines else []


def latency_section(workloads, workload):
    if workload not in workloads:
        return [f"### {title_of(workload)}", missing("latency")]
    result, rows = workloads[workload], []
    for program in figures.programs_of(workloads, workload):
        medians = [figures.median(workloads, workload, program, field) for field in figures.LATENCY]
        rounds = figures.every_round(workloads, workload, program, "p99_ms")
        rows.append(
            bold(program, [program, *(number(value, 1) for value in medians)])
            + [", ".join(number(value, 1) for value in rounds)]
        )
    head = ["milliseconds", "p50", "p99", "p99.9", "max", "p99, every round"]
    return [f"### {title_of(workload)}", when(result), "", table(head, rows), "", *left_out(result)]


def measured_sections(workloads):
    """The tables of what was measured of rates and latencies."""
    parts = []
    for workload in RATES:
        if workload in workloads:
            parts += [*rate_section(workloads, workload), ""]
    for workload in PACES:
        if workload in workloads:
            parts += [*latency_section(workloads, workload), ""]
    return parts


def in_memory_section(in_memory):
    if not in_memory:
        return []
    return ["## Without a disk", "", readme_section("Without a disk"), "", goals_table(in_memory, only_measured=True), "",
            *floor_section(in_memory, {}), *measured_sections(in_memory)]  # fmt: skip


def quick_section(quick):
    if not quick:
        return []
    crash = ["### SIGKILL in the middle of a short run", *crash_section(quick), ""] if "crash" in quick else []
    return ["## In short rounds", "", readme_section("In short rounds"), "",
            "Every figure in which another program is better:", "", not_ahead(quick), "",
            *measured_sections(quick), *crash, conditions(quick), ""]  # fmt: skip


def crash_section(workloads):
    if "crash" not in workloads:
        return [missing("crash")]
    result, rows = workloads["crash"], []
    for program in figures.programs_of(workloads, "crash"):
        values = [figures.median(workloads, "crash", program, field) for field in figures.CRASH]
        rows.append(bold(program, [program, *map(number, values)]))
    return [when(result), "", table(["", "records", "written twice", "lost"], rows), "", *left_out(result)]


def aa_section(workloads):
    spread = figures.aa_spread(workloads)
    if spread is None:
        return "The control was not measured."
    return (
        f"In `orders`, Penstock takes part twice in every round, as if it were two programs. Their medians "
        f"differ by {spread * 100:.1f} %: that is what this machine and this method add by chance, and a difference "
        f"below it means nothing."
    )


# ---- configurations and conditions ---------------------------------------------------------------


def configurations(workloads, shown=()):
    """Those of the programs in `orders`, but for those that are shown already."""
    lines = []
    for program in figures.programs_of(workloads, "orders"):
        files = workloads["orders"]["programs"][program].get("configuration", {})
        if program == CONTROL or program in shown or not files:
            continue
        lines += ["<details>", f"<summary>{program}, as it ran in <code>orders</code></summary>", ""]
        for ending, content in sorted(files.items()):
            lines += ["```" + ending.rsplit(".", 1)[-1], content.rstrip(), "```", ""]
        lines += ["</details>", ""]
    return lines


def conditions(workloads):
    """What was the same for all workloads once, else each with its workloads."""
    rows = []
    for group in ("machine", "versions", "postgresql_settings"):
        seen = {}
        for workload in (name for name in figures.WORKLOADS if name in workloads):
            for name, value in workloads[workload]["conditions"][group].items():
                seen.setdefault(name, {}).setdefault(value, []).append(workload)
        for name, values in sorted(seen.items()):
            label = f"PostgreSQL's `{name}`" if group == "postgresql_settings" else name
            same = len(values) == 1
            rows.append([label, "; ".join(
                value if same else f"{value} ({', '.join(names)})" for value, names in values.items())])  # fmt: skip
    return table(["", ""], rows, left=2)


def readme_section(heading):
    """What README.md says under a heading, without the heading."""
    text = (PEERS / "README.md").read_text(encoding="utf-8")
    start = text.index(f"\n## {heading}\n") + len(heading) + 5
    end = text.find("\n## ", start)
    return text[start : end if end >= 0 else None].strip()


# ---- charts --------------------------------------------------------------------------------------


def kind_of(program):
    if program in (CEILING, BARE):
        return "floor"
    return "ours" if program == PENSTOCK else "peer"


def rate_panel(workloads, workload):
    rows = []
    for program in figures.programs_of(workloads, workload):
        if program != CONTROL:
            rate = figures.rate(workloads, workload, program)
            rows.append(charts.Bar(program, kind_of(program), rate, f"{rate:,.0f}"))
    return charts.Panel(workload, "records a second", rows)


def cost_panels(workloads):
    cpu, memory = [], []
    for program in figures.programs_of(workloads, "orders"):
        if program == CONTROL:
            continue
        value = lambda field: figures.median(workloads, "orders", program, field)  # noqa: E731
        figure = f"{value('program_cpu'):.2f} + {value('servers_cpu'):.2f}"
        cpu.append(
            charts.Bar(program, kind_of(program), value("program_cpu"), figure, value("servers_cpu"))
        )
        memory.append(charts.Bar(program, kind_of(program), value("peak_mb"), f"{value('peak_mb'):,.0f}"))
    return [
        charts.Panel("CPU", "seconds for a million orders: the program + PostgreSQL and broker", cpu),
        charts.Panel("Memory", "peak resident, MB", memory),
    ]


def latency_panel(workloads, workload):
    rows = []
    for program in figures.programs_of(workloads, workload):
        marks = tuple(
            figures.median(workloads, workload, program, field) for field in ("p50_ms", "p99_ms", "p999_ms")
        )
        rows.append(charts.Range(program, kind_of(program), () if math.inf in marks else marks))
    return charts.Panel(f"{PACES[workload]:,} records a second", "p50 / p99 / p99.9 in milliseconds, produce → visible", rows)


def scaling_panel(workloads):
    rows = []
    for program in figures.programs_of(workloads, "scaling"):
        rate = figures.rate(workloads, "scaling", program)
        rows.append(charts.Bar(program, "ours" if program == "default" else "peer", rate, f"{rate:,.0f}"))
    return charts.Panel("orders, by Penstock", "records a second", rows)


def all_charts(workloads):
    """{file name: SVG} of what was measured."""
    svgs = {}
    rates = [rate_panel(workloads, workload) for workload in RATES if workload in workloads]
    if rates:
        svgs["rates.svg"] = charts.bars("Records a second by workload and program", rates)
    if "orders" in workloads:
        svgs["cost.svg"] = charts.bars("CPU and memory in orders", cost_panels(workloads))
    paces = [latency_panel(workloads, workload) for workload in PACES if workload in workloads]
    if paces:
        svgs["latency.svg"] = charts.ranges("Latency from produce to visible", paces)
    if "scaling" in workloads:
        svgs["scaling.svg"] = charts.bars("Penstock by lanes and workers", [scaling_panel(workloads)])
    return svgs


# ---- the page ------------------------------------------------------------------------------------


def page(workloads, svgs, in_memory=None, quick=None):
    def chart(file, alt):
        return [f"![{alt}](benchmarks/{file})", ""] if file in svgs else []

    parts = [
        "# Benchmarks",
        "",
        "<!-- Written by ./dev bench report from benchmarks/results.json: change that, not this. -->",
        "",
        "How fast Penstock moves records from Kafka into PostgreSQL, what that costs, and how soon a record is "
        "visible, beside the programs that people would use instead and beside a program that does nothing but "
        "move. Everything here can be repeated by these commands, of which a measurement takes some hours, or as "
        "many runs with `--workload NAME,…` as you like:",
        "",
        "```sh",
        "./dev bench peers --results docs/benchmarks/results.json",
        "./dev bench peers --in-memory --results docs/benchmarks/in-memory.json   # if a disk stalls",
        "./dev bench peers --quick --results docs/benchmarks/quick.json           # in short rounds",
        "./dev bench report",
        "```",
        "",
        *chart("rates.svg", "Records a second by workload and program"),
        "## What Penstock is held to",
        "",
        goals_table(workloads),
        "",
        *floor_section(workloads, in_memory or {}),
        "## Where Penstock is not ahead",
        "",
        "Every figure in which another program is better, found by comparing all of them (with a disk):",
        "",
        not_ahead(workloads),
        "",
        readme_section("What favours whom"),
        "",
        "## Records a second",
        "",
        "Medians of the rounds. CPU s/M: CPU seconds for a million records, of the program alone and of PostgreSQL "
        "and the broker. Seconds: how long it was measured in a round before its records ran out."
        + former(workloads),
        "",
    ]
    for workload in RATES:
        parts += [*rate_section(workloads, workload), ""]
    parts += ["### Two equal programs", "", aa_section(workloads), "", "## Latency", ""]
    parts += chart("latency.svg", "Latency from produce to visible")
    for workload in PACES:
        parts += [*latency_section(workloads, workload), ""]
    parts += in_memory_section(in_memory)
    parts += quick_section(quick)
    parts += ["## CPU and memory", "", *chart("cost.svg", "CPU and memory in orders"), "## Lanes and workers", ""]
    parts += chart("scaling.svg", "Penstock by lanes and workers")
    parts += [*rate_section(workloads, "scaling", "default")[1:], "", "## SIGKILL in the middle", ""]
    parts += [*crash_section(workloads), "", "## How it is measured", "", readme_section("The servers"), ""]
    parts += [readme_section("What is measured, and by whom"), "", "## The programs and their configurations", ""]
    parts += [readme_section("The programs"), "", *configurations(workloads)]
    parts += [*configurations(quick or {}, shown=figures.programs_of(workloads, "orders")), "## Conditions", ""]
    parts += [conditions(workloads), ""]
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench report", description=__doc__)
    parser.add_argument("--results", type=pathlib.Path, default=RESULTS, help="of ./dev bench peers")
    parser.add_argument("--into", type=pathlib.Path, default=ROOT / "docs", help="where benchmarks.md goes")
    parser.add_argument("--json", action="store_true", help="only print one JSON object of the figures")
    arguments = parser.parse_args()
    workloads = figures.load(arguments.results)
    in_memory, quick = (
        figures.load(beside) if beside.exists() else {}
        for beside in map(arguments.results.with_name, (IN_MEMORY, QUICK))
    )
    if arguments.json:
        print(json.dumps(figures.summary(workloads)))
        return
    svgs = all_charts(workloads)
    folder = arguments.into / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    for file, svg in svgs.items():
        (folder / file).write_text(svg, encoding="utf-8")
    (arguments.into / "benchmarks.md").write_text(page(workloads, svgs, in_memory, quick), encoding="utf-8")
    print(f"wrote {arguments.into / 'benchmarks.md'}")


if __name__ == "__main__":
    try:
        main()
    except figures.BadResults as error:
        sys.exit(f"bench: {error}")
