// The C functions of the librdkafka that the binding has loaded already. Resolved from its .node at run time, because a
// second librdkafka in the process could not read the first one's objects.
#pragma once

#include <dlfcn.h>
#include <rdkafka.h>
#include <string>

#define LIBRDKAFKA_FUNCTIONS(X)                                                                                        \
  X(version)                                                                                                           \
  X(name)                                                                                                              \
  X(position)                                                                                                          \
  X(queue_get_partition)                                                                                               \
  X(queue_forward)                                                                                                     \
  X(queue_cb_event_enable)                                                                                             \
  X(queue_yield)                                                                                                       \
  X(queue_length)                                                                                                      \
  X(queue_destroy)                                                                                                     \
  X(consume_batch_queue)                                                                                               \
  X(message_destroy)                                                                                                   \
  X(message_errstr)                                                                                                    \
  X(message_headers)                                                                                                   \
  X(message_timestamp)                                                                                                 \
  X(header_get_all)                                                                                                    \
  X(topic_partition_list_new)                                                                                          \
  X(topic_partition_list_add)                                                                                          \
  X(topic_partition_list_destroy)                                                                                      \
  X(conf_new)                                                                                                          \
  X(conf_destroy)                                                                                                      \
  X(conf_set)                                                                                                          \
  X(conf_set_opaque)                                                                                                   \
  X(conf_set_dr_msg_cb)                                                                                                \
  X(conf_set_log_cb)                                                                                                   \
  X(conf_set_error_cb)                                                                                                 \
  X(opaque)                                                                                                            \
  X(destroy)                                                                                                           \
  X(topic_new)                                                                                                         \
  X(topic_destroy)                                                                                                     \
  X(queue_get_main)                                                                                                    \
  X(poll)                                                                                                              \
  X(metadata)                                                                                                          \
  X(metadata_destroy)                                                                                                  \
  X(headers_new)                                                                                                       \
  X(headers_destroy)                                                                                                   \
  X(header_add)                                                                                                        \
  X(produceva)                                                                                                         \
  X(error_code)                                                                                                        \
  X(error_destroy)                                                                                                     \
  X(err2str)

struct Librdkafka {
#define DECLARE(function) decltype(&rd_kafka_##function) function = nullptr;
  LIBRDKAFKA_FUNCTIONS(DECLARE)
#undef DECLARE
  /** `rd_kafka_new`, whose own name C++ keeps for itself. */
  decltype(&rd_kafka_new) create = nullptr;

  /** `path` is the binding's .node. Returns why it cannot be used; empty when it can. */
  std::string load(const std::string &path) {
    // NOLOAD: only a library that is in the process already will do. Linked in statically or beside it: both are found.
    void *library = dlopen(path.c_str(), RTLD_NOLOAD | RTLD_LAZY);
    if (library == nullptr) return "the binding is not loaded from " + path;
#define RESOLVE(function)                                                                                              \
  function = reinterpret_cast<decltype(function)>(dlsym(library, "rd_kafka_" #function));                              \
  if (function == nullptr) return "the binding's librdkafka has no rd_kafka_" #function;
    LIBRDKAFKA_FUNCTIONS(RESOLVE)
#undef RESOLVE
    create = reinterpret_cast<decltype(create)>(dlsym(library, "rd_kafka_new"));
    if (create == nullptr) return "the binding's librdkafka has no rd_kafka_new";
    if (version() != RD_KAFKA_VERSION) return "it was built for another librdkafka than the binding runs";
    return "";
  }
};
