#!/usr/bin/env python3
"""Writes the table of values in helm/penstock/README.md from the comments of values.yaml.

A comment that begins with "# -- " documents the key below it, and everything in it; a key that no
comment covers is an error. With --check it only says whether the page is up to date; the chart's
tests run that.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "helm" / "penstock"
PAGE = CHART / "README.md"
BEGIN = "<!-- values: made by tools/gen_chart_readme.py -->"
KEY = re.compile(r"^( *)([A-Za-z][A-Za-z0-9]*):(?: (.*))?$")


def rows(text):
    """(path, default, meaning) of every documented key, in the order of the file."""
    found, comment, parents = [], [], []  # parents: (indent, key) down to where we are
    covered = None  # the indent of the documented key that we are inside of
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            if stripped.startswith("# -- "):
                comment = [stripped[5:]]
            elif comment:
                comment.append(stripped.lstrip("# "))
            continue
        indent = len(line) - len(line.lstrip())
        match = KEY.match(line)
        if not match:
            if stripped and covered is None:
                raise SystemExit(f"values.yaml:{number}: not a key: {stripped}")
            comment = comment if stripped else []
            continue
        if covered is not None and indent > covered:
            continue
        covered = None
        while parents and parents[-1][0] >= indent:
            parents.pop()
        parents.append((indent, match[2]))
        path = ".".join(key for _, key in parents)
        value = match[3] or ""
        if comment:
            found.append((path, value or "see values.yaml", " ".join(comment)))
            covered, comment = indent, []
        elif value:
            raise SystemExit(f"values.yaml:{number}: no comment says what {path} is")
    return found


def table(text):
    lines = ["| value | default | meaning |", "| --- | --- | --- |"]
    for path, default, meaning in rows(text):
        shown = default if default == "see values.yaml" else f"`{default}`"
        lines.append(f"| `{path}` | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"


def page():
    before, mark, _ = PAGE.read_text().partition(BEGIN)
    if not mark:
        raise SystemExit(f"{PAGE.relative_to(ROOT)} has no line '{BEGIN}'")
    return before + BEGIN + "\n\n" + table((CHART / "values.yaml").read_text())


def main():
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text() != page():
            raise SystemExit(f"{PAGE.relative_to(ROOT)} is not up to date: run tools/gen_chart_readme.py")
    elif sys.argv[1:]:
        raise SystemExit("usage: tools/gen_chart_readme.py [--check]")
    else:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
