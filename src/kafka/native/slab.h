// Packs librdkafka's messages into a slab. The layout is described in ../slab.ts; both must change together.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "librdkafka.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a slab is little-endian");

struct FreeBytes {
  void operator()(char *bytes) const { std::free(bytes); }
};

struct Slab {
  std::unique_ptr<char, FreeBytes> bytes;
  size_t size = 0;
};

class SlabPacker {
 public:
  static constexpr size_t prefixBytes = 16;
  static constexpr size_t columnBytesPerRecord = 8 + 8 + 4 + 4 + 4 + 4;

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
  static constexpr uint32_t magic = 0x3142534d;

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
