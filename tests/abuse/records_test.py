"""What a producer can do: large, small, and strange records."""

import json
import random
import time
import unicodedata

import stand
from stand import Attack


def has_control_characters(text):
    return "line\n" in text or any(unicodedata.category(letter) in ("Cc", "Cf") and letter != "\n" for letter in text)


class Records(Attack):
    options = {"table": "(n bigint, s text CHECK (s !~ 'refused'))"}

    def flood(self, values, *options):
        with self.unharmed():
            self.service.produce(values, *options)
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied", 120)

    def test_a_flood_of_what_is_no_json(self):
        self.flood([b'{"n":' + b"x" * 90] * (20_000 if stand.QUICK else 300_000))

    def test_a_flood_that_postgresql_refuses_now_and_then(self):
        self.flood([b'{"n":1,"s":"%s"}' % (b"refused" if i % 10 == 0 else b"good")
                    for i in range(5_000 if stand.QUICK else 50_000)])

    def test_random_bytes(self):
        random.seed(7)
        values = []
        for i in range(5_000 if stand.QUICK else 50_000):
            value = bytearray(json.dumps({"n": i, "s": "text \u00e9"}).encode())
            for _ in range(random.randrange(6)):
                value[random.randrange(len(value))] = random.choice(b'\x00\x1b\xff\xc0"{}[]:,\\9e-')
            values.append(bytes(value).replace(b"\n", b" "))
        self.flood(values)

    def test_what_a_terminal_would_obey_is_only_shown(self):
        service = self.service
        service.query("CREATE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql AS "
                      "$$ BEGIN RAISE EXCEPTION 'no % here', new.s; END $$; "
                      "CREATE TRIGGER quote BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION quote()")
        evil = "\x1b]0;pwned\x07\x1b[2J\u202eevil\nline"
        # The trigger refuses every one of them, which is the table's fault: it waits, and says what for.
        with self.unharmed(moves_on=False):
            service.produce([json.dumps({"n": 1, "s": evil, "x": i}).encode() for i in range(40)])
            stand.wait_until(lambda: "evil" in service.ctl("get", service.name), "it says why it waits", 20)
            texts = [service.get("/readyz").decode(), service.ctl("list"), service.ctl("get", service.name)]
        service.ctl("pause", service.name, "--reason", evil)
        texts += [service.get("/readyz").decode(), service.ctl("list"), service.ctl("get", service.name)]
        for text in texts:
            self.assertFalse(has_control_characters(text), repr(text))
        self.assert_log_is_json()
        service.query("DROP TRIGGER quote ON rows")
        service.ctl("resume", service.name)
        self.assert_works()


class LargeRecords(Attack):
    """Far more than a record usually is: within the chart's limit."""

    options = {"limit_mib": 512, "columns": {"n": "record.offset", "s": "string(size(msg.a))"},
               "kafka": ", fetch.message.max.bytes: 20000000"}

    def bombs(self, value, count):
        with self.unharmed():
            self.service.produce([value] * count, "-X", "message.max.bytes=20000000", "-X",
                                 "queue.buffering.max.kbytes=2000000", "-X", "batch.size=1000000")
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied", 180)

    def test_large_lists(self):
        self.bombs(b'{"a":[' + b"1," * 7_000_000 + b"1]}", 3 if stand.QUICK else 20)

    def test_many_maps(self):
        self.bombs(b'{"a":[' + b'{"a":1},' * 1_800_000 + b"1]}", 3 if stand.QUICK else 20)

    def test_deep_lists(self):
        self.bombs(b'{"a":' + b"[" * 250 + b"]" * 250 + b"}", 1000)

    def test_many_large_records(self):
        self.bombs(json.dumps({"a": ["x" * 1_000_000]}).encode(), 50 if stand.QUICK else 800)


class Compressed(Attack):
    """One batch that is small in the log and large when it is read."""

    options = {"columns": {"n": "record.offset", "s": "msg.a.substring(0, 1)"}}

    def test_a_batch_that_inflates_to_many_times_its_size(self):
        value = b'{"a":"' + b"x" * 1_000_000 + b'"}'
        with self.unharmed():
            self.service.produce([value] * 60, "-z", "gzip", "-X", "linger.ms=3000", "-X", "batch.size=999999999",
                                 "-X", "message.max.bytes=999999999", "-X", "queue.buffering.max.kbytes=2000000")
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied", 120)


class Shapes(Attack):
    """Records each with other fields, of a table with many defaults."""

    options = {
        "table": "(n bigint, " + ", ".join(f"c{i} text DEFAULT '-'" for i in range(24)) + ")",
        "columns": {"n": "msg.n"} | {f"c{i}": f"msg.?c{i}" for i in range(24)},
    }

    def test_do_not_fill_the_memory_of_postgresql(self):
        random.seed(3)

        def value(number):
            chosen = random.getrandbits(24)
            return json.dumps({"n": number} | {f"c{i}": "x" for i in range(24) if chosen >> i & 1}).encode()
        with self.unharmed():
            self.service.produce([value(i) for i in range(5_000 if stand.QUICK else 60_000)])
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied", 180)
        largest = self.largest_backend_mib()
        print(f"the largest backend {largest} MiB", end=" ")
        self.assertLess(largest, 40)

    def largest_backend_mib(self):
        pids = self.service.query("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'penstock/%'").split()
        largest = 0
        for pid in pids:
            with open(f"/proc/{pid}/status", encoding="utf-8") as status:
                fields = dict(line.split(":", 1) for line in status)
            largest = max(largest, (int(fields["RssAnon"].split()[0])) // 1024)
        return largest
