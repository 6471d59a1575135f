"""The rival in Python: confluent-kafka's consume(), protobuf's upb, psycopg's COPY into a staging table, and an insert that
leaves out what is there already. Arguments: brokers, topic, URL, records, the folder of the generated code. Prints one
Sample as JSON."""
import json
import os
import sys
import time

import psycopg
from confluent_kafka import Consumer
from google.protobuf.message import DecodeError

brokers, topic, url, records, generated = sys.argv[1:]
sys.path.insert(0, generated)
from telemetry_pb2 import Quality, Reading  # noqa: E402

wanted = int(records)
columns = (
    "device_id, sensor, sequence, measured_at, value, unit, quality, battery, firmware, "
    "location_latitude, location_longitude, _partition, _offset"
)
types = ["text", "text", "numeric", "timestamptz", "float8", "text", "text", "float4", "text", "float8", "float8", "int4", "int8"]

consumer = Consumer({
    "bootstrap.servers": brokers,
    "group.id": f"python-{os.getpid()}",
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
})
consumer.subscribe([topic])
connection = psycopg.connect(url)
connection.execute("create temp table stage (like rival)")
connection.commit()

seen = 0
started = cpu = None
while seen < wanted:
    messages = consumer.consume(10_000, 0.2)
    if not messages:
        continue
    if started is None:
        started, cpu = time.monotonic(), time.process_time()
    rows = 0
    with connection.cursor() as cursor:
        with cursor.copy(f"copy stage ({columns}) from stdin") as copy:
            copy.set_types(types)
            for message in messages:
                try:
                    reading = Reading.FromString(message.value())
                except DecodeError:
                    continue
                there = reading.HasField("location")
                copy.write_row((
                    reading.device_id,
                    reading.sensor,
                    reading.sequence,
                    reading.measured_at.ToDatetime() if reading.HasField("measured_at") else None,
                    reading.value,
                    reading.unit,
                    Quality.Name(reading.quality),
                    reading.battery if reading.HasField("battery") else None,
                    reading.firmware,
                    reading.location.latitude if there else None,
                    reading.location.longitude if there else None,
                    message.partition(),
                    message.offset(),
                ))
                rows += 1
        cursor.execute(f"insert into rival ({columns}) select {columns} from stage on conflict do nothing")
        cursor.execute("truncate stage")
    connection.commit()
    consumer.commit(asynchronous=False)
    seen += rows
seconds = time.monotonic() - started
print(json.dumps({"records": seen, "seconds": seconds, "cpuSeconds": time.process_time() - cpu}))
consumer.close()
