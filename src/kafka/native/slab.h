// Packs librdkafka's messages into a slab, and reads one. The layout is described in ../slab.ts; both must change together.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "librdkafka.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a slab is little-endian");

/** The prefix and the columns of every slab, before its bytes. */
struct SlabLayout {
  static constexpr uint32_t magic = 0x3142534d;
  static constexpr size_t prefixBytes = 16;
  static constexpr size_t columnBytesPerRecord = 8 + 8 + 4 + 4 + 4 + 4;
};

struct FreeBytes {
  void operator()(char *bytes) const { std::free(bytes); }
};

struct Slab {
  std::unique_ptr<char, FreeBytes> bytes;
  size_t size = 0;
};

class SlabPacker : SlabLayout {
 public:
  using SlabLayout::prefixBytes;

  explicit SlabPacker(const Librdkafka &rdkafka) : rdkafka_(rdkafka) {}

  void clear() {
    messages_.clear();
    headerBytes_.clear();
    bytes_ = prefixBytes;
  }

  size_t count() const { return messages_.size(); }
  size_t bytes() const { return bytes_; }

  /** Takes the message into the slab to come, unless that would exceed `bytesMax`; a first one is always taken. */
  bool add(const rd_kafka_message_t *message, size_t bytesMax) {
    const size_t headers = headerBytes(message);
    const size_t record = columnBytesPerRecord + message->key_len + message->len + headers;
    if (!messages_.empty() && bytes_ + record > bytesMax) return false;
    messages_.push_back(message);
    headerBytes_.push_back(static_cast<uint32_t>(headers));
    bytes_ += record;
    return true;
  }

  Slab pack() const {
    Slab slab{std::unique_ptr<char, FreeBytes>(static_cast<char *>(std::malloc(bytes_))), bytes_};
    char *base = slab.bytes.get();
    if (base == nullptr) std::abort();  // out of memory: nothing can go on
    const uint32_t count = static_cast<uint32_t>(messages_.size());
    const uint32_t prefix[4] = {magic, count, static_cast<uint32_t>(bytes_), 0};
    std::memcpy(base, prefix, sizeof prefix);
    auto *offsets = reinterpret_cast<int64_t *>(base + prefixBytes);
    auto *timestamps = offsets + count;
    auto *starts = reinterpret_cast<uint32_t *>(timestamps + count);
    auto *keyBytes = reinterpret_cast<int32_t *>(starts + count);
    auto *valueBytes = keyBytes + count;
    auto *headerBytes = reinterpret_cast<uint32_t *>(valueBytes + count);

    char *at = base + prefixBytes + count * columnBytesPerRecord;
    for (uint32_t index = 0; index < count; index++) {
      const rd_kafka_message_t *message = messages_[index];
      offsets[index] = message->offset;
      timestamps[index] = timestamp(message);
      starts[index] = static_cast<uint32_t>(at - base);
      keyBytes[index] = message->key == nullptr ? -1 : static_cast<int32_t>(message->key_len);
      valueBytes[index] = message->payload == nullptr ? -1 : static_cast<int32_t>(message->len);
      headerBytes[index] = headerBytes_[index];
      at = copy(at, message->key, message->key_len);
      at = copy(at, message->payload, message->len);
      if (headerBytes_[index] > 0) at = copyHeaders(at, message);
    }
    return slab;
  }

 private:
  static char *copy(char *at, const void *from, size_t length) {
    if (length > 0) std::memcpy(at, from, length);
    return at + length;
  }

  template <typename Number>
  static char *copyNumber(char *at, Number number) {
    std::memcpy(at, &number, sizeof number);
    return at + sizeof number;
  }

  int64_t timestamp(const rd_kafka_message_t *message) const {
    rd_kafka_timestamp_type_t type;
    const int64_t milliseconds = rdkafka_.message_timestamp(message, &type);
    return type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? -1 : milliseconds;
  }

  size_t headerBytes(const rd_kafka_message_t *message) const {
    size_t bytes = 0;
    forEachHeader(message, [&](const char *, size_t nameLength, const void *, size_t valueLength) {
      bytes += 8 + nameLength + valueLength;
    });
    return bytes;
  }

  char *copyHeaders(char *at, const rd_kafka_message_t *message) const {
    forEachHeader(message, [&](const char *name, size_t nameLength, const void *value, size_t valueLength) {
      at = copyNumber(at, static_cast<uint32_t>(nameLength));
      at = copy(at, name, nameLength);
      at = copyNumber(at, value == nullptr ? -1 : static_cast<int32_t>(valueLength));
      at = copy(at, value, valueLength);
    });
    return at;
  }

  template <typename Visit>
  void forEachHeader(const rd_kafka_message_t *message, Visit visit) const {
    rd_kafka_headers_t *headers;
    if (rdkafka_.message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const char *name;
    const void *value;
    size_t valueLength;
    for (size_t index = 0; rdkafka_.header_get_all(headers, index, &name, &value, &valueLength) == 0; index++) {
      visit(name, std::strlen(name), value, value == nullptr ? 0 : valueLength);
    }
  }

  const Librdkafka &rdkafka_;
  std::vector<const rd_kafka_message_t *> messages_;
  std::vector<uint32_t> headerBytes_;
  size_t bytes_ = prefixBytes;
};

/** Bytes of a record; `at` is null where the record has null. */
struct Span {
  const char *at;
  size_t length;
};

/** A slab's records in place. The bytes must outlive it. */
class SlabReader : SlabLayout {
 public:
  SlabReader(const char *base, size_t size) {
    uint32_t prefix[4] = {};
    if (size >= prefixBytes) std::memcpy(prefix, base, sizeof prefix);
    const bool whole = prefix[0] == magic && prefix[2] == size &&
                       prefixBytes + prefix[1] * columnBytesPerRecord <= size;
    if (!whole) return;
    base_ = base;
    count_ = prefix[1];
    timestamps_ = reinterpret_cast<const int64_t *>(base + prefixBytes) + count_;
    starts_ = reinterpret_cast<const uint32_t *>(timestamps_ + count_);
    keyBytes_ = reinterpret_cast<const int32_t *>(starts_ + count_);
    valueBytes_ = keyBytes_ + count_;
    headerBytes_ = reinterpret_cast<const uint32_t *>(valueBytes_ + count_);
    for (uint32_t index = 0; index < count_; index++) {
      if (starts_[index] + length(index) > size) base_ = nullptr;
    }
  }

  /** False when the bytes are no slab: then nothing else may be asked. */
  bool valid() const { return base_ != nullptr; }
  uint32_t count() const { return count_; }
  int64_t timestamp(uint32_t index) const { return timestamps_[index]; }
  Span key(uint32_t index) const { return span(base_ + starts_[index], keyBytes_[index]); }
  Span value(uint32_t index) const { return span(valueAt(index), valueBytes_[index]); }

  /** `visit(name, value)` for each header, in their order. */
  template <typename Visit>
  void forEachHeader(uint32_t index, Visit visit) const {
    const char *at = valueAt(index) + std::max(0, valueBytes_[index]);
    const char *const end = at + headerBytes_[index];
    while (at < end) {
      const Span name = span(at + 4, readNumber(at));
      const char *const afterName = name.at + name.length;
      const Span value = span(afterName + 4, readNumber(afterName));
      at = afterName + 4 + value.length;
      visit(name, value);
    }
  }

 private:
  size_t length(uint32_t index) const {
    return static_cast<size_t>(std::max(0, keyBytes_[index])) + std::max(0, valueBytes_[index]) + headerBytes_[index];
  }

  const char *valueAt(uint32_t index) const { return base_ + starts_[index] + std::max(0, keyBytes_[index]); }

  static Span span(const char *at, int32_t length) {
    return length < 0 ? Span{nullptr, 0} : Span{at, static_cast<size_t>(length)};
  }

  static int32_t readNumber(const char *at) {
    int32_t number;
    std::memcpy(&number, at, sizeof number);
    return number;
  }

  const char *base_ = nullptr;
  uint32_t count_ = 0;
  const int64_t *timestamps_ = nullptr;
  const uint32_t *starts_ = nullptr;
  const int32_t *keyBytes_ = nullptr;
  const int32_t *valueBytes_ = nullptr;
  const uint32_t *headerBytes_ = nullptr;
};
