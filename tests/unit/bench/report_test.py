"""What ./dev bench peers and ./dev bench report make of a results file."""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

REPORT = pathlib.Path(__file__).resolve().parents[3] / "bench/end_to_end/peers/report"
sys.path.insert(0, str(REPORT))

import charts  # noqa: E402
import figures  # noqa: E402
import judgement  # noqa: E402
import report  # noqa: E402


def rates(*values, cpu=1.0, servers=2.0, memory=100.0, peer=False):
    names = ("records_per_second", "seconds", "program_cpu", "servers_cpu", "peak_mb")
    rounds = [dict(zip(names, (value, 60.0, cpu, servers, memory))) for value in values]
    return {"is_peer": peer, "rounds": rounds, "configuration": {"yaml": "secret: '***'"}}


def latencies(*p99s, peer=False):
    def one(p99):
        return None if p99 is None else {"p50_ms": p99 / 2, "p99_ms": p99, "p999_ms": p99 * 2, "max_ms": p99 * 3}

    return {"is_peer": peer, "rounds": [one(p99) for p99 in p99s], "configuration": {}}


def crash(duplicates, peer=False):
    return {"is_peer": peer, "rounds": [{"records": 2000, "duplicates": duplicates, "lost": 0}]}


def workload(programs, date="2026-01-02T03:04:05Z", **left_out):
    return {
        "summary": "records of a kind",
        "conditions": {
            "date": date,
            "amounts": {"rounds": 3, "seconds": 60, "records": 1000},
            "machine": {"CPUs": "2"},
            "versions": {"penstock": "abc1234", "postgresql": "17.5"},
            "postgresql_settings": {"fsync": "on"},
        },
        "programs": programs,
        "left_out": left_out,
    }


def sample():
    peers = {"redpanda-connect": rates(90, 100, 80, cpu=10, memory=300, peer=True)}
    return {
        "orders": workload({
            "penstock": rates(500, 900, 600, cpu=0.5, memory=120),
            "penstock again": rates(540, 540, 540, cpu=0.5, memory=120),
            "ceiling": rates(800, 800, 800, cpu=0.4, memory=500),
            **peers,
        }),
        "wide": workload({"penstock": rates(500), **peers}, date="2026-02-03T04:05:06Z", ceiling="knows only orders"),
        "scaling": workload({"lanes 1, workers 1": rates(400), "lanes 4, workers 4": rates(380), "default": rates(600)}),
        "latency-10000": workload({
            "penstock": latencies(9, 10, 50), "bare consumer": latencies(8, 8, 8),
            "redpanda-connect": latencies(30, 25, 20, peer=True), "kafka-connect": latencies(None, None, 5, peer=True),
        }),
        "crash": workload({"penstock": crash(0), "redpanda-connect": crash(12_345, peer=True)}),
    }  # fmt: skip


class Summary(unittest.TestCase):
    def test_it_has_medians_and_ratios_above_one_mean_that_penstock_is_better(self):
        self.assertEqual(figures.summary(sample()), {
            "orders": {"rows_per_second": 600, "vs_best_peer": 6.67, "vs_ceiling": 0.75},
            "wide": {"vs_best_peer": 5.56},
            "filter": {"lines_per_second": None},
            "slow_database": {"vs_best_peer": None},
            "upsert": {"rows_per_second": None, "vs_best_peer": None, "vs_merge": None},
            "upsert_all": {"rows_per_second": None, "vs_best_peer": None, "vs_merge": None},
            "latency_10k": {"p99_ms": 10, "bare_p99_ms": 8, "vs_best_peer": 2.5},
            "latency_50k": {"p99_ms": None, "bare_p99_ms": None, "vs_best_peer": None},
            "cpu_vs_best_peer": 20.0,
            "peak_rss_mb": 120,
            "aa_spread": 0.1,
        })  # fmt: skip

    def test_upserts_stand_beside_the_best_peer_and_postgresqls_own_merge(self):
        programs = {"penstock": rates(200), "merge": rates(160), "flink-sql": rates(40, peer=True)}
        results = {"upsert": workload(programs), "upsert-all": workload({**programs, "merge": rates(100)})}
        summary = figures.summary(results)
        self.assertEqual(summary["upsert"], {"rows_per_second": 200, "vs_best_peer": 5.0, "vs_merge": 1.25})
        self.assertEqual(summary["upsert_all"], {"rows_per_second": 200, "vs_best_peer": 5.0, "vs_merge": 2.0})
        self.assertIn("upsert-all", judgement.goals_table(results))

    def test_what_was_not_measured_is_null(self):
        self.assertEqual(figures.summary({})["orders"], {"rows_per_second": None, "vs_best_peer": None, "vs_ceiling": None})

    def test_penstock_that_fell_behind_has_no_figure(self):
        results = {"latency-50000": workload({"penstock": latencies(None), "redpanda-connect": latencies(9, peer=True)})}
        self.assertEqual(figures.summary(results)["latency_50k"], {"p99_ms": None, "bare_p99_ms": None, "vs_best_peer": None})


class NotAhead(unittest.TestCase):
    def test_every_figure_of_another_program_that_is_better_is_listed(self):
        ahead = [(what, who, field) for what, who, field, _, _ in judgement.others_ahead(sample())]
        self.assertEqual(ahead, [
            ("orders", "ceiling", "records_per_second"),
            ("orders", "ceiling", "program_cpu"),
            ("latency-10000", "bare consumer", "p50_ms"),
            ("latency-10000", "bare consumer", "p99_ms"),
            ("latency-10000", "bare consumer", "p999_ms"),
            ("latency-10000", "bare consumer", "max_ms"),
        ])  # fmt: skip

    def test_a_peer_that_is_better_is_listed_like_any_other(self):
        results = sample()
        results["crash"]["programs"]["penstock"] = crash(99_999)
        self.assertIn("| crash | rows written twice after a SIGKILL | redpanda-connect: 12,345 | 99,999 | 88 % |",
                      judgement.not_ahead(results))  # fmt: skip

    def test_a_difference_that_two_equal_programs_have_too_is_marked(self):
        results = sample()
        results["orders"]["programs"]["ceiling"] = rates(610, 610, 610)
        self.assertIn("| 2 %, less than two equal programs differ by |", judgement.not_ahead(results))

    def test_penstock_that_fell_behind_is_behind_who_did_not(self):
        results = {"latency-50000": workload({"penstock": latencies(None), "redpanda-connect": latencies(9, peer=True)})}
        self.assertIn("redpanda-connect: 9.0 ms | fell behind |", judgement.not_ahead(results))

    def test_it_says_so_when_nobody_is_ahead(self):
        results = {"wide": sample()["wide"]}
        self.assertTrue(judgement.not_ahead(results).startswith("Of what was measured, no figure"))


class Goals(unittest.TestCase):
    def test_each_is_reached_or_not_or_not_measured(self):
        reached = {row[0]: row[3] for row in judgement.goals(sample())}
        self.assertTrue(reached["orders, rows a second against the best peer"])
        self.assertFalse(reached["orders, rows a second against the ceiling"])
        text = judgement.goals_table(sample())
        self.assertIn("| orders, rows a second against the ceiling | ≥ 0.9 × | 0.75 × | **no** |", text)
        self.assertIn("| filter, lines a second | ≥ 1,000,000 | not measured |  |", text)
        self.assertIn("one of each | ≥ 0.9 × | 0.95 × | yes |", text)


class Floors(unittest.TestCase):
    def test_a_goal_that_is_not_reached_is_held_against_the_floor_of_its_run(self):
        results = sample()
        results["orders"]["programs"]["redpanda-connect"] = rates(200, 200, 200, peer=True)
        results["orders"]["conditions"]["machine"]["CPUs"] = "2"
        results["latency-50000"] = workload({"penstock": latencies(12), "bare consumer": latencies(9),
                                             "redpanda-connect": latencies(150, peer=True)})  # fmt: skip
        orders, ceiling, latency = judgement.floors(results, {})
        self.assertIn("6 × the best peer is 1,200 rows a second, for each of which 2 CPUs have 1666.67 µs", orders)
        self.assertIn("reaches 4.00 ×", orders)
        self.assertIn("a row costs Penstock 0.50 µs of CPU and the ceiling 0.40 µs", ceiling)
        self.assertIn("1/15 of the best peer's p99 is 10.0 ms", latency)
        self.assertTrue(latency.endswith("leaves 1.0 ms for computing and inserting."), latency)
        self.assertIn("Why these are not reached", Page.page(results))

        in_memory = {"orders": sample()["orders"], "latency-50000": copy.deepcopy(results["latency-50000"])}
        in_memory["latency-50000"]["programs"]["redpanda-connect"] = latencies(300, peer=True)
        orders, ceiling, latency = judgement.floors(results, in_memory)
        self.assertTrue(orders.endswith(" [Without a disk](#without-a-disk): 6.67 × the best peer."), orders)
        self.assertTrue(ceiling.endswith(" [Without a disk](#without-a-disk): 0.75 × the ceiling."), ceiling)
        self.assertTrue(latency.endswith(" [Without a disk](#without-a-disk): 25.00 × the best peer."), latency)

    def test_a_slow_database_has_the_same_goal_as_orders(self):
        results = sample()
        results["slow-database"] = copy.deepcopy(results["orders"])
        self.assertFalse([line for line in judgement.floors(results, {}) if line.startswith("- slow-database")])
        results["slow-database"]["programs"]["redpanda-connect"] = rates(150, 150, 150, peer=True)
        (line,) = [line for line in judgement.floors(results, {}) if line.startswith("- slow-database")]
        self.assertIn("6 × the best peer is 900 rows a second", line)
        self.assertIn("reaches 5.33 ×", line)

    def test_nothing_is_said_of_a_goal_that_is_reached(self):
        results = {"orders": sample()["orders"]}
        results["orders"]["programs"]["ceiling"] = rates(610, 610, 610)
        self.assertEqual(judgement.floors(results, {}), [])
        self.assertNotIn("Why these are not reached", Page.page(results))


class Page(unittest.TestCase):
    @staticmethod
    def page(results):
        return report.page(results, report.all_charts(results))

    def test_it_has_medians_ratios_and_every_round(self):
        page = self.page(sample())
        self.assertIn("| **penstock** | **600** | **1.00** | **0.50** | **2.00** | **120** | **60.0** | 500 900 600 |", page)
        self.assertIn("| redpanda-connect | 90 | 0.15 | 10.00 | 2.00 | 300 | 60.0 | 90 100 80 |", page)
        self.assertIn("| kafka-connect | fell behind |", page)
        self.assertIn("| redpanda-connect | 2,000 | 12,345 | 0 |", page)
        self.assertIn("differ by 10.0 %", page)

    def test_each_workload_has_its_own_date_and_who_was_left_out(self):
        page = self.page(sample())
        self.assertIn("Records of a kind. Measured 2026-01-02, 3 rounds of 60 s each, 1,000 records, Penstock at `abc1234`", page)
        self.assertIn("Measured 2026-02-03", page)
        self.assertIn("- Left out: ceiling (knows only orders).", page)

    def test_conditions_that_differ_say_for_which_workload(self):
        results = sample()
        results["wide"]["conditions"]["versions"]["postgresql"] = "17.6"
        page = self.page(results)
        self.assertIn("17.6 (wide)", page)
        self.assertIn("| CPUs | 2 |", page)

    def test_what_was_not_measured_is_said_with_how_to(self):
        page = self.page(sample())
        self.assertIn("`filter` was not measured: `./dev bench peers --workload filter`.", page)
        self.assertIn("`latency` was not measured: `./dev bench peers --workload latency`.", page)
        nothing = self.page({})
        for name in ("orders", "wide", "scaling", "crash", "latency"):
            self.assertIn(f"./dev bench peers --workload {name}`", nothing)
        self.assertNotIn("](benchmarks/", nothing)

    def test_what_was_measured_without_a_disk_has_its_own_goals_and_tables(self):
        self.assertNotIn("## Without a disk", self.page(sample()))
        in_memory = {"orders": sample()["orders"], "latency-10000": sample()["latency-10000"]}
        page = report.page({}, {}, in_memory)
        part = page[page.index("## Without a disk"):page.index("## CPU and memory")]
        self.assertIn("`--in-memory` puts the files", part)
        self.assertIn("| orders, rows a second against the ceiling | ≥ 0.9 × | 0.75 × | **no** |", part)
        self.assertIn("| **penstock** | **600** |", part)
        self.assertIn("### latency at 10,000 a second", part)
        self.assertIn("- orders, against the ceiling: a row costs Penstock 0.50 µs", part)
        self.assertNotIn("wide", part)

    def test_short_rounds_have_their_own_tables_and_conditions(self):
        self.assertNotIn("## In short rounds", self.page(sample()))
        quick = {name: copy.deepcopy(sample()[name]) for name in ("orders", "latency-10000", "crash")}
        quick["orders"]["programs"]["flink-sql"] = rates(50, peer=True)
        quick["orders"]["programs"]["flink-sql"]["rounds"][0]["others_cpus"] = 1.25
        page = report.page(sample(), {}, {}, quick)
        self.assertIn("<summary>flink-sql, as it ran in <code>orders</code></summary>", page)
        self.assertEqual(page.count("<summary>penstock, as it ran"), 1)
        part = page[page.index("## In short rounds"):page.index("## CPU and memory")]
        self.assertIn("| flink-sql | 50 | 0.08 |", part)
        self.assertIn("Other processes took up to 1.2 CPUs meanwhile.", part)
        self.assertIn("| orders | records a second | ceiling: 800 | 600 |", part)
        self.assertIn("### latency at 10,000 a second", part)
        self.assertIn("### SIGKILL in the middle of a short run", part)
        self.assertIn("| CPUs | 2 |", part)
        self.assertNotIn("### wide", part)

    def test_a_program_that_is_not_measured_any_more_is_said_to_be_so(self):
        self.assertIn("redpanda-connect is not measured any more", self.page(sample()))
        self.assertNotIn("not measured any more", self.page({"orders": workload({"penstock": rates(500)})}))

    def test_any_part_of_the_results_makes_a_page(self):
        for name, result in sample().items():
            self.assertIn("# Benchmarks", self.page({name: result}))

    def test_it_shows_the_configurations_and_what_the_readme_says(self):
        page = self.page(sample())
        self.assertIn("```yaml\nsecret: '***'\n```", page)
        for heading in ("The servers", "The programs", "What favours whom", "What is measured, and by whom"):
            self.assertIn(report.readme_section(heading), page)


class Charts(unittest.TestCase):
    def test_they_are_well_formed_carry_their_figures_and_light_and_dark_colours(self):
        svgs = report.all_charts(sample())
        self.assertEqual(sorted(svgs), ["cost.svg", "latency.svg", "rates.svg", "scaling.svg"])
        for svg in svgs.values():
            ET.fromstring(svg)
            self.assertIn("prefers-color-scheme: dark", svg)
        self.assertIn(">600<", svgs["rates.svg"])
        self.assertIn(">fell behind<", svgs["latency.svg"])

    def test_bars_are_as_long_as_their_figures(self):
        root = ET.fromstring(charts.bars("t", [charts.Panel("p", "", [
            charts.Bar("a", "ours", 100, "100"), charts.Bar("b & c", "peer", 50, "50")])]))  # fmt: skip
        widths = {rect.get("class"): float(rect.get("width")) for rect in root.iter("{http://www.w3.org/2000/svg}rect")}
        self.assertAlmostEqual(widths["ours"], 2 * widths["peer"])

    def test_nothing_but_zeros_and_programs_that_fell_behind_are_drawn_too(self):
        ET.fromstring(charts.bars("t", [charts.Panel("p", "", [charts.Bar("a", "ours", 0, "0")])]))
        ET.fromstring(charts.ranges("t", [charts.Panel("p", "", [charts.Range("a", "ours", ())])]))


class Files(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name)
        self.file = self.folder / "results.json"

    def write(self, workloads, form=1):
        self.file.write_text(json.dumps({"format": form, "workloads": workloads}))

    def refused(self):
        with self.assertRaises(figures.BadResults) as caught:
            figures.load(self.file)
        return str(caught.exception)

    def run_script(self, script, *arguments):
        return subprocess.run([sys.executable, "-B", REPORT / script, *arguments],
                              capture_output=True, text=True, check=False)  # fmt: skip

    def test_results_that_are_not_there_or_not_ours_are_refused_with_their_place(self):
        self.assertIn("results.json is not there: ./dev bench peers --results", self.refused())
        self.file.write_text("hello")
        self.assertIn("results.json: Expecting value", self.refused())
        self.write({}, form=2)
        self.assertIn("holds no results", self.refused())
        self.write({"order": {}})
        self.assertIn("there is no workload order", self.refused())

    def test_results_that_lack_something_say_what(self):
        def without(*path):
            results = copy.deepcopy(sample())
            place = results
            for step in path[:-1]:
                place = place[step]
            del place[path[-1]]
            self.write(results)
            return self.refused()

        self.assertIn("orders, ceiling, round 2: no figure 'peak_mb'",
                      without("orders", "programs", "ceiling", "rounds", 1, "peak_mb"))  # fmt: skip
        self.assertIn("conditions", without("orders", "conditions"))
        self.assertIn("'machine'", without("wide", "conditions", "machine"))
        self.assertIn("wide, penstock: there is no round", without("wide", "programs", "penstock", "rounds", 0))

    def test_only_in_latency_a_program_can_fall_behind(self):
        results = sample()
        results["wide"]["programs"]["penstock"]["rounds"] = [None]
        self.write(results)
        self.assertIn("wide, penstock, round 1", self.refused())

    def test_report_writes_the_page_and_the_charts_it_shows(self):
        self.write(sample())
        done = self.run_script("report.py", "--results", self.file, "--into", self.folder / "docs")
        self.assertEqual(done.returncode, 0, done.stderr)
        page = (self.folder / "docs/benchmarks.md").read_text()
        charts_of_page = sorted(line.split("(")[1].rstrip(")") for line in page.splitlines() if line.startswith("!["))
        self.assertEqual(charts_of_page, sorted(f"benchmarks/{file.name}" for file in (self.folder / "docs/benchmarks").iterdir()))

    def test_report_shows_what_was_measured_without_a_disk_if_it_lies_beside(self):
        self.write(sample())
        (self.folder / "in-memory.json").write_text(self.file.read_text())
        done = self.run_script("report.py", "--results", self.file, "--into", self.folder / "docs")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("## Without a disk", (self.folder / "docs/benchmarks.md").read_text())

    def test_report_shows_short_rounds_if_they_lie_beside(self):
        self.write(sample())
        (self.folder / "quick.json").write_text(self.file.read_text())
        done = self.run_script("report.py", "--results", self.file, "--into", self.folder / "docs")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("## In short rounds", (self.folder / "docs/benchmarks.md").read_text())

    def test_report_prints_the_figures_of_all_workloads_or_what_is_wrong(self):
        self.write(sample())
        done = self.run_script("report.py", "--results", self.file, "--json")
        self.assertEqual(json.loads(done.stdout), figures.summary(sample()))
        done = self.run_script("report.py", "--results", self.folder / "none.json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.json is not there", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    # A program that adds "wide" to what is in the results file, as of now, and notes its arguments.
    def program(self, status=0):
        program = self.folder / "program"
        program.write_text(f"""#!{sys.executable}
import datetime, json, sys
open({str(self.folder / "arguments")!r}, "w").write(" ".join(sys.argv[1:]))
if "--help" in sys.argv: sys.exit(print("the program's help"))
file = sys.argv[sys.argv.index("--results") + 1]
results = json.load(open(file))
wide = {sample()["wide"]!r}
wide["conditions"]["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%FT%TZ")
results["workloads"]["wide"] = wide
json.dump(results, open(file, "w"))
sys.exit({status})
""")
        program.chmod(0o700)
        return program

    def kit(self, text):
        kit = self.folder / "kit"
        kit.write_text(f"#!/bin/sh\n{text}\n")
        kit.chmod(0o700)
        return kit

    def peers(self, *arguments, status=0, kit="echo /the/kit"):
        return self.run_script("run.py", "--program", self.program(status), "--make-kit", self.kit(kit),
                               "--results", self.file, *arguments)  # fmt: skip

    def test_a_run_prints_only_what_it_measured_itself(self):
        self.write({"orders": sample()["orders"]})
        done = self.peers("--json", "--workload", "wide")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("orders", done.stdout.splitlines()[1])
        last = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(last["wide"], {"vs_best_peer": 5.56})
        self.assertIsNone(last["orders"]["rows_per_second"])
        self.assertIn("--workload wide --results", (self.folder / "arguments").read_text())
        self.assertIn("--kit /the/kit", (self.folder / "arguments").read_text())
        self.assertIn("orders", figures.load(self.file))

    def test_a_run_without_peers_needs_no_kit(self):
        self.write({})
        done = self.peers("--programs", "penstock,ceiling", kit="exit 1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--programs penstock,ceiling", (self.folder / "arguments").read_text())

    def test_a_run_without_a_disk_has_its_own_file(self):
        (self.folder / "build/peers").mkdir(parents=True)
        self.file = self.folder / "build/peers/in-memory.json"
        self.write({})
        done = subprocess.run(
            [sys.executable, "-B", REPORT / "run.py", "--program", self.program(), "--make-kit", self.kit("echo /the/kit"),
             "--in-memory"], cwd=self.folder, capture_output=True, text=True, check=False)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("--results build/peers/in-memory.json", (self.folder / "arguments").read_text())
        self.assertIn("--in-memory", (self.folder / "arguments").read_text())

    def test_a_kit_that_cannot_be_made_ends_the_run_with_a_way_out(self):
        self.write({})
        done = self.peers(kit="echo no network >&2; exit 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no network", done.stderr)
        self.assertIn("--programs penstock,ceiling", done.stderr)
        self.assertFalse((self.folder / "arguments").exists())

    def test_the_status_and_the_help_are_the_programs_own(self):
        self.write({})
        self.assertEqual(self.peers(status=3).returncode, 3)
        done = self.peers("--help", kit="exit 1")
        self.assertEqual((done.returncode, done.stdout), (0, "the program's help\n"))


if __name__ == "__main__":
    unittest.main()
