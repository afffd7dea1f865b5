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


RATE_TIMES = {"orders": 6, "slow-database": 6}  # the best peer's rows a second
CEILING_SHARE = 0.9  # of the ceiling's rows a second
# How many ms above a bare consumer's p99, how many times shorter than the best peer's.
LATENCY_GOALS = {"latency-10000": (4, 2), "latency-50000": (8, 15)}


def goals(workloads):
    """Rows of: what, goal, measured (None: not measured), whether it is reached."""
    summary = figures.summary(workloads)
    orders = summary["orders"]

    def at_least(what, goal, value, unit=" ×"):
        yield what, f"≥ {goal:,}{unit}", value, value is not None and value >= goal, unit

    def p99(what, values, more_than_bare, times):
        ours, bare = values["p99_ms"], values["bare_p99_ms"]
        known = None not in (ours, bare)
        yield (f"{what}, p99 above a bare consumer's", f"≤ {more_than_bare} ms",
               round(ours - bare, 2) if known else None,
               known and ours <= bare + more_than_bare, " ms")  # fmt: skip
        yield from at_least(f"{what}, p99 against the best peer", times, values["vs_best_peer"])

    yield from at_least(
        "orders, rows a second against the best peer", RATE_TIMES["orders"], orders["vs_best_peer"]
    )
    yield from at_least("orders, rows a second against the ceiling", CEILING_SHARE, orders["vs_ceiling"])
    yield from at_least("wide, rows a second against the best peer", 5, summary["wide"]["vs_best_peer"])
    yield from at_least("filter, lines a second", 1_000_000, summary["filter"]["lines_per_second"], "")
    yield from at_least(
        "slow-database, rows a second against the best peer",
        RATE_TIMES["slow-database"],
        summary["slow_database"]["vs_best_peer"],
    )
    for workload, key, times in (("upsert", "upsert", 5), ("upsert-all", "upsert_all", 2.5)):
        values = summary[key]
        yield from at_least(f"{workload}, rows a second against the best peer", times, values["vs_best_peer"])
        yield from at_least(f"{workload}, rows a second against PostgreSQL's own merge", 0.85, values["vs_merge"])
    for workload, key in (("latency-10000", "latency_10k"), ("latency-50000", "latency_50k")):
        yield from p99(title_of(workload), summary[key], *LATENCY_GOALS[workload])
    yield from at_least("CPU of the program against the best peer", 8, summary["cpu_vs_best_peer"])
    peak = summary["peak_rss_mb"]
    yield "peak memory in orders", "≤ 150 MB", peak, peak is not None and peak <= 150, " MB"
    slowest = slowest_setting(workloads)
    yield from at_least("the slowest number of lanes and workers against one of each", 0.9, slowest)


def goals_table(workloads, only_measured=False):
    rows = []
    for what, goal, value, reached, unit in goals(workloads):
        if value is None and only_measured:
            continue
        measured = "not measured" if value is None else f"{value:,}{unit}"
        rows.append([what, goal, measured, "yes" if reached else "" if value is None else "**no**"])
    return table(["figure", "goal", "measured", "reached"], rows)


# ---- what the floor leaves -----------------------------------------------------------------------


def floors(workloads, in_memory):
    """Lines of Markdown: for each goal against the ceiling or the peers that is not reached, what is
    left to gain by the floor of the same run, and what it is without a disk if that was measured."""
    lines = []
    for workload, times in RATE_TIMES.items():
        peer = figures.best_peer(workloads, workload, "records_per_second", max)
        ours, ceiling = figures.rate(workloads, workload), figures.rate(workloads, workload, figures.CEILING)
        if None in (peer, ours, ceiling) or ours >= times * peer:
            continue
        goal = times * peer
        cpus = int(workloads[workload]["conditions"]["machine"]["CPUs"])
        servers = figures.median(workloads, workload, PENSTOCK, "servers_cpu")
        program = figures.median(workloads, workload, figures.CEILING, "program_cpu")
        budget_us = cpus / goal * 1e6
        lines.append(
            f"- {workload}: {times} × the best peer is {goal:,.0f} rows a second, for each of which {cpus} CPUs "
            f"have {budget_us:.2f} µs. PostgreSQL and the broker take {servers:.2f} µs, which leaves "
            f"{budget_us - servers:.2f} µs. The ceiling, which only moves, takes {program:.2f} µs and reaches "
            f"{ceiling / peer:.2f} ×. More than that needs a cheaper insert (no key on the table, less WAL) or "
            "PostgreSQL on CPUs of its own."
            + without_disk("best peer", figures.rate_vs_best_peer(in_memory, workload))
        )
    ours, ceiling = figures.rate(workloads, "orders"), figures.rate(workloads, "orders", figures.CEILING)
    if None not in (ours, ceiling) and ours < CEILING_SHARE * ceiling:
        cost = {
            (program, field): figures.median(workloads, "orders", program, field)
            for program in (PENSTOCK, figures.CEILING)
            for field in ("program_cpu", "servers_cpu")
        }
        lines.append(
            f"- orders, against the ceiling: a row costs Penstock {cost[PENSTOCK, 'program_cpu']:.2f} µs of CPU and "
            f"the ceiling {cost[figures.CEILING, 'program_cpu']:.2f} µs; PostgreSQL and the broker "
            f"{cost[PENSTOCK, 'servers_cpu']:.2f} and {cost[figures.CEILING, 'servers_cpu']:.2f} µs. The stages, and the "
            "floor of each: [What a record costs](architecture.md#what-a-record-costs)."
            + without_disk("ceiling", figures.rate_vs_ceiling(in_memory, "orders"))
        )
    for workload, (_, times) in LATENCY_GOALS.items():
        peer = figures.best_peer(workloads, workload, "p99_ms", min)
        ours = figures.median(workloads, workload, PENSTOCK, "p99_ms")
        bare = figures.median(workloads, workload, figures.BARE, "p99_ms")
        if None not in (peer, ours, bare) and peer / times < ours and not math.isinf(ours):
            lines.append(
                f"- {title_of(workload)}: 1/{times} of the best peer's p99 is {peer / times:.1f} ms. A bare "
                f"consumer, which writes nothing, has {bare:.1f} ms in the same run, which leaves "
                f"{max(0, peer / times - bare):.1f} ms for computing and inserting."
                + without_disk("best peer", figures.latency_vs_best_peer(in_memory, workload))
            )
    return lines


def without_disk(whom, times):
    return "" if times is None else f" [Without a disk](#without-a-disk): {times:.2f} × the {whom}."


def slowest_setting(workloads):
    one = figures.rate(workloads, "scaling", "lanes 1, workers 1")
    rates = [figures.rate(workloads, "scaling", name) for name in figures.programs_of(workloads, "scaling")]
    return figures.rounded(figures.ratio(min(rates, default=None), one), 2)
