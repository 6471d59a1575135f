// A producer of librdkafka's with a thread of its own: takes slabs, produces each record of them to one topic, and tells of
// each slab once what became of its records. Knows nothing of JavaScript.
//
// The thread does everything that may wait (the first look at the brokers, a full queue, the end), and librdkafka reports
// deliveries to it alone, within `poll`. So little is shared: the lists of requests and answers, and the last log line,
// which comes from any thread of librdkafka's, under whatever locks of its own; hence a mutex of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "slab.h"

/** What the thread is asked for. Each request is answered once. */
struct ProduceRequest {
  enum class Kind { connect, send, end };
  Kind kind;
  uint32_t id;
  std::chrono::milliseconds within{0};  // of connect and end
  const char *slab = nullptr;           // of send
  size_t slabBytes = 0;
  std::shared_ptr<void> keeper{};  // whose bytes the slab's are
};

struct ProduceAnswer {
  uint32_t id = 0;
  int32_t errorCode = 0;  // the first that was met, but for records that are too large
  std::string error{};
  std::vector<uint32_t> tooLarge{};  // indexes of records that the topic refuses for their size
  std::shared_ptr<void> keeper{};    // let go of on the thread that the slab came from
};

using Settings = std::vector<std::pair<std::string, std::string>>;

class ProduceThread {
 public:
  /** `notify` is called on the thread when there is something for takeAnswers; it must not call back. */
  ProduceThread(const Librdkafka &rdkafka, std::function<void()> notify)
      : rdkafka_(rdkafka), notify_(std::move(notify)) {}

  /** Returns why there is no such client; empty when there is one. It has asked no broker yet. */
  std::string start(const Settings &settings, const std::string &topic) {
    char text[512] = "";
    rd_kafka_conf_t *conf = rdkafka_.conf_new();
    for (const auto &[name, value] : settings) {
      if (rdkafka_.conf_set(conf, name.c_str(), value.c_str(), text, sizeof text) == RD_KAFKA_CONF_OK) continue;
      rdkafka_.conf_destroy(conf);
      return text;
    }
    opaqueOf_ = rdkafka_.opaque;
    rdkafka_.conf_set_opaque(conf, this);
    rdkafka_.conf_set_dr_msg_cb(conf, &ProduceThread::onReport);
    rdkafka_.conf_set_log_cb(conf, &ProduceThread::onLog);
    // Errors show as failed deliveries, and their reasons are logged without it; with none they all would be, and "all
    // brokers are down" come last.
    rdkafka_.conf_set_error_cb(conf, [](rd_kafka_t *, int, const char *, void *) {});
    client_ = rdkafka_.create(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (client_ == nullptr) {
      // Only a client that was made has taken it over.
      rdkafka_.conf_destroy(conf);
      return text;
    }
    topic_ = rdkafka_.topic_new(client_, topic.c_str(), nullptr);
    queue_ = rdkafka_.queue_get_main(client_);
    thread_ = std::thread([this] { run(); });
    return "";
  }

  /** Without a request to end before it, what is under way is given up. */
  ~ProduceThread() {
    if (!thread_.joinable()) return;
    abandoned_ = true;
    wake();
    thread_.join();
  }

  /** Nothing may follow a request to end. */
  void ask(ProduceRequest request) {
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(std::move(request));
    }
    wake();
  }

  void takeAnswers(std::vector<ProduceAnswer> &answers) {
    std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int idlePollMs = 1000;
  static constexpr int busyPollMs = 50;
  static constexpr std::chrono::milliseconds firstLook{500};
  static constexpr int warningLevel = 4;
  /** A dead letter's own 21, and some of its record. */
  static constexpr size_t headersExpected = 28;

  struct Batch;

  /** What librdkafka gives back with each report. Its place among the others tells the record. */
  struct Ticket {
    Batch *batch;
  };

  struct Batch {
    ProduceAnswer answer;
    SlabReader records;
    std::vector<Ticket> tickets;
    size_t unreported;
  };

  /** Ends the thread's poll, or else its next one. */
  void wake() {
    std::lock_guard lock(mutex_);
    if (queue_ != nullptr) rdkafka_.queue_yield(queue_);
  }

  void run() {
    std::deque<ProduceRequest> taken;
    while (!ended_ && !abandoned_) {
      {
        std::lock_guard lock(mutex_);
        taken.swap(requests_);
      }
      // What a request's own polls were woken for lies in the list by now, so it is looked at again before the long one.
      if (taken.empty()) rdkafka_.poll(client_, idlePollMs);
      for (ProduceRequest &request : taken) handle(request);
      taken.clear();
    }
    destroyClient();
    // Whatever is not reported by now may or may not have arrived.
    for (auto &[_, batch] : batches_) {
      fail(*batch, RD_KAFKA_RESP_ERR__DESTROY);
      tell(std::move(batch->answer));
    }
    batches_.clear();
    if (ended_) tell(ProduceAnswer{endId_});
  }

  void handle(ProduceRequest &request) {
    if (request.kind == ProduceRequest::Kind::connect) connect(request);
    else if (request.kind == ProduceRequest::Kind::send) send(request);
    else end(request);
  }

  void connect(const ProduceRequest &request) {
    const auto deadline = Clock::now() + request.within;
    auto look = firstLook;
    rd_kafka_resp_err_t failed;
    do {
      // Serves what a login may need of us. A look alone would wait for it in vain, hence the short ones first.
      rdkafka_.poll(client_, busyPollMs);
      const rd_kafka_metadata_t *metadata = nullptr;
      failed = rdkafka_.metadata(client_, 0, topic_, &metadata, static_cast<int>(look.count()));
      if (metadata != nullptr) rdkafka_.metadata_destroy(metadata);
      look = std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()), firstLook,
                        2 * look);
    } while (failed && Clock::now() < deadline && !abandoned_);
    ProduceAnswer answer{request.id};
    if (failed) {
      std::lock_guard lock(logMutex_);
      answer.errorCode = failed;
      answer.error = lastLog_.empty() ? rdkafka_.err2str(failed) : lastLog_;
    }
    tell(std::move(answer));
  }

  void send(ProduceRequest &request) {
    SlabReader records(request.slab, request.slabBytes);
    ProduceAnswer answer{request.id, 0, {}, {}, std::move(request.keeper)};
    if (!records.valid()) {
      answer.errorCode = RD_KAFKA_RESP_ERR__INVALID_ARG;
      answer.error = "not a slab";
      return tell(std::move(answer));
    }
    const uint32_t count = records.count();
    // One more than the records, so that it does not end while it is still being produced.
    auto owned = std::make_unique<Batch>(Batch{std::move(answer), records, {}, count + size_t{1}});
    Batch &batch = *owned;
    batch.tickets.assign(count, Ticket{&batch});
    batches_.emplace(&batch, std::move(owned));
    for (uint32_t index = 0; index < count; index++) produce(batch, index);
    oneLess(batch);
  }

  void produce(Batch &batch, uint32_t index) {
    const SlabReader &records = batch.records;
    rd_kafka_headers_t *headers = rdkafka_.headers_new(headersExpected);
    records.forEachHeader(index, [&](Span name, Span value) {
      rdkafka_.header_add(headers, name.at, static_cast<ssize_t>(name.length), value.at,
                          static_cast<ssize_t>(value.length));
    });
    rd_kafka_vu_t arguments[6] = {};
    arguments[0].vtype = RD_KAFKA_VTYPE_RKT;
    arguments[0].u.rkt = topic_;
    bytesArgument(arguments[1], RD_KAFKA_VTYPE_KEY, records.key(index));
    // Not copied: the batch keeps the slab until the last report.
    bytesArgument(arguments[2], RD_KAFKA_VTYPE_VALUE, records.value(index));
    arguments[3].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    // Zero makes librdkafka take the present time.
    arguments[3].u.i64 = std::max<int64_t>(0, records.timestamp(index));
    arguments[4].vtype = RD_KAFKA_VTYPE_HEADERS;
    arguments[4].u.headers = headers;
    arguments[5].vtype = RD_KAFKA_VTYPE_OPAQUE;
    arguments[5].u.ptr = &batch.tickets[index];
    for (;;) {
      rd_kafka_error_t *error = rdkafka_.produceva(client_, arguments, std::size(arguments));
      if (error == nullptr) return;
      const rd_kafka_resp_err_t code = rdkafka_.error_code(error);
      rdkafka_.error_destroy(error);
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL || abandoned_) {
        rdkafka_.headers_destroy(headers);
        return settle(batch, index, code);
      }
      // Each report makes room.
      rdkafka_.poll(client_, busyPollMs);
    }
  }

  static void bytesArgument(rd_kafka_vu_t &argument, rd_kafka_vtype_t type, Span bytes) {
    argument.vtype = type;
    argument.u.mem.ptr = const_cast<char *>(bytes.at);
    argument.u.mem.size = bytes.length;
  }

  static void onReport(rd_kafka_t *, const rd_kafka_message_t *message, void *opaque) {
    const auto *ticket = static_cast<const Ticket *>(message->_private);
    Batch &batch = *ticket->batch;
    const auto index = static_cast<uint32_t>(ticket - batch.tickets.data());
    static_cast<ProduceThread *>(opaque)->settle(batch, index, message->err);
  }

  void settle(Batch &batch, uint32_t index, rd_kafka_resp_err_t code) {
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) batch.answer.tooLarge.push_back(index);
    else if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(batch, code);
    oneLess(batch);
  }

  void fail(Batch &batch, rd_kafka_resp_err_t code) const {
    if (batch.answer.errorCode != 0) return;
    batch.answer.errorCode = code;
    batch.answer.error = rdkafka_.err2str(code);
  }

  void oneLess(Batch &batch) {
    if (--batch.unreported > 0) return;
    tell(std::move(batch.answer));
    batches_.erase(&batch);
  }

  void end(const ProduceRequest &request) {
    const auto deadline = Clock::now() + request.within;
    while (!batches_.empty() && Clock::now() < deadline && !abandoned_) rdkafka_.poll(client_, busyPollMs);
    endId_ = request.id;
    ended_ = true;
  }

  /** After this librdkafka looks at no slab any more. */
  void destroyClient() {
    rd_kafka_queue_t *queue = nullptr;
    {
      std::lock_guard lock(mutex_);
      std::swap(queue, queue_);
    }
    rdkafka_.queue_destroy(queue);
    rdkafka_.topic_destroy(topic_);
    rdkafka_.destroy(client_);
  }

  void tell(ProduceAnswer answer) {
    std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
    notify_();
  }

  static void onLog(const rd_kafka_t *client, int level, const char *, const char *text) {
    if (level > warningLevel) return;
    auto *self = static_cast<ProduceThread *>(opaqueOf_(client));
    std::lock_guard lock(self->logMutex_);
    self->lastLog_ = text;
  }

  /** librdkafka's way from a client to its owner, for the one callback that is not told the owner. */
  inline static decltype(&rd_kafka_opaque) opaqueOf_ = nullptr;

  const Librdkafka rdkafka_;
  const std::function<void()> notify_;
  rd_kafka_t *client_ = nullptr;
  rd_kafka_topic_t *topic_ = nullptr;
  std::thread thread_;
  std::atomic<bool> abandoned_{false};

  std::mutex mutex_;
  std::deque<ProduceRequest> requests_;
  std::vector<ProduceAnswer> answers_;
  rd_kafka_queue_t *queue_ = nullptr;

  std::mutex logMutex_;
  std::string lastLog_;

  // The thread's own.
  std::unordered_map<const Batch *, std::unique_ptr<Batch>> batches_;
  uint32_t endId_ = 0;
  bool ended_ = false;
};
