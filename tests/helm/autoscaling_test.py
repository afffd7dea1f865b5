"""Replicas follow the load, never go beyond the partitions, and do not swing."""

import csv
import itertools
import unittest

import autoscaler
import chart

# What a pod works off, in the simulation. Less than a real one does: the chart's numbers must not
# depend on it, so it is varied below.
RECORDS_PER_SECOND = 20_000


def arrivals():
    """Records of every second of tests/helm/arrivals.csv, a value of which stands for a minute."""
    with (chart.TESTS / "arrivals.csv").open() as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return [int(row["records_per_second"]) for row in rows for _ in range(60)]


def of_chart(**changes):
    """The autoscaler that ci/keda-values.yaml makes, and how many partitions there are."""
    values = {"autoscaling": changes} if changes else {}
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
