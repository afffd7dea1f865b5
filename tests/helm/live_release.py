"""A release of the chart whose pods run here, on a real Kafka and PostgreSQL, as kubelet.py runs them."""

import pathlib
import re
import tempfile

import chart
import kubelet
import stand

REPLICAS = 3
PARTITIONS = 8
PROGRAM = chart.ROOT / "build" / "release" / "penstock"
VALUES = {
    # Shorter times than the chart's own, so that the story is told in half a minute.
    "workload": {"replicas": REPLICAS, "minReadySeconds": 1},
    "preStopSeconds": 1,
    "probes": {name: {"periodSeconds": 1} for name in ("startup", "liveness", "readiness")},
    "partitions": PARTITIONS,
    "database": {"existingSecret": "orders-db"},
    "pipelines": [{
        "name": "orders",
        "compute": {"let": {"total": "double(msg.quantity) * msg.unit_price"}},
        "sink": {"target": {"table": "orders", "columns": {
            **{name: f"msg.{name}" for name in ("id", "partition", "sequence", "customer", "quantity", "sent_us")},
            "total": "total", "placed_at": "timestamp(msg.placed_at)",
            "source_partition": "record.partition", "source_offset": "record.offset"}}},
    }],
}


class Release:
    """A release of the chart with a stream of its own, which is also its consumer group."""

    def __init__(self, servers, name, values):
        brokers, server = servers
        self.stream = stand.Stream(brokers, server, name, PARTITIONS)
        values = VALUES | values
        (pipeline,) = values["pipelines"]
        source = {"topics": [name], "group": name, "start_at": "earliest"}
        rendered = chart.template(values=values | {
            "pipelines": [pipeline | {"source": source}], "kafka": {"bootstrapServers": brokers, "securityProtocol": "plaintext"}})
        if rendered.returncode != 0:
            raise AssertionError(rendered.stderr)
        documents = chart.objects(rendered.stdout)
        self.folder = tempfile.TemporaryDirectory(prefix="penstock-pods-")
        folder = pathlib.Path(self.folder.name)
        folder.chmod(0o755)  # the pods are another user
        self.node = kubelet.Node(kubelet.Image(chart.ROOT / "Dockerfile", PROGRAM, folder), documents,
                                 {"orders-db": {"uri": self.stream.database}}, folder)
        self.replicas = kubelet.StatefulSet(self.node, chart.workload(documents))

    def close(self):
        self.replicas.delete_all()
        self.stream.close()
        self.folder.cleanup()

    def migrate(self):
        """(exit status, what it said, the migrations that the database then has)."""
        job = chart.one(self.node.documents, "Job")
        pod = job["spec"]["template"]["spec"]
        ended = kubelet.run_to_end(self.node, job["metadata"]["name"] + "-x7k2p", job["metadata"], pod,
                                   job["spec"]["activeDeadlineSeconds"])
        return *ended, self.stream.query("SELECT string_agg(m::text, ' ') FROM penstock.schema_migrations m")

    def helm_test(self):
        """(exit status, what it said)."""
        pod = chart.one(self.node.documents, "Pod")
        return kubelet.run_to_end(self.node, pod["metadata"]["name"], pod["metadata"], pod["spec"])

    def metric(self, ordinal, name):
        """Its values, one for each set of labels."""
        _, text = kubelet.get(self.replicas.pods[ordinal].container.find_port("http"), "/metrics")
        return [float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M)]

    def of_partitions(self, name):
        """The values of all replicas together."""
        return [value for ordinal in self.replicas.pods for value in self.metric(ordinal, name)]

    def generation(self):
        return self.stream.group(self.stream.name).generation

    def wait_until_shared(self):
        """Every partition has an owner, and nobody has two more than another: nothing is left to move."""
        def shared():
            owned = [len(self.metric(ordinal, "penstock_partition_epoch")) for ordinal in self.replicas.pods]
            return sum(owned) == PARTITIONS and max(owned) - min(owned) <= 1
        stand.wait_until(shared, "all partitions are shared evenly")

    def wait_until_flowing(self, records_of_each_partition):
        def flowing():
            stored = self.stream.by_partition("SELECT partition, next_offset FROM penstock.offsets")
            return len(stored) == PARTITIONS and min(stored.values()) > records_of_each_partition
        stand.wait_until(flowing, "rows of every partition arrive")

    def start(self):
        self.replicas.start_all()
        self.settle()

    def settle(self):
        for ordinal in self.replicas.pods:
            self.replicas.wait_until_available(ordinal)
        self.wait_until_shared()

    def drained(self):
        """No lag: by the replicas' metrics, and by the offsets of the group, which autoscaling looks at."""
        lags = self.of_partitions("penstock_partition_lag_records")
        return len(lags) == PARTITIONS and sum(lags) == 0 and \
            self.stream.group(self.stream.name).offsets == self.stream.ends()
