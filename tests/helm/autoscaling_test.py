"""Replicas follow the load, never go beyond the partitions, and do not swing."""

import csv
import itertools
import unittest

import autoscaler
import chart
import live_release

# What a pod works off, in the simulation. Less than a real one does: the chart's numbers must not
# depend on it, so it is varied below.
RECORDS_PER_SECOND = 20_000


def rows(name):
    with (chart.TESTS / name).open() as file:
        return [{field: int(value) for field, value in row.items()}
                for row in csv.DictReader(line for line in file if not line.startswith("#"))]


def arrivals():
    """Records of every second of tests/helm/arrivals.csv, a value of which stands for a minute."""
    return [row["records_per_second"] for row in rows("arrivals.csv") for _ in range(60)]


def recorded_arrivals():
    """Records of every second of tests/helm/lag.csv."""
    return [(after["records"] - before["records"]) // (after["second"] - before["second"])
            for before, after in itertools.pairwise(rows("lag.csv"))
            for _ in range(after["second"] - before["second"])]


def of_chart(partitions=12, **changes):
    """The autoscaler that ci/keda-values.yaml makes."""
    values = {"partitions": partitions, "autoscaling": changes}
    spec = chart.one(chart.render(values, base="keda"), "ScaledObject")["spec"]
    triggers = {trigger["type"]: trigger["metadata"] for trigger in spec["triggers"]}
    return autoscaler.Autoscaler(
        least=spec["minReplicaCount"], most=spec["maxReplicaCount"],
        behavior=spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
        lag_per_replica=int(triggers["kafka"]["lagThreshold"]),
        cpu_utilization=int(triggers["cpu"]["value"]) if "cpu" in triggers else 0)


def run(scaler, capacity=RECORDS_PER_SECOND, curve=None):
    group = autoscaler.Group(12, capacity, scaler.least)
    return autoscaler.simulate(scaler, group, arrivals() if curve is None else curve)


def turns(decisions):
    """When the number of pods goes up after it went down, or the other way."""
    found, last = [], 0
    for (_, _, before), (now, _, after) in itertools.pairwise(decisions):
        direction = (after > before) - (after < before)
        if direction and last and direction != last:
            found.append(now)
        last = direction or last
    return found


class Autoscaling(unittest.TestCase):
    def test_there_are_never_more_pods_than_partitions_however_slow_they_are(self):
        for capacity in (1_000, 5_000, RECORDS_PER_SECOND, 60_000):
            decisions = run(of_chart(), capacity)
            self.assertLessEqual(max(pods for _, _, pods in decisions), 12)
            self.assertGreaterEqual(min(pods for _, _, pods in decisions), 2)

    def test_the_cap_is_used_when_it_is_needed(self):
        self.assertEqual(max(pods for _, _, pods in run(of_chart(), 5_000)), 12)

    def test_replicas_follow_the_load_up_and_down(self):
        decisions = run(of_chart())
        peak = max(range(len(decisions)), key=lambda i: decisions[i][1])
        self.assertGreater(max(pods for _, _, pods in decisions[:peak + 40]), 4)
        self.assertEqual(decisions[-1][2], 2)
        self.assertLess(decisions[-1][1], 50_000)

    def test_lag_is_worked_off_and_not_only_held(self):
        decisions = run(of_chart())
        above = sum(autoscaler.SYNC_SECONDS for _, lag, pods in decisions if lag > 50_000 * pods)
        self.assertLess(above, 15 * 60)

    def test_the_number_of_pods_does_not_swing(self):
        for capacity in (10_000, RECORDS_PER_SECOND, 40_000):
            changes = turns(run(of_chart(), capacity))
            # Up, down, for each of the two peaks of the curve.
            self.assertLessEqual(len(changes), 4, f"{capacity}: {changes}")
            self.assertTrue(all(b - a >= 600 for a, b in itertools.pairwise(changes)), changes)

    def test_a_steady_load_leaves_the_number_of_pods_alone(self):
        for load in (15_000, 35_000, 70_000, 110_000):
            decisions = run(of_chart(), curve=[load] * 4 * 3600)
            settled = {pods for now, _, pods in decisions if now > 3600}
            self.assertEqual(len(settled), 1, f"{load}: {settled}")

    def test_lag_alone_would_swing(self):
        # Why CPU counts, and a check that this simulation can fail.
        decisions = run(of_chart(cpuUtilization=0), curve=[70_000] * 4 * 3600)
        self.assertGreater(len({pods for now, _, pods in decisions if now > 3600}), 1)

    def test_pods_come_a_few_at_a_time_and_go_one_by_one(self):
        decisions = run(of_chart(), 5_000)
        steps = [after - before for (_, _, before), (_, _, after) in itertools.pairwise(decisions)]
        self.assertGreaterEqual(min(steps), -1)
        for i, step in enumerate(steps):
            in_a_minute = sum(s for s in steps[max(0, i - 3):i + 1] if s > 0)
            self.assertLessEqual(in_a_minute, max(2, decisions[max(0, i - 3)][2]))


class Recorded(unittest.TestCase):
    """The lag of a real release of three pods, every 15 s, as record_lag.py has seen it: two peaks of load
    beyond what they can do, a rolling update, a crash, and 40 s in which nothing could be written."""

    @classmethod
    def setUpClass(cls):
        cls.curve = rows("lag.csv")
        scaler = of_chart(live_release.PARTITIONS, cpuUtilization=0, minReplicas=1)
        cls.per_pod = scaler.lag_per_replica
        cls.decisions = cls.decided(scaler)

    @classmethod
    def decided(cls, scaler):
        """By lag alone, of which nothing that is decided takes any away; after the recording an hour without."""
        end = cls.curve[-1]["second"]
        calm = [{"second": second, "lag": 0} for second in range(end + 15, end + 3600, autoscaler.SYNC_SECONDS)]
        decisions, pods = [], scaler.least
        for row in [*cls.curve, *calm]:
            pods = scaler.step(row["second"], pods, row["lag"], 0)
            decisions.append((row["second"], row["lag"], pods))
        return decisions

    def test_the_recording_has_two_peaks_that_the_pods_did_not_keep_up_with(self):
        high = [row["lag"] > 4 * self.per_pod for row in self.curve]
        self.assertGreaterEqual(sum(now and not before for before, now in itertools.pairwise(high)), 2)
        self.assertLess(self.curve[-1]["lag"], self.per_pod)

    def test_there_are_never_more_pods_than_partitions(self):
        self.assertGreater(max(lag for _, lag, _ in self.decisions), live_release.PARTITIONS * self.per_pod)
        self.assertEqual(max(pods for _, _, pods in self.decisions), live_release.PARTITIONS)

    def test_pods_follow_the_lag_within_three_minutes_and_go_when_it_is_gone(self):
        for now, lag, _ in self.decisions:
            wanted = min(live_release.PARTITIONS, lag // self.per_pod)
            held = [row for row in self.curve if now - 180 <= row["second"] <= now]
            if len(held) == 13 and all(row["lag"] >= wanted * self.per_pod for row in held):
                pods = next(pods for at, _, pods in self.decisions if at == now)
                self.assertGreaterEqual(pods, wanted, f"at {now} s, lag {lag}")
        self.assertEqual(self.decisions[-1][2], 1)

    def test_the_number_of_pods_does_not_swing(self):
        changes = turns(self.decisions)
        self.assertLessEqual(len(changes), 3, changes)  # two peaks: up, down, up, down
        self.assertTrue(all(b - a >= 600 for a, b in itertools.pairwise(changes)), changes)

    def test_without_ten_quiet_minutes_before_going_down_it_would_swing(self):
        hasty = of_chart(live_release.PARTITIONS, cpuUtilization=0, minReplicas=1, behavior={
            "scaleDown": {"stabilizationWindowSeconds": 0}})
        self.assertGreater(len(turns(self.decided(hasty))), 3)

    def test_the_same_load_is_worked_off_when_the_pods_follow_it(self):
        capacity = 8_000  # of one of those pods, about
        decisions = run(of_chart(live_release.PARTITIONS), capacity, recorded_arrivals())
        self.assertLessEqual(max(pods for _, _, pods in decisions), live_release.PARTITIONS)
        worst = max(row["lag"] for row in self.curve)
        self.assertLess(max(lag for _, lag, _ in decisions), worst)
        self.assertLess(decisions[-1][1], self.per_pod)
