"""The charts of docs/benchmarks.md: SVG as text, readable on a light and on a dark page.

Penstock has the one colour; what other people made is grey; what no service can reach (the ceiling
program, the bare consumer) is an outline. Every bar and dot carries its figure.
"""

import html
import math
from typing import NamedTuple

WIDTH = 760
LEFT = 150  # where bars begin, right of their names
RIGHT = 600  # where the longest one ends, left of its figure
ROW = 26

STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif }
.page { fill: #ffffff } .name, .head { fill: #1f2328 } .note, .unit { fill: #59636e }
.head { font-weight: 600 } .note, .unit { font-size: 12px }
.ours { fill: #0969da } .peer { fill: #afb8c1 } .floor { fill: #ffffff; stroke: #8c959f }
.rest { fill: #d0d7de } .grid { stroke: #d8dee4 } .range { stroke-width: 6; stroke-linecap: round }
.ours-line { stroke: #0969da } .peer-line { stroke: #afb8c1 } .floor-line { stroke: #8c959f }
.mine { fill: #0969da; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } .name, .head { fill: #e6edf3 } .note, .unit { fill: #9198a1 }
.ours { fill: #4493f8 } .peer { fill: #656c76 } .floor { fill: #0d1117; stroke: #9198a1 }
.rest { fill: #343b44 } .grid { stroke: #2a313c } .mine { fill: #4493f8 }
.ours-line { stroke: #4493f8 } .peer-line { stroke: #656c76 } .floor-line { stroke: #9198a1 }
}"""


class Bar(NamedTuple):
    name: str
    kind: str  # ours, peer or floor
    value: float
    figure: str
    rest: float = 0  # stacked behind it, in a paler colour


class Range(NamedTuple):
    name: str
    kind: str
    marks: tuple  # rising, in milliseconds; empty: fell behind


class Panel(NamedTuple):
    title: str
    note: str
    rows: list


def text(x, y, content, style, anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}" text-anchor="{anchor}">{html.escape(content)}</text>'


def name(y, row):
    return text(LEFT - 12, y + 17, row.name, "mine" if row.kind == "ours" else "name", "end")


def heading(y, panel):
    return [
        text(16, y + 16, panel.title, "head"),
        text(WIDTH - 16, y + 16, panel.note, "note", "end"),
    ]


def document(title, height, parts):
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">\n<title>{html.escape(title)}</title>\n<style>{STYLE}\n</style>\n'
        f'<rect class="page" width="{WIDTH}" height="{height}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def bars(title, panels):
    """Panels one below the other, each with its own scale from 0."""
    y, parts = 12, []
    for panel in panels:
        parts += heading(y, panel)
        y += 28
        longest = max((bar.value + bar.rest for bar in panel.rows), default=0) or 1
        scale = (RIGHT - LEFT) / longest
        for bar in panel.rows:
            width, rest = bar.value * scale, bar.rest * scale
            parts.append(name(y, bar))
            if rest:
                parts.append(
                    f'<rect class="rest" x="{LEFT + width:.1f}" y="{y + 4}" width="{rest:.1f}" height="18"/>'
                )
            parts.append(
                f'<rect class="{bar.kind}" x="{LEFT}" y="{y + 4}" width="{max(width, 1):.1f}" height="18"/>'
            )
            style = "mine" if bar.kind == "ours" else "name"
            parts.append(text(LEFT + width + rest + 8, y + 17, bar.figure, style))
            y += ROW
        y += 16
    return document(title, y, parts)


def ranges(title, panels):
    """Dots on one logarithmic scale of milliseconds, joined, with their figures at the end."""
    values = [value for panel in panels for row in panel.rows for value in row.marks]
    low = math.floor(math.log10(min(values, default=1)))
    high = max(math.ceil(math.log10(max(values, default=10))), low + 1)

    def place(milliseconds):
        return LEFT + 10 + (math.log10(milliseconds) - low) / (high - low) * (RIGHT - LEFT - 10)

    y, parts = 12, []
    for panel in panels:
        parts += heading(y, panel)
        y += 28
        bottom = y + ROW * len(panel.rows)
        for tick in (10**decade for decade in range(low, high + 1)):
            x = place(tick)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{bottom}"/>')
            parts.append(text(x, bottom + 16, f"{tick:g} ms", "unit", "middle"))
        for row in panel.rows:
            parts += [name(y, row), *range_row(y + 13, row, place)]
            y += ROW
        y += 36
    return document(title, y, parts)


def range_row(y, row, place):
    if not row.marks:
        return [text(LEFT + 18, y + 4, "fell behind", "note")]
    at = [place(value) for value in row.marks]
    figures = " / ".join(f"{value:,.{0 if value >= 100 else 1}f}" for value in row.marks)
    return [
        f'<line class="range {row.kind}-line" x1="{at[0]:.1f}" x2="{at[-1]:.1f}" y1="{y}" y2="{y}"/>',
        *(f'<circle class="{row.kind}" cx="{x:.1f}" cy="{y}" r="5.5"/>' for x in at),
        text(at[-1] + 14, y + 4, figures, "mine" if row.kind == "ours" else "name"),
    ]
