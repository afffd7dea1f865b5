"""The results file of ./dev bench peers: what is in it, medians over the rounds, ratios, the JSON
object that a later change is held against, and tables for the terminal.

A round in which a program fell behind (null in the file) is infinitely late: with it in the middle,
the median is infinite too.
"""

import json
import math
import statistics

THROUGHPUT = ("records_per_second", "seconds", "program_cpu", "servers_cpu", "peak_mb")
LATENCY = ("p50_ms", "p99_ms", "p999_ms", "max_ms")
CRASH = ("records", "duplicates", "lost")

RATES = ("orders", "wide", "filter", "slow-database", "skew", "upsert", "upsert-all")
PACES = {"latency-10000": 10_000, "latency-50000": 50_000}
WORKLOADS = (*RATES, "scaling", *PACES, "crash")

PENSTOCK, CONTROL, CEILING, BARE = "penstock", "penstock again", "ceiling", "bare consumer"
MERGE = "merge"  # PostgreSQL's own, of what is staged before it begins
FORMER = "redpanda-connect"  # measured once, and no longer
PROGRAMS = (PENSTOCK, CONTROL, CEILING, MERGE, BARE, "flink-sql", "kafka-connect", FORMER)


class BadResults(Exception):
    """The file is not what ./dev bench peers writes; the message says where."""


def fields_of(workload):
    return LATENCY if workload in PACES else CRASH if workload == "crash" else THROUGHPUT


def load(path):
    """Returns {workload: results} of the file."""
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except FileNotFoundError:
        raise BadResults(f"{path} is not there: ./dev bench peers --results {path} makes it") from None
    except (OSError, ValueError) as error:
        raise BadResults(f"{path}: {error}") from None
    if not isinstance(results, dict) or results.get("format") != 1:
        raise BadResults(f"{path} holds no results of ./dev bench peers")
    try:
        for workload, result in results["workloads"].items():
            check(workload, result)
    except BadResults as error:
        raise BadResults(f"{path}: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise BadResults(f"{path}: something is missing or of the wrong kind: {error!r}") from None
    return results["workloads"]


def check(workload, result):
    if workload not in WORKLOADS:
        raise BadResults(f"there is no workload {workload}")
    for name in ("amounts", "machine", "versions", "postgresql_settings"):
        if not isinstance(result["conditions"][name], dict):
            raise BadResults(f"{workload}: conditions.{name} is not a mapping")
    if not isinstance(result["conditions"]["date"], str):
        raise BadResults(f"{workload}: conditions.date is not a text")
    for program, measured in result["programs"].items():
        if not measured["rounds"]:
            raise BadResults(f"{workload}, {program}: there is no round")
        for number, figures in enumerate(measured["rounds"], 1):
            if figures is None and workload in PACES:
                continue  # fell behind
            for field in fields_of(workload):
                if not isinstance((figures or {}).get(field), (int, float)):
                    raise BadResults(f"{workload}, {program}, round {number}: no figure '{field}'")


# ---- medians and ratios --------------------------------------------------------------------------


def programs_of(workloads, workload):
    """The programs that did it, in the order of PROGRAMS; others by name."""
    names = workloads.get(workload, {}).get("programs", {})
    return sorted(names, key=lambda name: (PROGRAMS.index(name) if name in PROGRAMS else 99, name))


def peers_of(workloads, workload):
    programs = workloads.get(workload, {}).get("programs", {})
    return [name for name in programs_of(workloads, workload) if programs[name].get("is_peer")]


def every_round(workloads, workload, program, field):
    measured = workloads.get(workload, {}).get("programs", {}).get(program, {"rounds": []})
    return [math.inf if figures is None else figures[field] for figures in measured["rounds"]]


def median(workloads, workload, program, field):
    """None if it was not measured; infinite if the program fell behind."""
    values = every_round(workloads, workload, program, field)
    return statistics.median_high(values) if values else None


def best_peer(workloads, workload, field, better):
    """The best of the peers' medians."""
    values = [median(workloads, workload, peer, field) for peer in peers_of(workloads, workload)]
    return better(values, default=None)


def others_cpus(result):
    """How many CPUs other processes of the machine took, in the worst round; None if nobody looked."""
    seen = [
        figures["others_cpus"]
        for measured in result["programs"].values()
        for figures in measured["rounds"]
        if figures and "others_cpus" in figures
    ]
    return max(seen, default=None)


def ratio(above, below):
    if above is None or not below or math.isinf(above) or math.isinf(below):
        return None
    return above / below


def rate(workloads, workload, program=PENSTOCK):
    return median(workloads, workload, program, "records_per_second")


def rate_vs_best_peer(workloads, workload):
    best = best_peer(workloads, workload, "records_per_second", max)
    return ratio(rate(workloads, workload), best)


def rate_vs_ceiling(workloads, workload):
    return ratio(rate(workloads, workload), rate(workloads, workload, CEILING))


def rate_vs_merge(workloads, workload):
    return ratio(rate(workloads, workload), rate(workloads, workload, MERGE))


def latency_vs_best_peer(workloads, workload):
    best = best_peer(workloads, workload, "p99_ms", min)
    return ratio(best, median(workloads, workload, PENSTOCK, "p99_ms"))


def cpu_vs_best_peer(workloads):
    best = best_peer(workloads, "orders", "program_cpu", min)
    return ratio(best, median(workloads, "orders", PENSTOCK, "program_cpu"))


def aa_spread(workloads):
    """By how much two equal programs differ."""
    ours, control = rate(workloads, "orders"), rate(workloads, "orders", CONTROL)
    return abs(ours - control) / max(ours, control) if ours and control else None


def rounded(value, digits):
    """None for what was not measured, and for what no figure can say."""
    if value is None or math.isinf(value):
        return None
    return round(value, digits) if digits else round(value)


def summary(workloads):
    """The figures of --json. Ratios above 1 mean that Penstock is better; None: not measured."""
    orders = rate(workloads, "orders")

    def latency(workload):
        return {
            "p99_ms": rounded(median(workloads, workload, PENSTOCK, "p99_ms"), 2),
            "bare_p99_ms": rounded(median(workloads, workload, BARE, "p99_ms"), 2),
            "vs_best_peer": rounded(latency_vs_best_peer(workloads, workload), 2),
        }

    def upsert(workload):
        return {
            "rows_per_second": rounded(rate(workloads, workload), 0),
            "vs_best_peer": rounded(rate_vs_best_peer(workloads, workload), 2),
            "vs_merge": rounded(rate_vs_merge(workloads, workload), 2),
        }

    return {
        "orders": {
            "rows_per_second": rounded(orders, 0),
            "vs_best_peer": rounded(rate_vs_best_peer(workloads, "orders"), 2),
            "vs_ceiling": rounded(rate_vs_ceiling(workloads, "orders"), 3),
        },
        "wide": {"vs_best_peer": rounded(rate_vs_best_peer(workloads, "wide"), 2)},
        "filter": {"lines_per_second": rounded(rate(workloads, "filter"), 0)},
        "slow_database": {"vs_best_peer": rounded(rate_vs_best_peer(workloads, "slow-database"), 2)},
        "upsert": upsert("upsert"),
        "upsert_all": upsert("upsert-all"),
        "latency_10k": latency("latency-10000"),
        "latency_50k": latency("latency-50000"),
        "cpu_vs_best_peer": rounded(cpu_vs_best_peer(workloads), 2),
        "peak_rss_mb": rounded(median(workloads, "orders", PENSTOCK, "peak_mb"), 0),
        "aa_spread": rounded(aa_spread(workloads), 3),
    }


# ---- the terminal --------------------------------------------------------------------------------

COLUMNS = {
    THROUGHPUT: (("records/s", 0), ("seconds", 1), ("CPU s/M", 2), ("servers", 2), ("peak MB", 0)),
    LATENCY: (("p50 ms", 1), ("p99 ms", 1), ("p99.9 ms", 1), ("max ms", 1)),
    CRASH: (("records", 0), ("duplicates", 0), ("lost", 0)),
}


def tables(workloads):
    lines = []
    for workload in WORKLOADS:
        if workload not in workloads:
            continue
        fields = fields_of(workload)
        columns = COLUMNS[fields]
        lines += ["", f"{workload:<22}" + "".join(f"{title:>12}" for title, _ in columns)]
        for program in programs_of(workloads, workload):
            medians = [median(workloads, workload, program, field) for field in fields]
            if any(map(math.isinf, medians)):
                lines.append(f"{program:<22} fell behind")
                continue
            cells = "".join(f"{value:>12.{d}f}" for value, (_, d) in zip(medians, columns))
            lines.append(f"{program:<22}{cells}")
        for program, why in workloads[workload].get("left_out", {}).items():
            lines.append(f"{program:<22} left out: {why}")
    return "\n".join(lines)
