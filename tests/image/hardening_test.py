"""What keeps a mistake with memory from becoming a way into the program, as its own bytes show it."""

import re
import unittest

from image import PROGRAM, run, unpacked


def readelf(*options):
    result = run("readelf", "--wide", *options, unpacked() / PROGRAM)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return result.stdout


class HardeningTest(unittest.TestCase):
    def test_it_lies_at_another_address_each_time(self):
        self.assertRegex(readelf("--file-header"), r"Type:\s+DYN")
        self.assertRegex(readelf("--dynamic"), r"\(FLAGS_1\).*\bPIE\b")

    def test_what_the_loader_has_filled_in_cannot_be_written_any_more(self):
        self.assertRegex(readelf("--program-headers"), r"GNU_RELRO")
        self.assertRegex(readelf("--dynamic"), r"\(FLAGS_1\).*\bNOW\b")

    def test_nothing_that_can_be_written_can_be_executed(self):
        segments = re.findall(r"^\s+(?:LOAD|GNU_STACK)\s+(?:0x\w+\s+){5}(.{3})", readelf("--program-headers"), re.M)
        self.assertGreater(len(segments), 3)
        self.assertEqual([flags for flags in segments if re.search("W.*E", flags)], [])
