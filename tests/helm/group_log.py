"""What the broker has written down about a consumer group: its generation and its offsets.

No request of Kafka's protocol tells the generation of a classic group to an outsider, but the
coordinator logs it in __consumer_offsets: a new one for each rebalance, the same one when a static
member is back under a new member id. (GroupMetadataKey, OffsetCommitKey and their values in Kafka's
group-coordinator/src/main/resources/common/message.)
"""

import dataclasses
import struct
import subprocess


@dataclasses.dataclass
class Group:
    generation: int = -1
    offsets: dict = dataclasses.field(default_factory=dict)  # partition → offset, of the one topic


def records(brokers):
    """(key, value) of everything in the log, in each partition's order; a tombstone's value is empty."""
    # kcat takes an empty answer for the end, and with a longer wait there is none while a group commits.
    log = subprocess.run(["kcat", "-b", brokers, "-C", "-t", "__consumer_offsets", "-o", "beginning", "-e", "-q",
                          "-X", "fetch.wait.max.ms=10", "-f", "%K %S\\n%k%s"],
                         capture_output=True, check=True, timeout=60).stdout
    at = 0
    while at < len(log):
        begin = log.index(b"\n", at) + 1
        key, value = (max(int(size), 0) for size in log[at:begin].split())
        yield log[begin:begin + key], log[begin + key:begin + key + value]
        at = begin + key + value


class Fields:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def number(self, letter):
        (value,) = struct.unpack_from(f">{letter}", self.data, self.at)
        self.at += struct.calcsize(letter)
        return value

    def text(self):
        size = self.number("h")
        self.at += size
        return self.data[self.at - size:self.at].decode()


def read(brokers, name):
    group = Group()
    for key, value in records(brokers):
        what, where = Fields(key), Fields(value)
        kind = what.number("h")  # 0 and 1: a committed offset; 2: the group; above: not of a classic group
        if kind > 2 or what.text() != name or not value:
            continue
        version = where.number("h")
        if kind == 2:
            if version > 3:
                raise AssertionError(f"the broker writes GroupMetadataValue {version}, of which we know 0 to 3")
            where.text()  # the protocol's type
            group.generation = where.number("i")
        else:
            what.text()  # the topic
            group.offsets[what.number("i")] = where.number("q")
    return group
