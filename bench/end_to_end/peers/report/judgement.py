"""What docs/benchmarks.md says about the figures: what Penstock is held to, and where it is not ahead.

Both follow from the results, so that neither can be forgotten.
"""

import math

import figures
from figures import CONTROL, PENSTOCK
from markdown import number, table, title_of

# What another program can be better at: its name, what follows the figure, digits, whether more is
# better.
FIELDS = {
    "records_per_second": ("records a second", "", 0, True),
    "program_cpu": ("CPU seconds for a million records", " s", 2, False),
    "servers_cpu": ("CPU seconds of PostgreSQL and the broker for a million records", " s", 2, False),
    "peak_mb": ("peak memory", " MB", 0, False),
    "p50_ms": ("latency, p50", " ms", 1, False),
    "p99_ms": ("latency, p99", " ms", 1, False),
    "p999_ms": ("latency, p99.9", " ms", 1, False),
    "max_ms": ("latency, max", " ms", 1, False),
    "duplicates": ("rows written twice after a SIGKILL", "", 0, False),
    "lost": ("records lost after a SIGKILL", "", 0, False),
}


# ---- where Penstock is not ahead -----------------------------------------------------------------


def others_ahead(workloads):
    """Yields (workload, program, field, theirs, ours) of every figure in which another program,
    the ceiling and the bare consumer included, is better than Penstock."""
    for workload in figures.WORKLOADS:
        if workload == "scaling":
            continue  # all of it is Penstock
        for field in figures.fields_of(workload):
            if field not in FIELDS:
                continue
            ours = figures.median(workloads, workload, PENSTOCK, field)
            for program in figures.programs_of(workloads, workload):
                if ours is None or program in (PENSTOCK, CONTROL):
                    continue
                theirs = figures.median(workloads, workload, program, field)
                if theirs > ours if FIELDS[field][3] else theirs < ours:
                    yield workload, program, field, theirs, ours


def not_ahead(workloads):
    spread = figures.aa_spread(workloads) or 0
    rows = []
    for workload, program, field, theirs, ours in others_ahead(workloads):
        name, unit, digits, _ = FIELDS[field]
        apart = abs(theirs - ours) / max(theirs, ours)
        by = "" if math.isinf(ours) else f"{apart * 100:.0f} %"
        if by and field == "records_per_second" and apart <= spread:
            by += ", less than two equal programs differ by"
        rows.append(
            [title_of(workload), name, f"{program}: {number(theirs, digits, unit)}",
             number(ours, digits, unit), by]
        )  # fmt: skip
    if not rows:
        return "Of what was measured, no figure of another program is better."
    head = ["workload", "figure", "ahead", "Penstock", "apart by"]
    return table(head, rows, left=3)


def goals(workloads):
    """Rows of: what, goal, measured (None: not measured), whether it is reached."""
    summary = figures.summary(workloads)
    orders, latency = summary["orders"], (summary["latency_10k"], summary["latency_50k"])

    def at_least(what, goal, value, unit=" ×"):
        yield what, f"≥ {goal:,}{unit}", value, value is not None and value >= goal, unit

    def p99(what, values, more_than_bare, times):
        ours, bare = values["p99_ms"], values["bare_p99_ms"]
        known = None not in (ours, bare)
        yield (f"{what}, p99 above a bare consumer's", f"≤ {more_than_bare} ms",
               round(ours - bare, 2) if known else None,
               known and ours <= bare + more_than_bare, " ms")  # fmt: skip
        yield from at_least(f"{what}, p99 against the best peer", times, values["vs_best_peer"])

    yield from at_least("orders, rows a second against the best peer", 6, orders["vs_best_peer"])
    yield from at_least("orders, rows a second against the ceiling", 0.9, orders["vs_ceiling"])
    yield from at_least("wide, rows a second against the best peer", 5, summary["wide"]["vs_best_peer"])
    yield from at_least("filter, lines a second", 1_000_000, summary["filter"]["lines_per_second"], "")
    yield from at_least(
        "slow-database, rows a second against the best peer", 6, summary["slow_database"]["vs_best_peer"]
    )
    yield from p99("latency at 10,000 a second", latency[0], 4, 2)
    yield from p99("latency at 50,000 a second", latency[1], 8, 15)
    yield from at_least("CPU of the program against the best peer", 8, summary["cpu_vs_best_peer"])
    peak = summary["peak_rss_mb"]
    yield "peak memory in orders", "≤ 150 MB", peak, peak is not None and peak <= 150, " MB"
    slowest = slowest_setting(workloads)
    yield from at_least("the slowest number of lanes and workers against one of each", 0.9, slowest)


def goals_table(workloads):
    rows = []
    for what, goal, value, reached, unit in goals(workloads):
        measured = "not measured" if value is None else f"{value:,}{unit}"
        rows.append([what, goal, measured, "yes" if reached else "" if value is None else "**no**"])
    return table(["figure", "goal", "measured", "reached"], rows)


def slowest_setting(workloads):
    one = figures.rate(workloads, "scaling", "lanes 1, workers 1")
    rates = [figures.rate(workloads, "scaling", name) for name in figures.programs_of(workloads, "scaling")]
    return figures.rounded(figures.ratio(min(rates, default=None), one), 2)
