// The produce thread of the native producer against a librdkafka of a few lines, for the sanitizers: scripts/sanitize.mjs
// builds and runs it. Slabs are sent while reports come on the thread's own poll, sometimes refused, sometimes late, with a
// queue that fills; producers end with all that is under way, too soon, or not at all. Each request must be answered once,
// with what its records really met, no slab may be looked at after that, and in the end nothing may be left.
//   produce-thread-stress SECONDS SEED
#include "../../../src/kafka/native/produce-thread.h"

#include <condition_variable>
#include <cstdio>
#include <map>
#include <random>

namespace {

void require(bool holds, const char *claim) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", claim);
  std::abort();
}

std::atomic<int64_t> alive{0};  // clients, topics, queue handles, header lists, configurations, errors

/** What a record of the stress says of itself in its first byte: how the fake librdkafka is to treat it. */
enum class Fate : char { delivered, tooLargeHere, tooLargeThere, timedOut, late };
constexpr int fateCount = 5;

struct Message {
  std::string seen;  // of its value, when it was produced
  const char *value;
  void *opaque;
};

constexpr size_t queueMax = 40;

}  // namespace

struct rd_kafka_conf_s {
  void *opaque = nullptr;
  void (*report)(rd_kafka_t *, const rd_kafka_message_t *, void *) = nullptr;
  void (*log)(const rd_kafka_t *, int, const char *, const char *) = nullptr;
};
struct rd_kafka_s {
  rd_kafka_conf_s conf;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Message> queue;
  bool yielded = false;
  bool ending = false;
  std::thread logger;
};
struct rd_kafka_topic_s {};
struct rd_kafka_queue_s {
  rd_kafka_t *client;
};
struct rd_kafka_headers_s {
  size_t count;
};
struct rd_kafka_error_s {
  rd_kafka_resp_err_t code;
};

namespace {

rd_kafka_error_t *errorOf(rd_kafka_resp_err_t code) {
  alive++;
  return new rd_kafka_error_t{code};
}

void reportTo(rd_kafka_t *client, const Message &message) {
  rd_kafka_message_t reported{};
  const auto fate = static_cast<Fate>(message.seen[0]);
  reported.err = fate == Fate::tooLargeThere ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE
                 : fate == Fate::timedOut    ? RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
                                             : RD_KAFKA_RESP_ERR_NO_ERROR;
  require(message.seen == std::string(message.value, message.seen.size()), "the slab is kept until the report");
  reported._private = message.opaque;
  client->conf.report(client, &reported, client->conf.opaque);
}

int pollFake(rd_kafka_t *client, int timeoutMs) {
  std::deque<Message> due;
  {
    std::unique_lock lock(client->mutex);
    client->wake.wait_for(lock, std::chrono::milliseconds(std::min(timeoutMs, 2000)),
                          [&] { return client->yielded || !client->queue.empty(); });
    client->yielded = false;
    while (!client->queue.empty()) {
      const bool late = client->queue.front().seen[0] == static_cast<char>(Fate::late);
      if (late && due.size() > 3) break;
      due.push_back(client->queue.front());
      client->queue.pop_front();
    }
  }
  for (const Message &message : due) reportTo(client, message);
  return static_cast<int>(due.size());
}

rd_kafka_error_t *produceFake(rd_kafka_t *client, const rd_kafka_vu_t *arguments, size_t count) {
  Message message{};
  rd_kafka_headers_t *headers = nullptr;
  for (size_t at = 0; at < count; at++) {
    const rd_kafka_vu_t &each = arguments[at];
    if (each.vtype == RD_KAFKA_VTYPE_VALUE) {
      message.value = static_cast<const char *>(each.u.mem.ptr);
      message.seen.assign(message.value, each.u.mem.size);
    }
    if (each.vtype == RD_KAFKA_VTYPE_OPAQUE) message.opaque = each.u.ptr;
    if (each.vtype == RD_KAFKA_VTYPE_HEADERS) headers = each.u.headers;
  }
  require(headers != nullptr && headers->count == 2, "a record has its headers");
  if (message.seen[0] == static_cast<char>(Fate::tooLargeHere)) return errorOf(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  std::lock_guard lock(client->mutex);
  if (client->queue.size() >= queueMax) return errorOf(RD_KAFKA_RESP_ERR__QUEUE_FULL);
  client->queue.push_back(message);
  alive--;
  delete headers;
  return nullptr;
}

Librdkafka fakeLibrdkafka() {
  Librdkafka fake;
  fake.conf_new = [] {
    alive++;
    return new rd_kafka_conf_t{};
  };
  fake.conf_destroy = [](rd_kafka_conf_t *conf) {
    alive--;
    delete conf;
  };
  fake.conf_set = [](rd_kafka_conf_t *, const char *name, const char *, char *text, size_t size) {
    if (std::string_view(name) != "wrong") return RD_KAFKA_CONF_OK;
    std::snprintf(text, size, "no such property");
    return RD_KAFKA_CONF_UNKNOWN;
  };
  fake.conf_set_opaque = [](rd_kafka_conf_t *conf, void *opaque) { conf->opaque = opaque; };
  fake.conf_set_dr_msg_cb = [](rd_kafka_conf_t *conf, auto *report) { conf->report = report; };
  fake.conf_set_log_cb = [](rd_kafka_conf_t *conf, auto *log) { conf->log = log; };
  fake.conf_set_error_cb = [](rd_kafka_conf_t *, auto *) {};
  fake.opaque = [](const rd_kafka_t *client) { return client->conf.opaque; };
  fake.create = [](rd_kafka_type_t, rd_kafka_conf_t *conf, char *, size_t) {
    auto *client = new rd_kafka_t{*conf, {}, {}, {}, false, false, {}};
    delete conf;
    // As librdkafka's broker threads do.
    client->logger = std::thread([client] {
      std::unique_lock lock(client->mutex);
      while (!client->ending) {
        client->wake.wait_for(lock, std::chrono::microseconds(200));
        lock.unlock();
        client->conf.log(client, 3, "FAIL", "a broker is away");
        lock.lock();
      }
    });
    return client;
  };
  fake.destroy = [](rd_kafka_t *client) {
    {
      std::lock_guard lock(client->mutex);
      client->ending = true;
      client->wake.notify_all();
    }
    client->logger.join();
    for (const Message &message : client->queue)
      require(message.seen == std::string(message.value, message.seen.size()), "the slab outlives the client");
    delete client;
    alive--;
  };
  fake.topic_new = [](rd_kafka_t *, const char *, rd_kafka_topic_conf_t *) {
    alive++;
    return new rd_kafka_topic_t{};
  };
  fake.topic_destroy = [](rd_kafka_topic_t *topic) {
    alive--;
    delete topic;
  };
  fake.queue_get_main = [](rd_kafka_t *client) {
    alive++;
    return new rd_kafka_queue_t{client};
  };
  fake.queue_destroy = [](rd_kafka_queue_t *queue) {
    alive--;
    delete queue;
  };
  fake.queue_yield = [](rd_kafka_queue_t *queue) {
    std::lock_guard lock(queue->client->mutex);
    queue->client->yielded = true;
    queue->client->wake.notify_all();
  };
  fake.poll = pollFake;
  fake.metadata = [](rd_kafka_t *, int, rd_kafka_topic_t *, const struct rd_kafka_metadata **found, int) {
    static std::atomic<uint32_t> looks{0};
    if (looks++ % 2 == 0) return RD_KAFKA_RESP_ERR__TRANSPORT;
    alive++;
    *found = new rd_kafka_metadata_t{};
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  fake.metadata_destroy = [](const struct rd_kafka_metadata *metadata) {
    alive--;
    delete metadata;
  };
  fake.headers_new = [](size_t) {
    alive++;
    return new rd_kafka_headers_t{0};
  };
  fake.headers_destroy = [](rd_kafka_headers_t *headers) {
    alive--;
    delete headers;
  };
  fake.header_add = [](rd_kafka_headers_t *headers, const char *, ssize_t, const void *, ssize_t) {
    headers->count++;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  };
  fake.produceva = produceFake;
  fake.error_code = [](const rd_kafka_error_t *error) { return error->code; };
  fake.error_destroy = [](rd_kafka_error_t *error) {
    alive--;
    delete error;
  };
  fake.err2str = [](rd_kafka_resp_err_t) { return "an error"; };
  return fake;
}

template <typename Number>
void put(std::string &bytes, Number number) {
  bytes.append(reinterpret_cast<const char *>(&number), sizeof number);
}

/** A slab of records that hold their fate and some bytes, each with two headers, one of them null. */
std::string slabOf(const std::vector<Fate> &fates, std::mt19937 &random) {
  std::string headers;
  for (const int32_t valueLength : {2, -1}) {
    put<uint32_t>(headers, 5);
    headers += "trace";
    put(headers, valueLength);
    if (valueLength > 0) headers += "id";
  }
  const auto count = static_cast<uint32_t>(fates.size());
  std::string columns[6];
  std::string bytes;
  const size_t begin = SlabPacker::prefixBytes + count * (8 + 8 + 4 + 4 + 4 + 4);
  for (uint32_t index = 0; index < count; index++) {
    const std::string value(1 + random() % 30, static_cast<char>(fates[index]));
    put<int64_t>(columns[0], index);
    put<int64_t>(columns[1], static_cast<int64_t>(random() % 3) - 1);
    put(columns[2], static_cast<uint32_t>(begin + bytes.size()));
    put<int32_t>(columns[3], index % 2 == 0 ? -1 : 3);
    put(columns[4], static_cast<int32_t>(value.size()));
    put(columns[5], static_cast<uint32_t>(headers.size()));
    bytes += (index % 2 == 0 ? "" : "key") + value + headers;
  }
  std::string slab;
  for (const uint32_t word : {0x3142534du, count, static_cast<uint32_t>(begin + bytes.size()), 0u}) put(slab, word);
  for (const std::string &column : columns) slab += column;
  return slab + bytes;
}

class Stress {
 public:
  explicit Stress(uint32_t seed) : random_(seed) {}

  void run(std::chrono::seconds duration) {
    const auto end = std::chrono::steady_clock::now() + duration;
    refuseSettings();
    while (std::chrono::steady_clock::now() < end) live();
    require(alive == 0, "all that was taken is given back");
    std::printf("%llu records in %llu slabs by %llu producers\n", static_cast<unsigned long long>(records_),
                static_cast<unsigned long long>(slabs_), static_cast<unsigned long long>(producers_));
  }

 private:
  void refuseSettings() {
    ProduceThread refused(rdkafka_, [] {});
    require(!refused.start({{"right", "1"}, {"wrong", "1"}}, "t").empty(), "a wrong setting is refused");
  }

  /** The life of one producer. */
  void live() {
    producers_++;
    std::atomic<bool> rung{false};
    auto thread = std::make_unique<ProduceThread>(rdkafka_, [&] { rung = true; });
    require(thread->start({{"right", "1"}}, "t").empty(), "right settings are taken");
    ids_ = endId_ = 0;
    thread->ask({ProduceRequest::Kind::connect, ++ids_, std::chrono::milliseconds(5000)});
    sent_.clear();
    open_ = 1;
    bool ended = false;
    for (auto slabs = random_() % 60; slabs > 0; slabs--) {
      send(*thread);
      if (random_() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random_() % 500));
      if (rung.exchange(false)) receive(*thread, ended, false);
    }
    const auto how = random_() % 3;
    if (how == 0) return;  // abandoned: nothing more is answered, and nothing may be left
    const auto within = std::chrono::milliseconds(how == 1 ? 5000 : 0);
    endId_ = ++ids_;
    open_++;
    thread->ask({ProduceRequest::Kind::end, endId_, within});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!ended) {
      require(std::chrono::steady_clock::now() < deadline, "an end is answered");
      receive(*thread, ended, how == 2);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    require(open_ == 0, "each request is answered, the end last");
  }

  void send(ProduceThread &thread) {
    std::vector<Fate> fates(random_() % 30);
    for (Fate &fate : fates) fate = random_() % 4 == 0 ? static_cast<Fate>(random_() % fateCount) : Fate::delivered;
    auto slab = std::make_shared<std::string>(slabOf(fates, random_));
    const uint32_t id = ++ids_;
    open_++;
    records_ += fates.size();
    sent_[id] = std::move(fates);
    const char *bytes = slab->data();
    const size_t size = slab->size();
    // From here on the thread alone keeps it.
    thread.ask({ProduceRequest::Kind::send, id, {}, bytes, size, std::move(slab)});
    slabs_++;
  }

  void receive(ProduceThread &thread, bool &ended, bool cutShort) {
    std::vector<ProduceAnswer> answers;
    thread.takeAnswers(answers);
    for (ProduceAnswer &answer : answers) {
      open_--;
      ended = ended || answer.id == endId_;
      const auto found = sent_.find(answer.id);
      if (found == sent_.end()) continue;
      check(found->second, answer, cutShort);
      require(answer.keeper != nullptr, "the slab comes back with the answer");
      sent_.erase(found);
    }
  }

  static void check(const std::vector<Fate> &fates, const ProduceAnswer &answer, bool cutShort) {
    // Of what was given up, some was reported.
    if (cutShort && answer.errorCode != 0) return;
    bool failed = false;
    std::vector<uint32_t> tooLarge;
    for (uint32_t index = 0; index < fates.size(); index++) {
      failed = failed || fates[index] == Fate::timedOut;
      if (fates[index] == Fate::tooLargeHere || fates[index] == Fate::tooLargeThere) tooLarge.push_back(index);
    }
    std::vector<uint32_t> told = answer.tooLarge;
    std::sort(told.begin(), told.end());
    require((answer.errorCode != 0) == failed, "a fault is told, and none that was not");
    require(told == tooLarge, "those that are too large are named");
  }

  const Librdkafka rdkafka_ = fakeLibrdkafka();
  std::mt19937 random_;
  std::map<uint32_t, std::vector<Fate>> sent_;
  uint32_t ids_ = 0;
  uint32_t endId_ = 0;
  uint32_t open_ = 0;
  uint64_t records_ = 0;
  uint64_t slabs_ = 0;
  uint64_t producers_ = 0;
};

}  // namespace

int main(int argc, char **argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 10;
  const uint32_t seed = argc > 2 ? static_cast<uint32_t>(std::atoi(argv[2])) : 1;
  Stress(seed).run(std::chrono::seconds(seconds));
}
