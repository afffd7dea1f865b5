"""The arithmetic of a HorizontalPodAutoscaler, as its controller does it, and a group to scale.

KEDA makes a HorizontalPodAutoscaler, too, so this is what either does. Time is in seconds.
"""

import math

SYNC_SECONDS = 15
TOLERANCE = 0.1


class Autoscaler:
    """Says how many pods there should be (autoscaling/v2, behavior included)."""

    def __init__(self, least, most, behavior, lag_per_replica, cpu_utilization):
        self.least, self.most = least, most
        self.up, self.down = behavior["scaleUp"], behavior["scaleDown"]
        self.lag_per_replica, self.cpu_utilization = lag_per_replica, cpu_utilization
        self.recommended = []  # (time, pods)
        self.changes = []  # (time, pods more or less)

    def wanted(self, replicas, lag, cpu_percent):
        """The most that any metric asks for."""
        asked = []
        for ratio in (lag / (self.lag_per_replica * replicas),
                      cpu_percent / self.cpu_utilization if self.cpu_utilization else 0):
            asked.append(replicas if abs(1 - ratio) <= TOLERANCE else math.ceil(replicas * ratio))
        return max(asked)

    def step(self, now, replicas, lag, cpu_percent):
        wanted = self.stabilized(now, replicas, self.wanted(replicas, lag, cpu_percent))
        if wanted > replicas:
            wanted = min(wanted, self.limit(now, replicas, self.up, +1))
        elif wanted < replicas:
            wanted = max(wanted, self.limit(now, replicas, self.down, -1))
        wanted = max(self.least, min(self.most, wanted))
        if wanted != replicas:
            self.changes.append((now, wanted - replicas))
        return wanted

    def stabilized(self, now, replicas, wanted):
        """Up only as far as everything in the window asked for, and down no further."""
        self.recommended.append((now, wanted))

        def within(rules):
            return [pods for at, pods in self.recommended if at >= now - rules["stabilizationWindowSeconds"]]

        return min(max(replicas, min(within(self.up))), max(within(self.down)))

    def limit(self, now, replicas, rules, sign):
        """How far one may go now: the policy that allows most."""
        proposals = []
        for policy in rules["policies"]:
            moved = sum(pods for at, pods in self.changes
                        if at > now - policy["periodSeconds"] and pods * sign > 0)
            start = replicas - moved
            step = policy["value"] if policy["type"] == "Pods" else math.ceil(start * policy["value"] / 100)
            proposals.append(start + sign * step)
        return max(proposals) if sign > 0 else min(proposals)


class Group:
    """Pods that read a topic: a pod works after it has started, and none while partitions move."""

    START_SECONDS = 20
    REBALANCE_SECONDS = 3

    def __init__(self, partitions, records_per_second, replicas):
        self.partitions, self.capacity = partitions, records_per_second
        self.replicas, self.working = replicas, replicas
        self.ready_at, self.pause_until = 0, 0
        self.lag, self.cpu_percent = 0.0, 0.0

    def scale(self, now, replicas):
        if replicas > self.replicas:
            self.ready_at = now + self.START_SECONDS
        elif replicas < self.replicas:
            self.working = min(self.working, replicas)
            self.pause_until = now + self.REBALANCE_SECONDS
        self.replicas = replicas

    def second(self, now, arrivals):
        if self.working < self.replicas and now >= self.ready_at:
            self.working = self.replicas
            self.pause_until = now + self.REBALANCE_SECONDS
        able = 0 if now < self.pause_until else self.capacity * min(self.working, self.partitions)
        done = min(able, self.lag + arrivals)
        self.lag += arrivals - done
        # A minute's average, as metrics are.
        use = 100 * done / (self.capacity * self.replicas)
        self.cpu_percent += (use - self.cpu_percent) / 60


def simulate(autoscaler, group, arrivals):
    """[(time, lag, pods)] of every decision; `arrivals` has the records of every second."""
    decisions = []
    for now, records in enumerate(arrivals):
        group.second(now, records)
        if now % SYNC_SECONDS == 0:
            group.scale(now, autoscaler.step(now, group.replicas, group.lag, group.cpu_percent))
            decisions.append((now, group.lag, group.replicas))
    return decisions
