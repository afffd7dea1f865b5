"""The table of sizes in docs/operations.md is what was measured, rounded up."""

import json
import re
import statistics
import unittest

import chart

# The table's rows and the benchmarks' names of them.
WORKLOADS = {"190 bytes of JSON, 4 columns": "orders",
             "1.5 KB with 30 fields, 20 columns": "wide",
             "190 bytes, 2 % of them kept": "filter"}
FIGURES = ("program_cpu", "servers_cpu", "peak_mb")


def documented():
    """Workload → its figures, as FIGURES."""
    page = (chart.ROOT / "docs" / "operations.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()
            if line.startswith("|")]
    return {WORKLOADS[row[0]]: [float(re.sub("[^0-9.]", "", row[column])) for column in (1, 3, 4)]
            for row in rows if row[0] in WORKLOADS}


def measured(workload):
    results = json.loads((chart.ROOT / "docs" / "benchmarks" / "results.json").read_text())
    rounds = results["workloads"][workload]["programs"]["penstock"]["rounds"]
    return [statistics.median(one[figure] for one in rounds) for figure in FIGURES]


class Sizing(unittest.TestCase):
    def test_every_figure_is_what_was_measured_and_at_most_half_as_much_more(self):
        self.assertEqual(set(documented()), set(WORKLOADS.values()))
        for workload, figures in documented().items():
            for name, told, seen in zip(FIGURES, figures, measured(workload), strict=True):
                self.assertTrue(seen <= told <= 1.5 * seen, f"{workload}: {name} is {told} here, {seen:.2f} measured")
