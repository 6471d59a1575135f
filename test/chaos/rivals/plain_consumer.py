"""The consumer that many have: read a batch, insert it, commit it in the database, then commit the offsets in Kafka."""
import json
import signal
import sys

import psycopg
from confluent_kafka import Consumer, Producer

config = json.loads(sys.argv[1])
running = True


def stop(*_):
    global running
    running = False


signal.signal(signal.SIGTERM, stop)
consumer = Consumer({
    "bootstrap.servers": config["bootstrap"],
    "group.id": config["group"],
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 6000,
    "max.poll.interval.ms": 10000,
    "topic.metadata.refresh.interval.ms": 2000,
})
producer = Producer({"bootstrap.servers": config["bootstrap"], "enable.idempotence": True})
consumer.subscribe(config["topics"])
connection = psycopg.connect(config["url"])

while running:
    messages = [each for each in consumer.consume(5000, timeout=0.05) if each.error() is None]
    if not messages:
        continue
    rows = []
    for message in messages:
        if message.value() is None:
            continue
        try:
            entry = json.loads(message.value())
            rows.append((message.topic(), message.partition(), message.offset(), entry["key"], entry["sequence"],
                         entry["checksum"], entry["note"], entry["half"]))
        except Exception:
            place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            headers = [("__connect.errors." + name, str(value).encode()) for name, value in place.items()]
            producer.produce(config["dead"], message.value(), message.key(), headers=headers)
    producer.flush()
    with connection.cursor() as cursor:
        columns = "_topic, _partition, _offset, key, sequence, checksum, note, half"
        with cursor.copy(f"copy entries ({columns}) from stdin") as copy:
            for row in rows:
                copy.write_row(row)
    connection.commit()
    consumer.commit(asynchronous=False)
consumer.close()
