"""Figures and tables as Markdown."""

import math

from figures import PACES, PENSTOCK


def number(value, digits=0, unit=""):
    if value is None:
        return "–"
    return "fell behind" if math.isinf(value) else f"{value:,.{digits}f}{unit}"


def table(head, rows, left=1):
    """Markdown; all columns but the first `left` to the right."""
    rule = [":--" if column < left else "--:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows])


def bold(program, cells):
    return [f"**{cell}**" if program == PENSTOCK else cell for cell in cells]


def title_of(workload):
    return f"latency at {PACES[workload]:,} a second" if workload in PACES else workload
