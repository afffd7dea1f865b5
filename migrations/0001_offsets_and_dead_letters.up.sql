-- Penstock's own schema: positions with fencing, and dead letters.

CREATE TABLE penstock.offsets (
  pipeline    text        NOT NULL,
  topic       text        NOT NULL,
  partition   integer     NOT NULL,
  next_offset bigint      NOT NULL,  -- first offset not yet applied
  epoch       bigint      NOT NULL,  -- fencing token: grows with every claim
  owner       text        NOT NULL,  -- who holds it, for people; empty when it was given up
  backend_pid integer     NOT NULL,  -- backend that claimed it, for people
  cluster_id  text        NOT NULL,  -- Kafka cluster and topic that the position belongs to
  topic_id    text        NOT NULL,
  claimed_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  leader_epoch integer    NOT NULL DEFAULT -1,  -- Kafka's, of the last record applied; -1: not known
  -- Which offsets of this log were ever read, and when, by the dead letters that were there then:
  -- [{"from": 0, "letters": 0, "to": 100}, …], one for the beginning and one for each reset. The last
  -- has no "to": it goes on to next_offset. A letter up to "letters" is of before.
  readings    jsonb       NOT NULL DEFAULT '[{"from": 0, "letters": 0}]',
  PRIMARY KEY (pipeline, topic, partition)
) WITH (fillfactor = 50);  -- updated with every commit: leave room for HOT updates

-- Whose the positions are. A process that has another group, cluster or table under the same name,
-- or another name for the same group and topic, is refused when it starts.
CREATE TABLE penstock.pipelines (
  pipeline       text        PRIMARY KEY,
  consumer_group text        NOT NULL,
  cluster_id     text        NOT NULL,  -- empty: the brokers did not say
  topics         text[]      NOT NULL,
  tables         text[]      NOT NULL,  -- as "schema.table"
  -- How many partitions of each topic have a position, such as {"orders": 12}: a row of
  -- penstock.offsets that is missing below was deleted, one beyond is of a new partition.
  partitions     jsonb       NOT NULL DEFAULT '{}',
  first_seen_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE penstock.dead_letters (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline      text        NOT NULL,
  topic         text        NOT NULL,
  partition     integer     NOT NULL,
  "offset"      bigint      NOT NULL,
  "timestamp"   timestamptz,          -- the record's own; NULL when it has none
  key           bytea,
  value         bytea,                -- the original bytes; NULL for a tombstone
  headers       jsonb       NOT NULL, -- [{"name": …, "value": base64 or null}, …] in order
  stage         text        NOT NULL, -- parse, compute, encode or write
  reason        text        NOT NULL, -- short and stable, such as invalid_json
  sqlstate      text,                 -- when PostgreSQL refused the row
  message       text        NOT NULL,
  target        text,                 -- the table that it was meant for, "schema.table", if it is known
  -- Which reader, schema, expressions and table have refused it last: a short hash of them.
  plan_version  text,
  -- Of its traceparent header, or else of the batch that it came in: 32 hexadecimal digits.
  trace_id      text,
  attempts      integer     NOT NULL DEFAULT 1,  -- tries so far; each redrive is one
  first_seen_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at  timestamptz NOT NULL DEFAULT now(), -- when it was refused last, for what stands here
  copied_at     timestamptz           -- when the topic of copies had it; NULL: it waits, if there is one
);
CREATE INDEX dead_letters_position ON penstock.dead_letters (pipeline, topic, partition, "offset");
CREATE INDEX dead_letters_to_copy ON penstock.dead_letters (pipeline, id) WHERE copied_at IS NULL;

-- The newest dead letter, of any pipeline; 0: there is none. A role that may not read letters may know
-- their number.
CREATE FUNCTION penstock.newest_dead_letter()
RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
  'SELECT coalesce(max(d.id), 0) FROM penstock.dead_letters d';

-- What there is to work on, for people: by cause, table and hour (of UTC) of the first try.
CREATE VIEW penstock.dead_letter_summary AS
  SELECT d.pipeline, d.target, d.stage, d.reason, d.sqlstate,
         date_trunc('hour', d.first_seen_at, 'UTC') AS hour,
         count(*) AS dead_letters,
         max(d.attempts) AS most_attempts,
         max(d.last_seen_at) AS last_seen_at,
         min(d.id) AS example_id
  FROM penstock.dead_letters d
  GROUP BY d.pipeline, d.target, d.stage, d.reason, d.sqlstate,
           date_trunc('hour', d.first_seen_at, 'UTC');

-- Moves positions forward inside the caller's transaction: the fence. A position's leader epoch goes
-- with it: that is how a log is told from another one that has grown to the same offset.
--
-- All arrays have one element per partition. A partition is advanced only if it still has the
-- caller's epoch AND stands where the caller began; otherwise nothing is advanced and the statement
-- fails with SQLSTATE PS001, whose DETAIL is a JSON array of what was found instead:
-- [{"topic": …, "partition": …, "epoch": …, "next_offset": …}, …] (both null: no such row).
-- Rows are locked in sorted order so that two lanes can never deadlock. What somebody creates in a
-- schema of the caller's search_path (an operator, a function) must not take part.
CREATE FUNCTION penstock.advance(
  a_pipeline text, a_topics text[], a_partitions integer[], a_epochs bigint[],
  a_from bigint[], a_to bigint[], a_leader_epochs integer[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  step record;
  found_epoch bigint;
  found_offset bigint;
  fenced jsonb := '[]';
BEGIN
  FOR step IN
    SELECT u.topic, u.partition, u.epoch, u.from_offset, u.to_offset, u.leader_epoch
    FROM unnest(a_topics, a_partitions, a_epochs, a_from, a_to, a_leader_epochs)
      AS u(topic, partition, epoch, from_offset, to_offset, leader_epoch)
    ORDER BY u.topic, u.partition
  LOOP
    UPDATE penstock.offsets o
      SET next_offset = step.to_offset, leader_epoch = step.leader_epoch, updated_at = now()
      WHERE o.pipeline = a_pipeline AND o.topic = step.topic AND o.partition = step.partition
        AND o.epoch = step.epoch
        AND o.next_offset = step.from_offset;
    IF NOT FOUND THEN
      SELECT o.epoch, o.next_offset INTO found_epoch, found_offset
        FROM penstock.offsets o
        WHERE o.pipeline = a_pipeline AND o.topic = step.topic AND o.partition = step.partition;
      fenced := fenced || jsonb_build_object(
        'topic', step.topic, 'partition', step.partition,
        'epoch', found_epoch, 'next_offset', found_offset);
    END IF;
  END LOOP;
  IF fenced <> '[]' THEN
    RAISE EXCEPTION 'penstock: fenced' USING ERRCODE = 'PS001', DETAIL = fenced::text;
  END IF;
END $$;

-- Ends inside the caller's transaction what a redrive has made of dead letters: those that have
-- become rows, or are left out, are gone; those that are refused again keep why, and count the try.
--
-- If one of them is not there any more, somebody else has written its row: the statement fails with
-- SQLSTATE PS002, and the rows of the transaction go with it. All arrays of what is refused have one
-- element per letter.
CREATE FUNCTION penstock.settle_dead_letters(
  a_pipeline text, a_done bigint[], a_refused bigint[], a_stages text[], a_reasons text[],
  a_sqlstates text[], a_messages text[], a_targets text[], a_plan_version text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  deleted bigint;
  updated bigint;
BEGIN
  DELETE FROM penstock.dead_letters d WHERE d.pipeline = a_pipeline AND d.id = ANY (a_done);
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE penstock.dead_letters d
    SET stage = u.stage, reason = u.reason, sqlstate = u.sqlstate, message = u.message,
        target = u.target, plan_version = a_plan_version, attempts = d.attempts + 1,
        last_seen_at = now()
    FROM unnest(a_refused, a_stages, a_reasons, a_sqlstates, a_messages, a_targets)
      AS u(id, stage, reason, sqlstate, message, target)
    WHERE d.pipeline = a_pipeline AND d.id = u.id;
  GET DIAGNOSTICS updated = ROW_COUNT;
  IF deleted <> cardinality(a_done) OR updated <> cardinality(a_refused) THEN
    RAISE EXCEPTION 'penstock: % of % dead letters are not there any more',
      cardinality(a_done) + cardinality(a_refused) - deleted - updated,
      cardinality(a_done) + cardinality(a_refused) USING ERRCODE = 'PS002';
  END IF;
END $$;
