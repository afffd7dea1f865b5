#!/usr/bin/env python3
"""What ./dev profile makes of samples: stacks, stages, the flame graph, and errors that say where."""

import contextlib
import io
import json
import pathlib
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as ET

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "bench" / "profile"))

import flame_graph  # noqa: E402
import report  # noqa: E402
import shares  # noqa: E402
import stacks  # noqa: E402

SAMPLES = """\
worker/0   118   3000000
\t       1a2b penstock::parse::JsonReader::Impl::skip(simdjson::value&, unsigned int) (/x/penstock)
\t       2a2b penstock::compute::BatchProcessor<penstock::parse::JsonReader>::process_record(unsigned int) (/x/penstock)
\t   7f000001 [unknown] (/usr/lib/libc.so.6)

ingest   117   1000000
\tffffffff81 clear_page_erms ([kernel.kallsyms])
\t   7f000002 [unknown] (/usr/lib/librdkafka.so.1)
\t   7f000003 [unknown] (/usr/lib/librdkafka.so.1)
\t       3a2b penstock::ingest::Consumer::Impl::take_messages() (/x/penstock)

"""
FACTS = {"program": "penstock", "workload": "orders", "summary": "JSON", "seconds": 2.0, "records": 1000000,
         "program_cpu_s": 0.8, "servers_cpu_s": 2.5, "broker_cpu_s": 0.5, "peak_resident_mb": 120,
         "cpus": 2}


def read(text=SAMPLES):
    return stacks.read(io.StringIO(text))


class Stacks(unittest.TestCase):
    def test_runs_from_the_outermost_frame_to_the_leaf(self):
        worker = read()[0]
        self.assertEqual((worker.thread, worker.weight), ("worker/0", 3000000))
        self.assertEqual([frame.name for frame in worker.frames],
                         ["[libc.so.6]", "compute::BatchProcessor::process_record",
                          "parse::JsonReader::Impl::skip"])

    def test_shows_frames_without_symbols_of_one_library_as_one(self):
        self.assertEqual([frame.name for frame in read()[1].frames],
                         ["ingest::Consumer::Impl::take_messages", "[librdkafka.so.1]",
                          "clear_page_erms"])

    def test_names_what_lies_in_the_kernel_alike(self):
        self.assertEqual(read()[1].frames[-1].object, stacks.KERNEL)

    def test_shortens_symbols_to_what_people_call_them(self):
        for symbol, name in (
                ("void std::vector<char, std::allocator<char> >::_M_insert<char const*>(int)",
                 "std::vector::_M_insert"),
                ("penstock::compute::(anonymous namespace)::encode_scalar(int)",
                 "compute::encode_scalar"),
                ("penstock::RecordBatch::record(unsigned long) const", "RecordBatch::record"),
                ("bool std::operator< <char>(int, int)", "std::operator<"),
                ("penstock::Function::operator()(int) const", "Function::operator()"),
                ("main", "main")):
            self.assertEqual(stacks.short_name(symbol), name)

    def test_says_which_line_is_not_the_head_of_a_sample(self):
        with self.assertRaisesRegex(stacks.BadInput, "line 1 is not the head of a sample: nonsense"):
            read("nonsense\n")

    def test_says_which_line_is_not_a_frame(self):
        with self.assertRaisesRegex(stacks.BadInput, "line 2 is not a frame"):
            read("ingest 1 10\nno address\n")

    def test_refuses_input_without_a_sample(self):
        with self.assertRaisesRegex(stacks.BadInput, "no sample"):
            read("\n")


class Shares(unittest.TestCase):
    def test_add_up_by_weight_and_not_by_count(self):
        self.assertEqual(shares.add_up(read(), lambda sample: sample.thread),
                         {"worker/0": 0.75, "ingest": 0.25})

    def test_count_a_library_for_the_stage_that_called_it(self):
        self.assertEqual([shares.stage_of(sample) for sample in read()],
                         ["parse", "take: free messages"])

    def test_take_a_thread_that_is_no_stage_of_ours_for_one(self):
        self.assertEqual(shares.stage_of(stacks.Sample("poll", (), 1)), "poll")


class FlameGraph(unittest.TestCase):
    def setUp(self):
        self.svg = flame_graph.render(read(), "penstock", "a <title>", lambda weight: f"{weight} ns")
        self.titles = [title.text for title in
                       ET.fromstring(self.svg).iter("{http://www.w3.org/2000/svg}title")]

    def test_says_of_each_box_what_it_is_and_how_much(self):
        self.assertIn("worker/0: 3000000 ns", self.titles)
        self.assertIn("parse::JsonReader::Impl::skip (penstock): 3000000 ns; in itself 3000000 ns",
                      self.titles)

    def test_is_a_well_formed_file_whatever_is_in_the_names(self):
        self.assertEqual(self.titles[0], "a <title>")

    def test_labels_a_narrow_box_with_the_function_alone(self):
        self.assertEqual(flame_graph.label("parse::JsonReader::skip", 16), "JsonReader::skip")
        self.assertEqual(flame_graph.label("parse::JsonReader::skip", 5), "skip")
        self.assertEqual(flame_graph.label("clear_page_erms", 5), "clea…")
        self.assertEqual(flame_graph.label("clear_page_erms", 3), "")

    def test_draws_a_box_as_wide_as_its_share(self):
        widths = {}
        for group in ET.fromstring(self.svg).iter("{http://www.w3.org/2000/svg}g"):
            title, rectangle = group[0], group[1]
            widths[title.text.split(":")[0]] = float(rectangle.get("width"))
        self.assertAlmostEqual(widths["worker/0"] / widths["penstock"], 0.75, places=2)


class Report(unittest.TestCase):
    def run_report(self, facts, samples):
        """Returns what was printed and the flame graph."""
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "facts.json"
            path.write_text(facts)
            out = io.StringIO()
            arguments = ["report.py", "--facts", str(path), "--directory", directory]
            with unittest.mock.patch("sys.argv", arguments), \
                    unittest.mock.patch("sys.stdin", io.StringIO(samples)), \
                    contextlib.redirect_stdout(out):
                report.main()
            return out.getvalue(), (pathlib.Path(directory) / "penstock-orders.svg").read_text()

    def test_gives_nanoseconds_per_record_and_the_flame_graph(self):
        text, svg = self.run_report(json.dumps(FACTS), SAMPLES)
        self.assertIn("500000 records/s", text)
        self.assertIn("penstock 800 ns, PostgreSQL 2000 ns, broker 500 ns", text)
        self.assertRegex(text, r"worker/0 +75\.0% +600\.0")
        self.assertIn("75.00 %, 600.0 ns/record", svg)

    def test_ends_with_what_is_wrong_with_its_input(self):
        for facts, samples, message in (
                ("{}", SAMPLES, "does not hold the facts of a run"),
                ("nonsense", SAMPLES, "does not hold the facts of a run"),
                (json.dumps(FACTS), "", "there is no sample")):
            with self.subTest(message=message), self.assertRaisesRegex(SystemExit, message):
                self.run_report(facts, samples)


if __name__ == "__main__":
    unittest.main()
