// Hands over what librdkafka has fetched, partition by partition and packed into slabs, around the binding's objects.
//
// What it borrows from @confluentinc/kafka-javascript: the `rd_kafka_t *` of a connected KafkaConsumer, and librdkafka's
// C functions, out of the binding's own .node. Everything else (configuration, group, commits, statistics, the common
// queue) stays with the binding.
//
// What it must never do: link or load a librdkafka of its own; call librdkafka after the consumer began to disconnect
// (stop() comes first); read one queue from two threads; touch a JavaScript object outside of the main thread.
//
// The life of a slab: malloc on the read thread, filled there; waits in a list of bounded length; becomes the backing
// store of an ArrayBuffer on the main thread; is transferred to a worker; freed by the thread that collects the buffer.
// A slab of a lane that was closed meanwhile is freed on the main thread and never seen.
#include <nan.h>

#include "read-thread.h"
#include "src/connection.h"

namespace {

/** Reaches a protected member the one legal way: through a derived class that names it. */
struct ConnectionAccess : NodeKafka::Connection {
  static RdKafka::Handle *clientOf(NodeKafka::Connection *connection) {
    return connection->*(&ConnectionAccess::m_client);
  }
};

class PartitionQueues : public Nan::ObjectWrap {
 public:
  static NAN_MODULE_INIT(Init) {
    auto constructor = Nan::New<v8::FunctionTemplate>(New);
    constructor->SetClassName(Nan::New("PartitionQueues").ToLocalChecked());
    constructor->InstanceTemplate()->SetInternalFieldCount(1);
    Nan::SetPrototypeMethod(constructor, "open", Open);
    Nan::SetPrototypeMethod(constructor, "grant", Grant);
    Nan::SetPrototypeMethod(constructor, "close", Close);
    Nan::SetPrototypeMethod(constructor, "stop", Stop);
    Nan::Set(target, Nan::New("PartitionQueues").ToLocalChecked(), Nan::GetFunction(constructor).ToLocalChecked());
  }

 private:
  PartitionQueues(const Librdkafka &rdkafka, v8::Local<v8::Function> deliver)
      : rdkafka_(rdkafka), deliver_(deliver), resource_("millrace.PartitionQueues"), bell_(new uv_async_t) {}

  /** (client, path of the binding's .node, the client's name, recordBytesMax, readBytesMax, readRecordsMax, coalesceMs, deliver) */
  static NAN_METHOD(New) {
    Librdkafka rdkafka;
    const std::string path = *Nan::Utf8String(info[1]);
    const std::string name = *Nan::Utf8String(info[2]);
    const std::string misfit = rdkafka.load(path);
    if (!misfit.empty()) return Nan::ThrowError(misfit.c_str());
    const auto handle = info[0].As<v8::Object>();
    const bool wrapped = info[0]->IsObject() && handle->InternalFieldCount() > 0;
    if (!wrapped) return Nan::ThrowError("it is no client of the binding");
    auto *client = ConnectionAccess::clientOf(Nan::ObjectWrap::Unwrap<NodeKafka::Connection>(handle));
    if (client == nullptr) return Nan::ThrowError("the consumer is not connected");
    rd_kafka_t *const consumer = client->c_ptr();
    // The proof that the headers that we were built with describe the objects that we look into.
    if (name != rdkafka.name(consumer)) return Nan::ThrowError("the binding's client has another name in librdkafka");

    auto *self = new PartitionQueues(rdkafka, info[7].As<v8::Function>());
    self->Wrap(info.This());
    self->start(consumer, Limits{number<size_t>(info[3]), number<size_t>(info[4]), number<size_t>(info[5]),
                                 std::chrono::milliseconds(number<int64_t>(info[6]))});
    info.GetReturnValue().Set(info.This());
  }

  void start(rd_kafka_t *consumer, const Limits &limits) {
    auto *isolate = v8::Isolate::GetCurrent();
    uv_async_init(node::GetCurrentEventLoop(isolate), bell_, [](uv_async_t *bell) {
      static_cast<PartitionQueues *>(bell->data)->deliverAll();
    });
    bell_->data = this;
    // The consumer's own poll keeps the process alive; a forgotten reader shall not.
    uv_unref(reinterpret_cast<uv_handle_t *>(bell_));
    reader_ = std::make_unique<ReadThread>(rdkafka_, consumer, limits, [bell = bell_] { uv_async_send(bell); });
    // Not collected while the thread runs; ended with the environment when nobody stops it.
    Ref();
    node::AddEnvironmentCleanupHook(isolate, onCleanup, this);
  }

  /** (lane, topic, partition) */
  static NAN_METHOD(Open) {
    auto *self = Unwrap<PartitionQueues>(info.This());
    const std::string topic = *Nan::Utf8String(info[1]);
    const std::string misfit = self->reader_->open(number<uint32_t>(info[0]), topic, number<int32_t>(info[2]));
    if (!misfit.empty()) Nan::ThrowError(misfit.c_str());
  }

  /** (lane, bytes) */
  static NAN_METHOD(Grant) {
    auto *self = Unwrap<PartitionQueues>(info.This());
    self->reader_->grant(number<uint32_t>(info[0]), number<int64_t>(info[1]));
  }

  /** (lane, purge) */
  static NAN_METHOD(Close) {
    auto *self = Unwrap<PartitionQueues>(info.This());
    self->reader_->close(number<uint32_t>(info[0]), Nan::To<bool>(info[1]).FromJust());
  }

  static NAN_METHOD(Stop) {
    auto *self = Unwrap<PartitionQueues>(info.This());
    if (!self->reader_) return;
    node::RemoveEnvironmentCleanupHook(info.GetIsolate(), onCleanup, self);
    self->end();
    self->Unref();
  }

  static void onCleanup(void *self) { static_cast<PartitionQueues *>(self)->end(); }

  void end() {
    reader_->stop();
    reader_.reset();
    const auto free = [](uv_handle_t *bell) { delete reinterpret_cast<uv_async_t *>(bell); };
    uv_close(reinterpret_cast<uv_handle_t *>(bell_), free);
  }

  /** Calls JavaScript for each delivery; that may open, grant, close and stop. */
  void deliverAll() {
    auto *isolate = v8::Isolate::GetCurrent();
    Nan::HandleScope scope;
    // A stop within the loop lets go of this object; a handle on the stack keeps it until the loop has noticed.
    [[maybe_unused]] const auto self = handle();
    std::vector<Delivery> deliveries;
    reader_->takeDeliveries(deliveries);
    for (Delivery &delivery : deliveries) {
      if (!reader_) return;
      if (!reader_->isOpen(delivery.lane)) continue;
      Nan::HandleScope each;
      v8::Local<v8::Value> arguments[] = {
          Nan::New(delivery.lane),
          arrayBuffer(isolate, std::move(delivery.slab)),
          Nan::New<v8::Number>(static_cast<double>(delivery.position)),
          Nan::New(delivery.errorCode),
          Nan::New(delivery.error).ToLocalChecked(),
      };
      deliver_.Call(5, arguments, &resource_);
    }
  }

  static v8::Local<v8::Value> arrayBuffer(v8::Isolate *isolate, Slab slab) {
    if (slab.size == 0) return Nan::Null();
    auto store = v8::ArrayBuffer::NewBackingStore(
        slab.bytes.release(), slab.size, [](void *bytes, size_t, void *) { std::free(bytes); }, nullptr);
    return v8::ArrayBuffer::New(isolate, std::move(store));
  }

  template <typename Number>
  static Number number(v8::Local<v8::Value> value) {
    return static_cast<Number>(Nan::To<double>(value).FromJust());
  }

  const Librdkafka rdkafka_;
  Nan::Callback deliver_;
  Nan::AsyncResource resource_;
  uv_async_t *const bell_;
  std::unique_ptr<ReadThread> reader_;
};

}  // namespace

NAN_MODULE_INIT(initPartitionQueues) { PartitionQueues::Init(target); }
