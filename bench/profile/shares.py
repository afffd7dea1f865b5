"""Says of each sample which stage it belongs to, and adds up by thread, stage and function."""

import collections
import re

# (stage, thread, frame): the first line whose patterns match the sample's thread and any of its
# frames; without one, the thread is the stage. So a copy or an allocation counts for the stage that asked for it, and what follows a
# pattern in the list is what is left.
STAGES = [(stage, re.compile(thread), re.compile(frame)) for stage, thread, frame in (
    ("fetch: page faults", "^rdk:", "exc_page_fault"),
    ("fetch: receive from the socket", "^rdk:", "recvmsg|sys_recv"),
    ("fetch: decompress", "^rdk:", "^LZ4|^\\[liblz4|^ZSTD|^inflate|snappy"),
    ("fetch: allocate messages", "^rdk:", "^__libc_calloc$|^malloc$|^cfree$"),
    ("fetch: CRC, unpack, queue, wait", "^rdk:", ""),
    ("queue", "", "WorkerPool::submit|Lane::push$|CondVar::wait|pthread_cond|Wakeup::"),
    ("sequence", "", "sequence::Sequencer::"),
    ("take: headers", "^ingest", "Impl::take_headers$"),
    ("pack", "^ingest", "ingest::BatchBuilder::|^RecordBatch::"),
    ("take: messages out of librdkafka", "^ingest", "^rd_kafka_consume_batch_queue$"),
    # librdkafka frees by tail calls: rd_kafka_message_destroy itself is not on the stack.
    ("take: free messages", "^ingest", "^cfree$|^\\[librdkafka|^rd_kafka_message_destroy$"),
    ("take: the rest", "^ingest", ""),
    ("parse", "^worker", "^parse::"),
    ("evaluate", "^worker", "^compute::Evaluator::|^cel::Program::"),
    ("encode", "^worker", "^compute::(RowBuilder::|encode_)"),
    ("worker: the rest", "^worker", ""),
    ("free after the commit", "^lane", "Pipeline::on_committed$|^RowBatch::~RowBatch$"),
    ("send", "^lane", "^send$|sys_send|^PQ"),
    ("lane: assemble, wait", "^lane", ""),
)]


def stage_of(sample):
    for stage, thread, frame in STAGES:
        if thread.search(sample.thread) and any(frame.search(f.name) for f in sample.frames):
            return stage
    return sample.thread


def add_up(samples, name_of):
    """{name: share of all samples}, the largest first."""
    weights = collections.Counter()
    for sample in samples:
        weights[name_of(sample)] += sample.weight
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.most_common()}


def function_of(sample):
    leaf = sample.frames[-1] if sample.frames else None
    return f"{sample.thread:12} {leaf.name} ({leaf.object})" if leaf else sample.thread
