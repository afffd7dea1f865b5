"""What a producer can do: large, small, and strange records."""

import json
import random
import time
import unicodedata

import stand
from stand import Attack


def has_control_characters(text):
    return "evil\nline" in text or any(unicodedata.category(letter) in ("Cc", "Cf") and letter != "\n" for letter in text)


class Floods(Attack):
    """Whose user wants all of it as dead letters."""

    options = {"table": "(n bigint, s text CHECK (s !~ 'refused'))",
               "spec": "    dead_letters: {stop_at_share: 1}\n"}

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


class Records(Attack):
    options = {"table": "(n bigint, s text)"}

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


    def test_headers_and_keys_of_a_megabyte(self):
        many = [word for i in range(100) for word in ("-H", f"h{i}={'v' * 8000}")]
        with self.unharmed():
            for _ in range(3 if stand.QUICK else 30):
                self.service.produce([b'{"n":3,"s":"headers"}'], *many)
            key = b"k" * 900_000
            self.service.produce([key + b'#{"n":4,"s":"key"}'] * 20, "-K", "#")
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied")


class States(Attack):
    """A trigger of the table's raises what PostgreSQL says when something quite different is wrong."""

    options = {"columns": {"n": "record.offset", "s": "msg.s"}}
    STATES = ["42601", "42P01", "42501", "0A000", "XX000", "XX001", "40001", "40P01", "57014", "57P01", "57P03", "53200",
              "53300", "55P03", "25006", "25P02", "08006", "28000", "3D000", "PS001", "F0000", "P0001", "P0004", "23514",
              "22000", "02000", "01000", "ZZZZZ"]

    def test_become_dead_letters_of_the_records_that_raise_them(self):
        service = self.service
        service.query("CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                      "IF new.s <> 'good' THEN RAISE EXCEPTION 'hostile' USING ERRCODE = new.s, DETAIL = '[{}]'; END IF; "
                      "RETURN new; END $$; "
                      "CREATE TRIGGER odd BEFORE INSERT ON rows FOR EACH ROW EXECUTE FUNCTION odd()")
        states = self.STATES[::4] if stand.QUICK else self.STATES
        good = [b'{"s":"good"}'] * 20
        with self.unharmed(moves_on=False):
            for state in states:
                service.produce(good + [json.dumps({"s": state}).encode()] + good)
            stand.wait_until(lambda: service.applied() >= service.sent, "all are applied", 240)
        letters = service.query("SELECT sqlstate FROM penstock.dead_letters ORDER BY \"offset\"").split()
        self.assertEqual(letters, states)
        self.assertEqual(int(service.query("SELECT count(*) FROM rows WHERE s = 'good'")), 40 * len(states))
        service.query("DROP TRIGGER odd ON rows")
        self.assert_works()


class Names(Attack):
    """Of topic, table and columns, as far as Kafka and PostgreSQL let them be anything."""

    COLUMNS = ["n", "quo\"te", "semi;colon -- x", "tab\there", "%s%n$1", "\u202e\u001b[31m", "select", "d" * 63]
    QUOTED = ['"' + column.replace('"', '""') + '"' for column in COLUMNS]
    options = {
        "topic": "-..__--" + "t" * 200,
        "target": '"t\'; DROP TABLE rows; -- ""%s $1"',
        "table": "(" + ", ".join(f"{column} text" for column in QUOTED) + ")",
        "columns": {column: "string(record.offset)" if column == "n" else "msg.s" for column in COLUMNS},
    }

    def test_are_names_and_nothing_else(self):
        service = self.service
        with self.unharmed():
            service.produce([json.dumps({"n": 1, "s": "x' || pg_sleep(9) || '"}).encode()] * 1000)
            stand.wait_until(lambda: service.applied() >= service.sent, "all are applied")
        counted = service.query(f"SELECT count(*) FROM {self.options['target']} WHERE \"select\" LIKE 'x%'")
        self.assertEqual(int(counted), 1000)
        texts = [service.ctl("list"), service.ctl("get", service.name), service.get("/readyz").decode()]
        for text in texts:
            self.assertFalse(has_control_characters(text), repr(text))
        for line in service.get("/metrics").decode().splitlines():
            self.assertRegex(line, r'^(#.*|[a-z_0-9]+(\{([a-z_0-9]+="(\\.|[^"\\])*",?)*\})? [-+.eE0-9NaInf]+)$')
        self.assert_log_is_json()


class LargeRecords(Attack):
    """Far more than a record usually is: within what the sizing rule gives a pipeline, all the same."""

    options = {"columns": {"n": "record.offset", "s": "string(size(msg.a))"},
               "kafka": ", fetch.message.max.bytes: 20000000"}

    good_record = b'{"a":[1]}'

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

    good_record = b'{"a":"after"}'

    def test_a_batch_that_inflates_to_many_times_its_size(self):
        value = b'{"a":"' + b"x" * 1_000_000 + b'"}'
        with self.unharmed():
            self.service.produce([value] * 60, "-z", "gzip", "-X", "linger.ms=3000", "-X", "batch.size=999999999",
                                 "-X", "message.max.bytes=999999999", "-X", "queue.buffering.max.kbytes=2000000")
            stand.wait_until(lambda: self.service.applied() >= self.service.sent, "all are applied", 120)


class Bomb(Attack):
    """One batch that is small in the log and hundreds of megabytes when it is read, which librdkafka refuses to do."""

    def test_a_batch_that_may_not_be_inflated_stops_its_partition_with_the_reason(self):
        service = self.service
        for rounds, (codec, count) in enumerate([("gzip", 300), ("lz4", 200), ("zstd", 300)], start=1):
            with self.subTest(codec), self.unharmed(moves_on=False):
                service.produce([b'{"n":1,"s":"' + b"x" * 1_000_000 + b'"}'] * count, "-z", codec, "-X", "linger.ms=4000",
                                "-X", "batch.size=999999999", "-X", "message.max.bytes=999999999", "-X",
                                "queue.buffering.max.kbytes=2000000")
                stand.wait_until(lambda: "cannot be read" in service.ctl("get", service.name), "it says why it stops", 60)
            self.assertIn(b"cannot be read", service.get("/readyz"))
            service.command("offsets", "reset", service.name, "--topic", service.topic, "--partition", "0", "--to",
                            "readable", "--config", service.file)
            self.assert_works()
            self.assertEqual(int(service.query("SELECT count(*) FROM rows")), 100 * rounds)


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
