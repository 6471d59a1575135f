"""The rival most users come from: Python's confluent-kafka, over the same librdkafka, decoding each value with protobuf's C
library (upb) and doing nothing else. Arguments: brokers, topic, partitions, records, and the folder of telemetry_pb2.py.
Prints one Sample as JSON."""

import json
import os
import resource
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

brokers, topic, partitions, wanted, generated = sys.argv[1:]
sys.path.insert(0, generated)
from telemetry_pb2 import Reading  # noqa: E402

# Python's own implementation would be no rival.
assert api_implementation.Type() == "upb", api_implementation.Type()


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


records = int(wanted)
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": f"confluent-kafka-{os.getpid()}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        # As ours: the default of 1000 would stall a partition for a second each time its queue was full.
        "fetch.queue.backoff.ms": 5,
    }
)
consumer.assign([TopicPartition(topic, partition, 0) for partition in range(int(partitions))])

seen = 0
broken = 0
started_at = 0.0
cpu_at_start = 0.0
while seen < records:
    messages = consumer.consume(10_000, 1.0)
    if seen == 0 and messages:
        started_at = time.monotonic()
        cpu_at_start = cpu_seconds()
    for message in messages:
        assert message.error() is None, message.error()
        try:
            Reading.FromString(message.value())
        except DecodeError:
            broken += 1
    seen += len(messages)

seconds = time.monotonic() - started_at
sample = {"records": seen, "seconds": seconds, "cpuSeconds": cpu_seconds() - cpu_at_start, "broken": broken}
print(json.dumps(sample), flush=True)
consumer.close()
