#!/usr/bin/env python3
"""Records what an autoscaler sees of a real release: tests/helm/record_lag.py > tests/helm/lag.csv.

Three pods on a real Kafka and PostgreSQL, which takes 15 ms more for a COPY of at most 500 rows, so that they
keep up with some 25,000 records a second (a refused row costs ten of them). The load follows LOAD, with two peaks beyond that; in between the pods are
replaced, one is killed, and for 40 s nothing can be written. Every 15 s it notes how many records the
broker has, and how many of them the group's offsets there, which the service mirrors, leave to do.
Takes about 25 minutes and little CPU; needs what ./dev build release makes.
"""

import datetime
import os
import sys
import threading
import time

import autoscaler
import live_release
import run
import stand

# Minutes → records a second.
LOAD = ((2, 8_000), (2, 20_000), (3, 35_000), (5, 20_000), (3, 8_000), (2, 36_000), (3, 20_000), (4, 5_000))
ROLLING_UPDATE_MINUTE, STALL_MINUTE, KILL_MINUTE = 3, 12, 16
STALL_SECONDS = 40

SLOW_DATABASE = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.015); RETURN NULL; END $$;
CREATE TRIGGER slowly AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION slowly();
"""


def trouble(release, began):
    """What happens to the pods meanwhile, at its minutes."""
    def until(minute):
        time.sleep(max(0, began + 60 * minute - time.monotonic()))

    until(ROLLING_UPDATE_MINUTE)
    release.replicas.rolling_update()
    until(STALL_MINUTE)
    with release.stream.locked("orders"):
        time.sleep(STALL_SECONDS)
    until(KILL_MINUTE)
    release.replicas.pods[1].kill()


def note(release, began):
    offsets = release.stream.group(release.stream.name).offsets  # first, or more may be done than there is
    ends = release.stream.ends()
    records = sum(ends.values())
    lag = records - sum(offsets.get(partition, 0) for partition in ends)
    print(f"{time.monotonic() - began:.0f},{records},{lag}", flush=True)


def record(release):
    release.stream.query(SLOW_DATABASE)
    release.start()
    began = time.monotonic()
    threading.Thread(target=trouble, args=(release, began), daemon=True).start()
    phase_end, look = began, began
    for minutes, records_per_second in LOAD:
        release.stream.produce(records_per_second)
        phase_end += 60 * minutes
        while look < phase_end:
            time.sleep(max(0, look - time.monotonic()))
            note(release, began)
            look += autoscaler.SYNC_SECONDS
        print(f"{records_per_second} records/s for {minutes} minutes: done", file=sys.stderr)
        release.stream.stop()


def main():
    os.environ["PENSTOCK_HELM_TOOLS"] = str(run.build_tools())
    print(f"# Recorded on {datetime.date.today()} by tests/helm/record_lag.py, which says of what.")
    print("second,records,lag")
    pipeline = live_release.VALUES["pipelines"][0] | {"batch": {"max_rows": 500}}
    with stand.servers() as servers:
        release = live_release.Release(servers, "recorded", {"pipelines": [pipeline]})
        try:
            release.migrate()
            record(release)
        finally:
            release.close()


if __name__ == "__main__":
    main()
