"""Three replicas as the chart starts them, on a real Kafka and PostgreSQL under load: a rolling update and a
crash lose nothing, and with static membership move nothing.

The chart is rendered by helm, and kubelet.py does what the objects say. What is told here happens once, in
setUpClass; each test is one sentence about it.
"""

import re
import unittest

import kubelet
import stand
from live_release import PARTITIONS, REPLICAS, VALUES, Release

RECORDS_PER_SECOND = 20_000
SERVERS = None


def setUpModule():
    global SERVERS
    SERVERS = unittest.enterModuleContext(stand.servers())


class RollingUpdate(unittest.TestCase):
    """With static membership, as the chart has it by default; then a replica is killed."""

    @classmethod
    def setUpClass(cls):
        release = cls.release = Release(SERVERS, "orders_static", {})
        cls.addClassCleanup(release.close)
        cls.migrations = [release.migrate(), release.migrate()]

        # Nobody can claim a partition while the positions are locked, so nobody is ready.
        with release.stream.locked("penstock.offsets"):
            release.replicas.start_all()
            stand.wait_until(lambda: all(pod.readiness and pod.readiness.looks and pod.liveness.looks
                                         for pod in release.replicas.pods.values()), "every replica is looked at")
            cls.before = {pod.name: (statuses(pod.readiness), statuses(pod.liveness),
                                     kubelet.get(pod.container.find_port("probes"), "/readyz")[1])
                          for pod in release.replicas.pods.values()}
        release.settle()
        cls.helm_test = release.helm_test()

        release.stream.produce(RECORDS_PER_SECOND)
        release.wait_until_flowing(RECORDS_PER_SECOND / PARTITIONS)
        cls.generations = [release.generation()]
        release.replicas.rolling_update()
        cls.generations.append(release.generation())
        cls.rebalances = [release.metric(ordinal, "penstock_rebalances_total") for ordinal in range(REPLICAS)]

        cls.killed = release.replicas.pods[1]
        cls.killed.kill()
        stand.wait_until(lambda: cls.killed.restarts and cls.killed.ready, "the killed replica is ready again")
        stand.wait_until(lambda: sum(release.metric(1, "penstock_rows_committed_total")) > 0, "it writes again")
        cls.generations.append(release.generation())

        cls.sent = release.stream.stop()
        stand.wait_until(release.drained, "the lag is 0")
        cls.ends = release.stream.ends()
        cls.stored = release.stream.by_partition("SELECT partition, next_offset FROM penstock.offsets")
        release.replicas.delete_all()
        cls.pods = release.replicas.gone
        cls.verdict = release.stream.verdict("orders", cls.sent["records"])

    def test_the_migration_job_succeeds(self):
        code, said, applied = self.migrations[0]
        self.assertEqual(code, 0, said)
        self.assertTrue(applied)

    def test_the_migration_job_changes_nothing_the_second_time(self):
        code, said, applied = self.migrations[1]
        self.assertEqual(code, 0, said)
        self.assertEqual(applied, self.migrations[0][2])

    def test_helm_test_succeeds(self):
        code, said = self.helm_test
        self.assertEqual(code, 0, said)

    def test_a_replica_without_its_partitions_is_alive_and_not_ready(self):
        self.assertEqual(len(self.before), REPLICAS)
        for name, (readiness, liveness, reasons) in self.before.items():
            self.assertEqual(set(readiness), {503}, name)
            self.assertEqual(set(liveness), {200}, name)
            self.assertRegex(reasons, "still starting|joining the group|group_not_joined|waiting for claim", name)

    def test_a_replica_that_is_ready_stays_ready_while_others_are_replaced(self):
        for pod in self.pods:
            answers = statuses(pod.readiness)
            ready = answers.index(200)
            self.assertEqual(set(answers[:ready]) | {503}, {503}, f"{pod.name}: {answers}")
            self.assertEqual(set(answers[ready:]), {200}, f"{pod.name}: {answers}")

    def test_the_startup_probe_waits_for_the_first_answer(self):
        for pod in self.pods:
            *before, last = statuses(pod.startup)
            self.assertEqual((set(before) | {0}, last), ({0}, 200), pod.name)
            self.assertLess(len(before), pod.startup.threshold, pod.name)

    def test_liveness_never_fails_and_nobody_is_restarted_but_the_one_that_was_killed(self):
        for pod in self.pods:
            self.assertEqual(set(statuses(pod.liveness)), {200}, pod.name)
            self.assertEqual(pod.restarts, [-9] if pod is self.killed else [], pod.name)

    def test_every_replica_exits_with_0_within_its_grace_period(self):
        self.assertEqual(len(self.pods), 2 * REPLICAS)
        for pod in self.pods:
            self.assertEqual((pod.exit.code, pod.exit.killed), (0, False), pod.name)
            self.assertLess(pod.exit.seconds, pod.spec["terminationGracePeriodSeconds"], pod.name)
            self.assertGreaterEqual(pod.exit.seconds, VALUES["preStopSeconds"], pod.name)

    def test_every_replica_stays_below_its_memory_limit(self):
        for pod in self.pods:
            limit = re.fullmatch(r"(\d+)Mi", pod.container.spec["resources"]["limits"]["memory"])[1]
            self.assertLess(pod.peak_memory_bytes, int(limit) << 20, pod.name)
            self.assertGreater(pod.peak_memory_bytes, 0, pod.name)

    def test_a_rolling_update_and_a_crash_with_static_membership_cause_no_rebalance(self):
        # The broker's generation of the group, before, after the update, after the crash.
        self.assertGreater(self.generations[0], 0)
        self.assertEqual(set(self.generations), {self.generations[0]})

    def test_a_replica_gets_its_partitions_once_and_keeps_them_while_others_are_replaced(self):
        self.assertEqual(self.rebalances, [[1.0]] * REPLICAS)

    def test_the_load_was_there_all_the_time(self):
        self.assertGreater(self.sent["records"] / self.sent["seconds"], 0.95 * RECORDS_PER_SECOND)

    def test_every_record_is_there_once_and_in_order(self):
        expect_exactly_once(self, self.verdict, self.sent["records"])

    def test_the_positions_in_the_database_are_the_ends_of_the_log(self):
        self.assertEqual(sum(self.ends.values()), self.sent["records"])
        self.assertEqual(self.stored, self.ends)


class WithoutStaticMembership(unittest.TestCase):
    """The same with members that have no names: what the checks above look like when partitions move."""

    @classmethod
    def setUpClass(cls):
        release = Release(SERVERS, "orders_dynamic", {"staticMembership": {"enabled": False}})
        cls.addClassCleanup(release.close)
        release.migrate()
        release.start()
        release.stream.produce(RECORDS_PER_SECOND)
        release.wait_until_flowing(RECORDS_PER_SECOND / PARTITIONS)
        cls.generations = [release.generation()]
        cls.rebalances = [release.metric(0, "penstock_rebalances_total")]
        release.replicas.replace(REPLICAS - 1)
        release.wait_until_shared()
        cls.generations.append(release.generation())
        cls.rebalances.append(release.metric(0, "penstock_rebalances_total"))
        cls.sent = release.stream.stop()
        stand.wait_until(release.drained, "the lag is 0")
        release.replicas.delete_all()
        cls.verdict = release.stream.verdict("orders", cls.sent["records"])

    def test_a_replica_that_is_replaced_causes_rebalances(self):
        self.assertGreater(self.generations[1], self.generations[0])
        self.assertGreater(self.rebalances[1], self.rebalances[0])

    def test_every_record_is_there_once_and_in_order(self):
        expect_exactly_once(self, self.verdict, self.sent["records"])


def statuses(probe):
    return [look.status for look in probe.looks]


def expect_exactly_once(test, verdict, records):
    test.assertEqual([verdict[name] for name in ("lost", "duplicates", "out_of_order", "wrong")], [0] * 4, verdict)
    test.assertEqual(verdict["rows"] + verdict["dead_letters"], records)
    test.assertGreater(verdict["dead_letters"], 0)  # bad records were among them
