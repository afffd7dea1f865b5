#!/usr/bin/env python3
"""Attacks a running penstock: tests/abuse/run.py [--quick] [--junit FILE] [NAME].

Runs the tests of *_test.py whose names have NAME in them, against build/release/penstock, on loopback,
with the Kafka and the PostgreSQL of penstock_test_servers. --quick attacks for shorter, and less.
Exit status: 0 all passed, 1 some failed or none ran.
"""

import argparse
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support")]
import junit  # noqa: E402 (it is in tests/support)


def main():
    parser = argparse.ArgumentParser(description="Attacks a running penstock.")
    parser.add_argument("--quick", action="store_true", help="for the run on every change")
    parser.add_argument("--junit", type=pathlib.Path,
                        default=HERE.parent.parent / "build" / "abuse" / "test-results" / "abuse.xml")
    parser.add_argument("name", nargs="?", help="run the tests whose names have this in them")
    options = parser.parse_args()
    os.environ["PENSTOCK_ABUSE_QUICK"] = "1" if options.quick else ""
    import stand
    with stand.servers():
        return junit.run_folder(HERE, options.name, options.junit)


if __name__ == "__main__":
    sys.exit(main())
