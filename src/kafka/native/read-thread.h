// Lanes, and the one thread that reads those of them that have both records and a grant. Knows nothing of JavaScript.
//
// Locks: `mutex_` guards what both threads see. librdkafka calls `onEvent` under the lock of its queue, and that takes
// `mutex_`; so no function of librdkafka may be called while `mutex_` is held.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "slab.h"

using Clock = std::chrono::steady_clock;
using Messages = std::vector<rd_kafka_message_t *>;

/** What goes to JavaScript, in order: a slab, a step of the position that no slab shows, or the partition's error. */
struct Delivery {
  uint32_t lane;
  Slab slab;
  int64_t position = -1;
  int32_t errorCode = 0;
  std::string error;
};

struct Limits {
  size_t recordBytesMax;  // a larger one ends its lane
  size_t readBytesMax;
  size_t readRecordsMax;
  std::chrono::milliseconds coalesce;
};

class ReadThread;

/** Enough of a record to know it again. */
struct RecordMark {
  int64_t offset = -1;
  int64_t timestamp = -1;
  size_t valueHash = 0;

  bool operator==(const RecordMark &) const = default;
};

/** One partition from open to close. Opened again, it is another lane with another id. */
struct Lane {
  uint32_t id;
  ReadThread *thread;
  std::string topic;
  int32_t partition;
  rd_kafka_queue_t *queue = nullptr;
  rd_kafka_topic_partition_list_t *place = nullptr;

  // Guarded by the mutex.
  int64_t grantBytes = 0;
  bool woken = false;      // there may be something to read, since `wokenAt`
  bool scheduled = false;  // is in `due_`, at `dueAt`
  bool stopped = false;    // the log went back, or a record is too large: nothing more is read
  bool closed = false;
  Clock::time_point wokenAt{};
  Clock::time_point dueAt{};

  // Whose turn it is: the read thread's while it reads the lane, else the main thread's.
  Messages leftover{};  // popped, but too much for the slab; from `leftoverAt` on. At most one pop.
  size_t leftoverAt = 0;
  size_t recordBytes = 16384;   // average of a record; high at first, so that big ones are not popped by the thousands
  bool drained = false;         // the last pop emptied the queue
  bool again = false;           // what comes was popped before, up to `next`
  int64_t next = -1;            // the offset after the last record packed
  RecordMark popFirst{};        // the first record of the last pop,
  RecordMark popFirstBefore{};  // and of the one before
  int64_t positionAtOpen = -1;  // left over from an earlier assignment, when not -1
  int64_t positionReported = -1;
};

class ReadThread {
 public:
  /** `notify` is called on the read thread when there is something for takeDeliveries; it must not call back. */
  ReadThread(const Librdkafka &rdkafka, rd_kafka_t *client, const Limits &limits, std::function<void()> notify)
      : rdkafka_(rdkafka), client_(client), limits_(limits), notify_(std::move(notify)), packer_(rdkafka) {
    thread_ = std::thread([this] { run(); });
  }

  /** Makes the partition's queue ours. Returns why that failed; empty when it did not. */
  std::string open(uint32_t id, const std::string &topic, int32_t partition) {
    forgetClosed(topic, partition);
    auto lane = std::make_unique<Lane>(Lane{id, this, topic, partition});
    lane->queue = rdkafka_.queue_get_partition(client_, topic.c_str(), partition);
    if (lane->queue == nullptr) return "librdkafka has no queue for it";
    lane->place = rdkafka_.topic_partition_list_new(1);
    rdkafka_.topic_partition_list_add(lane->place, topic.c_str(), partition);
    lane->positionAtOpen = appPosition(*lane);
    // Marks the queue as the application's: from here on assign() leaves it alone.
    rdkafka_.queue_forward(lane->queue, nullptr);
    rdkafka_.queue_cb_event_enable(lane->queue, &ReadThread::onEvent, lane.get());
    // A yield rings the bell of the queue in which things really end up. If ours stays silent, records pass us by.
    rdkafka_.queue_yield(lane->queue);
    std::unique_lock lock(mutex_);
    const bool ours = lane->woken;
    // The bell does not ring for what is in the queue already, so the first read looks.
    lane->woken = true;
    lane->wokenAt = {};
    lock.unlock();
    if (!ours && rdkafka_.queue_length(lane->queue) == 0) {
      silence(*lane);
      release(*lane);
      return "its queue is still forwarded to the consumer's";
    }
    lock.lock();
    lanes_.emplace(id, std::move(lane));
    return "";
  }

  void grant(uint32_t id, int64_t bytes) {
    std::lock_guard lock(mutex_);
    const auto found = lanes_.find(id);
    if (found == lanes_.end()) return;
    Lane *lane = found->second.get();
    lane->grantBytes += bytes;
    if (lane->woken) schedule(lane, lane->wokenAt + limits_.coalesce);
  }

  /**
   * Waits at most for the end of one read. With `purge`, what librdkafka goes on holding of the partition is dropped a
   * while later: when a partition is unassigned, nothing else empties a queue of the application's.
   */
  void close(uint32_t id, bool purge) {
    std::unique_lock lock(mutex_);
    const auto found = lanes_.find(id);
    if (found == lanes_.end()) return;
    std::unique_ptr<Lane> lane = std::move(found->second);
    lanes_.erase(found);
    retire(lock, lane.get());
    lock.unlock();
    silence(*lane);
    destroyLeftover(*lane);
    if (!purge) return release(*lane);
    lock.lock();
    putDue(lane.get(), Clock::now() + purgeDelay);
    closed_.push_back(std::move(lane));
  }

  /** Main thread only, like open and close. */
  bool isOpen(uint32_t id) const { return lanes_.contains(id); }

  /** What has been read since the last call. Makes room for more. */
  void takeDeliveries(std::vector<Delivery> &deliveries) {
    std::lock_guard lock(mutex_);
    deliveries.swap(deliveries_);
    work_.notify_one();
  }

  /** Ends the thread and gives back all that is librdkafka's. Nothing may be called afterwards. */
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      work_.notify_one();
    }
    thread_.join();
    for (auto &[id, lane] : lanes_) {
      silence(*lane);
      release(*lane);
    }
    for (auto &lane : closed_) release(*lane);
    lanes_.clear();
    closed_.clear();
    deliveries_.clear();
  }

 private:
  /** Deliveries that may wait for the main thread; beyond it the read thread waits too. Some more in one read. */
  static constexpr size_t deliveriesMax = 64;
  /** Messages dropped in one turn of a closed lane, so that the open ones get theirs. */
  static constexpr size_t purgeRecordsMax = 4096;
  /** Longer than it takes from closing a partition to unassigning it. Before that, a purge would be in vain. */
  static constexpr std::chrono::milliseconds purgeDelay{2000};

  struct Reading {
    std::vector<Delivery> deliveries;
    int64_t bytes = 0;
    bool more = false;
    bool stopped = false;
  };

  struct Earlier {
    bool operator()(const Lane *a, const Lane *b) const {
      return a->dueAt != b->dueAt ? a->dueAt < b->dueAt : a->id < b->id;
    }
  };

  static void onEvent(rd_kafka_t *, void *opaque) {
    auto *lane = static_cast<Lane *>(opaque);
    lane->thread->wake(lane);
  }

  void wake(Lane *lane) {
    std::lock_guard lock(mutex_);
    if (lane->woken) return;
    lane->woken = true;
    lane->wokenAt = Clock::now();
    schedule(lane, lane->wokenAt + limits_.coalesce);
  }

  void schedule(Lane *lane, Clock::time_point dueAt) {
    if (lane->scheduled || lane == current_ || lane->grantBytes <= 0 || lane->stopped || lane->closed) return;
    putDue(lane, dueAt);
  }

  void putDue(Lane *lane, Clock::time_point dueAt) {
    lane->dueAt = dueAt;
    lane->scheduled = true;
    due_.insert(lane);
    if (*due_.begin() == lane) work_.notify_one();
  }

  void takeDue(Lane *lane) {
    due_.erase(lane);
    lane->scheduled = false;
  }

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (due_.empty() || deliveries_.size() >= deliveriesMax) {
        work_.wait(lock);
        continue;
      }
      Lane *lane = *due_.begin();
      if (lane->dueAt > Clock::now()) {
        // A copy, because the lane may be gone when the wait ends.
        const auto dueAt = lane->dueAt;
        work_.wait_until(lock, dueAt);
        continue;
      }
      takeDue(lane);
      // Before the read: what arrives during it is popped by it or rings again, so no bell is lost.
      lane->woken = false;
      const bool closed = lane->closed;
      current_ = lane;
      lock.unlock();
      Reading reading = closed ? purge(*lane) : read(*lane);
      lock.lock();
      current_ = nullptr;
      readEnded_.notify_all();
      if (closed) afterPurge(lock, lane, reading.more);
      else if (!lane->closed) afterRead(lane, std::move(reading));
    }
  }

  void afterRead(Lane *lane, Reading reading) {
    lane->grantBytes -= reading.bytes;
    lane->stopped = reading.stopped;
    if (reading.more) {
      // Behind all that are due already, however much is left here: that is the round robin.
      lane->woken = true;
      lane->wokenAt = {};
      schedule(lane, Clock::now());
    } else if (lane->woken) {
      schedule(lane, lane->wokenAt + limits_.coalesce);
    }
    if (reading.deliveries.empty()) return;
    std::move(reading.deliveries.begin(), reading.deliveries.end(), std::back_inserter(deliveries_));
    notify_();
  }

  /** One slab: of the leftover, or else of a new pop. */
  Reading read(Lane &lane) {
    Reading reading;
    // The queue's bell may have rung since the pop that left something, and not for the lane, which was due already. It
    // does not ring again for what is there: so the queue is looked at once more.
    if (!lane.leftover.empty()) lane.drained = false;
    else pop(lane);
    Messages &messages = lane.leftover.empty() ? popped_ : lane.leftover;
    size_t end = lane.leftoverAt;
    packer_.clear();
    while (end < messages.size() && !reading.stopped && take(lane, messages[end], reading)) end++;
    if (reading.stopped) end = messages.size();
    Slab slab;
    if (packer_.count() > 0) {
      slab = packer_.pack();
      reading.bytes = static_cast<int64_t>(slab.size);
      lane.recordBytes = (3 * lane.recordBytes + slab.size / packer_.count()) / 4 + 1;
    }
    keepFrom(lane, messages, end);
    reading.more = !reading.stopped && (!lane.leftover.empty() || !lane.drained);
    // librdkafka's position counts all that was popped, so it is ours only where nothing is left.
    const int64_t position = std::max(lane.next, reading.more ? -1 : trustedPosition(lane));
    if (slab.size > 0 || position > lane.positionReported) {
      lane.positionReported = position;
      reading.deliveries.push_back(Delivery{lane.id, std::move(slab), position, 0, {}});
    }
    return reading;
  }

  void pop(Lane &lane) {
    const size_t count = std::clamp<size_t>(limits_.readBytesMax / lane.recordBytes, 1, limits_.readRecordsMax);
    popped_.resize(count);
    // A time-out would wait until there are `count`; zero takes what is there.
    const ssize_t got = rdkafka_.consume_batch_queue(lane.queue, 0, popped_.data(), count);
    popped_.resize(got < 0 ? 0 : static_cast<size_t>(got));
    lane.drained = popped_.size() < count && rdkafka_.queue_length(lane.queue) == 0;
    const auto record = std::find_if(popped_.begin(), popped_.end(), [](auto *message) { return message->err == 0; });
    if (record == popped_.end()) return;
    lane.popFirstBefore = lane.popFirst;
    lane.popFirst = markOf(*record);
  }

  /** False when the slab must end before this message. */
  bool take(Lane &lane, const rd_kafka_message_t *message, Reading &reading) {
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset >= lane.next) {
      if (message->len + message->key_len > limits_.recordBytesMax) {
        // What came before it leaves before it.
        if (packer_.count() > 0) return false;
        reading.deliveries.push_back(tooLarge(lane, message));
        reading.stopped = true;
        return true;
      }
      if (!packer_.add(message, limits_.readBytesMax)) return false;
      lane.again = false;
      lane.next = message->offset + 1;
      return true;
    }
    // What came before it leaves before it.
    if (packer_.count() > 0) return false;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) return true;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      reading.deliveries.push_back(error(lane, message->err, rdkafka_.message_errstr(message)));
      return true;
    }
    // librdkafka notes its position after a pop. A rebalance that pauses the partition between the two makes it fetch
    // the whole pop again, which is dropped. A log that begins anew must not be taken for that: the record has to be
    // the same.
    lane.again = lane.again || markOf(message) == lane.popFirstBefore;
    if (lane.again) return true;
    reading.deliveries.push_back(wentBack(lane, message->offset));
    reading.stopped = true;
    return true;
  }

  RecordMark markOf(const rd_kafka_message_t *message) const {
    const auto *value = static_cast<const char *>(message->payload);
    const std::string_view bytes(value == nullptr ? "" : value, message->len);
    const int64_t timestamp = rdkafka_.message_timestamp(message, nullptr);
    return RecordMark{message->offset, timestamp, std::hash<std::string_view>{}(bytes)};
  }

  Delivery error(const Lane &lane, rd_kafka_resp_err_t code, const std::string &text) const {
    return Delivery{lane.id, {}, lane.positionReported, code, text};
  }

  Delivery wentBack(const Lane &lane, int64_t offset) const {
    return error(lane, RD_KAFKA_RESP_ERR__LOG_TRUNCATION,
                 "the log went back from offset " + std::to_string(lane.next) + " to " + std::to_string(offset));
  }

  /** librdkafka unpacks a batch whatever comes of it; copied it would be in memory two or three times. */
  Delivery tooLarge(const Lane &lane, const rd_kafka_message_t *message) const {
    return error(lane, RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE,
                 "the record at offset " + std::to_string(message->offset) + " has " +
                     std::to_string(message->len + message->key_len) + " bytes");
  }

  /** Destroys the messages before `end`; those from there on wait for the next read. */
  void keepFrom(Lane &lane, Messages &messages, size_t end) {
    for (size_t at = lane.leftoverAt; at < end; at++) rdkafka_.message_destroy(messages[at]);
    if (end == messages.size()) {
      // Not only cleared: a thousand idle lanes would each keep their largest pop's room.
      lane.leftover = {};
      lane.leftoverAt = 0;
    } else if (&messages == &lane.leftover) {
      lane.leftoverAt = end;
    } else {
      lane.leftover.assign(messages.begin() + static_cast<ptrdiff_t>(end), messages.end());
    }
    popped_.clear();
  }

  /** librdkafka's own, which transaction markers move too; negative where it has none. */
  int64_t appPosition(Lane &lane) const {
    rdkafka_.position(client_, lane.place);
    return lane.place->elems[0].offset;
  }

  /** As appPosition, without what an earlier assignment left there until librdkafka gets round to clearing it. */
  int64_t trustedPosition(Lane &lane) const {
    const int64_t position = appPosition(lane);
    if (position == lane.positionAtOpen && lane.next < 0) return -1;
    lane.positionAtOpen = -1;
    return position;
  }

  Reading purge(Lane &lane) {
    popped_.resize(purgeRecordsMax);
    const ssize_t got = rdkafka_.consume_batch_queue(lane.queue, 0, popped_.data(), purgeRecordsMax);
    for (ssize_t at = 0; at < got; at++) rdkafka_.message_destroy(popped_[static_cast<size_t>(at)]);
    popped_.clear();
    Reading reading;
    reading.more = got == static_cast<ssize_t>(purgeRecordsMax);
    return reading;
  }

  void afterPurge(std::unique_lock<std::mutex> &lock, Lane *lane, bool more) {
    const auto found = findClosed([&](const Lane &each) { return &each == lane; });
    // Taken over by open() meanwhile.
    if (found == closed_.end()) return;
    if (more) return putDue(lane, Clock::now());
    std::unique_ptr<Lane> owned = std::move(*found);
    closed_.erase(found);
    lock.unlock();
    release(*owned);
    lock.lock();
  }

  /** A partition that comes back must not be purged: it is read anew, and librdkafka drops the stale itself. */
  void forgetClosed(const std::string &topic, int32_t partition) {
    std::unique_lock lock(mutex_);
    const auto found = findClosed([&](const Lane &e) { return e.partition == partition && e.topic == topic; });
    if (found == closed_.end()) return;
    std::unique_ptr<Lane> lane = std::move(*found);
    closed_.erase(found);
    retire(lock, lane.get());
    lock.unlock();
    release(*lane);
  }

  template <typename Matches>
  std::vector<std::unique_ptr<Lane>>::iterator findClosed(Matches matches) {
    return std::find_if(closed_.begin(), closed_.end(), [&](const auto &each) { return matches(*each); });
  }

  /** After this the read thread does not touch the lane any more. */
  void retire(std::unique_lock<std::mutex> &lock, Lane *lane) {
    lane->closed = true;
    if (lane->scheduled) takeDue(lane);
    readEnded_.wait(lock, [&] { return current_ != lane; });
  }

  /** After this librdkafka does not call for the lane any more: it calls under the lock that this takes. */
  void silence(Lane &lane) const { rdkafka_.queue_cb_event_enable(lane.queue, nullptr, nullptr); }

  void destroyLeftover(Lane &lane) const {
    for (size_t at = lane.leftoverAt; at < lane.leftover.size(); at++) rdkafka_.message_destroy(lane.leftover[at]);
    lane.leftover = {};
    lane.leftoverAt = 0;
  }

  void release(Lane &lane) const {
    destroyLeftover(lane);
    rdkafka_.queue_destroy(lane.queue);
    rdkafka_.topic_partition_list_destroy(lane.place);
  }

  const Librdkafka &rdkafka_;
  rd_kafka_t *const client_;
  const Limits limits_;
  const std::function<void()> notify_;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable readEnded_;
  bool stopping_ = false;
  const Lane *current_ = nullptr;
  std::set<Lane *, Earlier> due_;
  std::map<uint32_t, std::unique_ptr<Lane>> lanes_;  // changed by the main thread only
  std::vector<std::unique_ptr<Lane>> closed_;        // silent, waiting for their purge
  std::vector<Delivery> deliveries_;

  // The read thread's own.
  SlabPacker packer_;
  Messages popped_;
};
