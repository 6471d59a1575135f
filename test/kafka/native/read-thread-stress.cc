// The read thread of the native reader against a librdkafka of a few lines, for the sanitizers: scripts/sanitize.mjs builds
// and runs it. Lanes open, get grants, close and open again while records arrive on another thread; each lane must see its
// partition from its start on without a gap or a double, and in the end no record, queue or list may be left.
//   read-thread-stress SECONDS SEED
#include "../../../src/kafka/native/read-thread.h"

#include <atomic>
#include <cstdio>
#include <deque>
#include <random>

namespace {

constexpr int32_t partitionCount = 4;
constexpr size_t queueMax = 200;

void require(bool holds, const char *claim) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", claim);
  std::abort();
}

std::atomic<int64_t> alive{0};  // messages, queue handles, lists

struct FakeMessage {
  rd_kafka_message_t message{};
  std::string value;
  int headers = 0;
};

/** A partition's queue as librdkafka has it: its bell rings under its lock. */
struct Partition {
  std::mutex mutex;
  std::deque<FakeMessage *> records;
  void (*bell)(rd_kafka_t *, void *) = nullptr;
  void *bellOpaque = nullptr;
  int64_t fetchAt = 0;       // the offset of the next record to be queued
  int64_t position = -1001;  // after what was popped
  int64_t last = -1;         // the last record's offset
};

Partition partitions[partitionCount];

}  // namespace

struct rd_kafka_queue_s {
  Partition *partition;
};
struct rd_kafka_headers_s {
  int count;
};

namespace {

void destroyMessage(rd_kafka_message_t *message) {
  delete static_cast<FakeMessage *>(message->_private);
  alive--;
}

FakeMessage *makeMessage(int64_t offset, std::mt19937 &random) {
  auto *fake = new FakeMessage;
  alive++;
  const auto kind = random() % 100;
  fake->value = std::string(kind == 0 ? 5000 : random() % 60, static_cast<char>('a' + offset % 26));
  fake->headers = kind % 10 == 1 ? 2 : 0;
  fake->message._private = fake;
  fake->message.offset = offset;
  fake->message.payload = kind % 10 == 2 ? nullptr : fake->value.data();
  fake->message.len = fake->message.payload == nullptr ? 0 : fake->value.size();
  if (kind % 10 == 3) {
    fake->message.err = RD_KAFKA_RESP_ERR__PARTITION_EOF;
    fake->message.payload = nullptr;
    fake->message.len = 0;
  }
  return fake;
}

/** What a fetch brings, with holes; rings when the queue was empty. */
void fetch(Partition &partition, std::mt19937 &random) {
  std::lock_guard lock(partition.mutex);
  const bool wasEmpty = partition.records.empty();
  for (size_t count = random() % 40; count > 0 && partition.records.size() < queueMax; count--) {
    FakeMessage *fake = makeMessage(partition.fetchAt, random);
    if (fake->message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      partition.last = partition.fetchAt;
      partition.fetchAt += 1 + (random() % 50 == 0);
    }
    partition.records.push_back(fake);
  }
  if (wasEmpty && !partition.records.empty() && partition.bell) partition.bell(nullptr, partition.bellOpaque);
}

/** What assign and seek do: all that was fetched before is outdated. */
void seek(Partition &partition, int64_t offset) {
  std::lock_guard lock(partition.mutex);
  for (FakeMessage *fake : partition.records) destroyMessage(&fake->message);
  partition.records.clear();
  partition.fetchAt = offset;
  partition.position = -1001;
  partition.last = offset - 1;
}

Librdkafka fakeLibrdkafka() {
  Librdkafka fake;
  fake.position = [](rd_kafka_t *, rd_kafka_topic_partition_list_t *list) {
    Partition &partition = partitions[list->elems[0].partition];
    std::lock_guard lock(partition.mutex);
    list->elems[0].offset = partition.position;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  fake.queue_get_partition = [](rd_kafka_t *, const char *, int32_t partition) {
    alive++;
    return new rd_kafka_queue_t{&partitions[partition]};
  };
  fake.queue_destroy = [](rd_kafka_queue_t *queue) {
    alive--;
    delete queue;
  };
  fake.queue_forward = [](rd_kafka_queue_t *, rd_kafka_queue_t *) {};
  fake.queue_cb_event_enable = [](rd_kafka_queue_t *queue, void (*bell)(rd_kafka_t *, void *), void *opaque) {
    std::lock_guard lock(queue->partition->mutex);
    queue->partition->bell = bell;
    queue->partition->bellOpaque = opaque;
  };
  fake.queue_yield = [](rd_kafka_queue_t *queue) {
    std::lock_guard lock(queue->partition->mutex);
    if (queue->partition->bell) queue->partition->bell(nullptr, queue->partition->bellOpaque);
  };
  fake.queue_length = [](rd_kafka_queue_t *queue) {
    std::lock_guard lock(queue->partition->mutex);
    return queue->partition->records.size();
  };
  fake.consume_batch_queue = [](rd_kafka_queue_t *queue, int, rd_kafka_message_t **into, size_t max) {
    Partition &partition = *queue->partition;
    std::lock_guard lock(partition.mutex);
    size_t count = 0;
    for (; count < max && !partition.records.empty(); count++) {
      into[count] = &partition.records.front()->message;
      if (into[count]->err == RD_KAFKA_RESP_ERR_NO_ERROR) partition.position = into[count]->offset + 1;
      partition.records.pop_front();
    }
    return static_cast<ssize_t>(count);
  };
  fake.message_destroy = destroyMessage;
  fake.message_errstr = [](const rd_kafka_message_t *) { return "an error"; };
  fake.message_timestamp = [](const rd_kafka_message_t *message, rd_kafka_timestamp_type_t *type) {
    if (type) *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
    return message->offset;
  };
  fake.message_headers = [](const rd_kafka_message_t *message, rd_kafka_headers_t **headers) {
    static rd_kafka_headers_t two{2};
    *headers = &two;
    const bool has = static_cast<const FakeMessage *>(message->_private)->headers > 0;
    return has ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
  };
  fake.header_get_all = [](const rd_kafka_headers_t *headers, size_t index, const char **name, const void **value,
                           size_t *valueLength) {
    if (index >= static_cast<size_t>(headers->count)) return RD_KAFKA_RESP_ERR__NOENT;
    *name = "trace";
    *value = index == 0 ? "id" : nullptr;
    *valueLength = index == 0 ? 2 : 0;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  fake.topic_partition_list_new = [](int) {
    alive++;
    return new rd_kafka_topic_partition_list_t{};
  };
  fake.topic_partition_list_add = [](rd_kafka_topic_partition_list_t *list, const char *, int32_t partition) {
    list->elems = new rd_kafka_topic_partition_t{};
    list->elems[0].partition = partition;
    return list->elems;
  };
  fake.topic_partition_list_destroy = [](rd_kafka_topic_partition_list_t *list) {
    alive--;
    delete list->elems;
    delete list;
  };
  return fake;
}

/** What the main thread knows of an open lane. */
struct Open {
  uint32_t lane = 0;
  int64_t next = 0;
  Clock::time_point openAgainAt{};
};

class Stress {
 public:
  explicit Stress(uint32_t seed) : random_(seed) {}

  void run(std::chrono::seconds duration) {
    const auto end = Clock::now() + duration;
    while (Clock::now() < end) {
      feeding_ = true;
      std::thread feeder([this, seed = random_()] { feed(seed); });
      stepFor(std::chrono::milliseconds(500), true);
      // Now granted for good, so that only the queues' bells make it read on.
      for (const Open &open : open_) reader_->grant(open.lane, 1 << 30);
      stepFor(std::chrono::milliseconds(50), false);
      feeding_ = false;
      feeder.join();
      readToTheEnd();
    }
    reader_->stop();
    reader_.reset();
    for (Partition &partition : partitions) seek(partition, 0);
    require(alive == 0, "all that was taken is given back");
    std::printf("%lld records in %lld slabs over %u openings\n", static_cast<long long>(records_),
                static_cast<long long>(slabs_), lanes_);
  }

 private:
  void stepFor(std::chrono::milliseconds duration, bool changes) {
    const auto end = Clock::now() + duration;
    while (Clock::now() < end) {
      if (changes) step();
      receive();
      if (random_() % 20 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_() % 3000));
    }
  }

  /** A bell that was lost would leave records where they are. */
  void readToTheEnd() {
    const auto deadline = Clock::now() + std::chrono::seconds(10);
    for (int32_t partition = 0; partition < partitionCount; partition++) {
      while (open_[partition].lane != 0 && open_[partition].next <= partitions[partition].last) {
        require(Clock::now() < deadline, "whatever arrives is read");
        receive();
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    }
  }

  void step() {
    const auto partition = static_cast<int32_t>(random_() % partitionCount);
    Open &open = open_[partition];
    const auto kind = random_() % 400;
    if (kind == 0) {
      // The end of a process's life, and another one's beginning.
      reader_->stop();
      reader_ = makeReader();
      for (Open &each : open_) each = {};
    } else if (open.lane == 0) {
      if (Clock::now() >= open.openAgainAt) openLane(partition, open);
    } else if (kind < 30) {
      reader_->close(open.lane, random_() % 2 == 0);
      // At once, as a rewind does, soon, or so late that the purge is over.
      const int64_t later[] = {0, 0, 5};
      open = {0, 0, Clock::now() + std::chrono::milliseconds(kind == 1 ? 2500 : later[random_() % 3])};
    } else {
      reader_->grant(open.lane, random_() % 10 == 0 ? -500 : 3000);
    }
  }

  void openLane(int32_t partition, Open &open) {
    open = {++lanes_, 0};
    require(reader_->open(open.lane, "t", partition).empty(), "a queue whose bell rings is ours");
    // Assigned after it was opened, and before it has a grant.
    seek(partitions[partition], 0);
    reader_->grant(open.lane, 5000);
  }

  void receive() {
    std::vector<Delivery> deliveries;
    reader_->takeDeliveries(deliveries);
    for (Delivery &delivery : deliveries) {
      if (!reader_->isOpen(delivery.lane)) continue;
      for (Open &open : open_) {
        if (open.lane == delivery.lane) check(open, delivery);
      }
    }
  }

  void check(Open &open, const Delivery &delivery) {
    require(delivery.errorCode == 0, "nothing goes wrong");
    if (delivery.slab.size == 0) return;
    const auto *words = reinterpret_cast<const uint32_t *>(delivery.slab.bytes.get());
    const auto *offsets = reinterpret_cast<const int64_t *>(delivery.slab.bytes.get() + SlabPacker::prefixBytes);
    const uint32_t count = words[1];
    require(count > 0 && words[2] == delivery.slab.size, "the prefix tells the size");
    for (uint32_t index = 0; index < count; index++) {
      require(offsets[index] == open.next || offsets[index] == open.next + 1, "no gap beyond a hole, and no double");
      open.next = offsets[index] + 1;
    }
    require(delivery.position >= open.next, "the position is after what was handed over");
    records_ += count;
    slabs_++;
  }

  void feed(uint32_t seed) {
    std::mt19937 random(seed);
    while (feeding_) {
      fetch(partitions[random() % partitionCount], random);
      if (random() % 50 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    }
  }

  std::unique_ptr<ReadThread> makeReader() {
    return std::make_unique<ReadThread>(rdkafka_, nullptr, Limits{1 << 20, 2048, 64, std::chrono::milliseconds(1)}, [] {});
  }

  const Librdkafka rdkafka_ = fakeLibrdkafka();
  std::mt19937 random_;
  std::unique_ptr<ReadThread> reader_ = makeReader();
  Open open_[partitionCount];
  uint32_t lanes_ = 0;
  int64_t records_ = 0;
  int64_t slabs_ = 0;
  std::atomic<bool> feeding_{false};
};

}  // namespace

int main(int argc, char **argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 10;
  const uint32_t seed = argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1;
  Stress(seed).run(std::chrono::seconds(seconds));
}
