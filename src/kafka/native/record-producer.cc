// Produces the records of slabs to one topic, on a client of its own: the binding makes a V8 object of each record, of each
// of its headers and of each delivery report, some 140 us of a dead letter with its 21 headers.
//
// What it borrows from @confluentinc/kafka-javascript: librdkafka's C functions, out of the binding's own .node, nothing else.
//
// The life of a slab: an ArrayBuffer that the caller changes no more; its bytes are kept by the request until librdkafka has
// reported each record, and let go of on the main thread.
#include <nan.h>

#include "produce-thread.h"

namespace {

class RecordProducer : public Nan::ObjectWrap {
 public:
  static NAN_MODULE_INIT(Init) {
    auto constructor = Nan::New<v8::FunctionTemplate>(New);
    constructor->SetClassName(Nan::New("RecordProducer").ToLocalChecked());
    constructor->InstanceTemplate()->SetInternalFieldCount(1);
    Nan::SetPrototypeMethod(constructor, "connect", Connect);
    Nan::SetPrototypeMethod(constructor, "send", Send);
    Nan::SetPrototypeMethod(constructor, "end", End);
    Nan::Set(target, Nan::New("RecordProducer").ToLocalChecked(), Nan::GetFunction(constructor).ToLocalChecked());
  }

 private:
  explicit RecordProducer(v8::Local<v8::Function> answer)
      : answer_(answer), resource_("millrace.RecordProducer"), bell_(new uv_async_t) {}

  /** (path of the binding's .node, topic, [name, value, name, value, ...], answer) */
  static NAN_METHOD(New) {
    Librdkafka rdkafka;
    const std::string misfit = rdkafka.load(*Nan::Utf8String(info[0]));
    if (!misfit.empty()) return Nan::ThrowError(misfit.c_str());
    auto *self = new RecordProducer(info[3].As<v8::Function>());
    self->Wrap(info.This());
    const std::string refusal = self->start(rdkafka, settingsOf(info[2].As<v8::Array>()), *Nan::Utf8String(info[1]));
    if (!refusal.empty()) return Nan::ThrowError(refusal.c_str());
    info.GetReturnValue().Set(info.This());
  }

  static Settings settingsOf(v8::Local<v8::Array> flat) {
    const auto text = [&](uint32_t index) -> std::string {
      return *Nan::Utf8String(Nan::Get(flat, index).ToLocalChecked());
    };
    Settings settings;
    for (uint32_t index = 0; index + 1 < flat->Length(); index += 2) settings.emplace_back(text(index), text(index + 1));
    return settings;
  }

  std::string start(const Librdkafka &rdkafka, const Settings &settings, const std::string &topic) {
    auto *isolate = v8::Isolate::GetCurrent();
    uv_async_init(node::GetCurrentEventLoop(isolate), bell_, [](uv_async_t *bell) {
      static_cast<RecordProducer *>(bell->data)->answerAll();
    });
    bell_->data = this;
    uv_unref(reinterpret_cast<uv_handle_t *>(bell_));
    thread_ = std::make_unique<ProduceThread>(rdkafka, [bell = bell_] { uv_async_send(bell); });
    // Not collected while the thread runs; ended with the environment when nobody ends it.
    Ref();
    node::AddEnvironmentCleanupHook(isolate, onCleanup, this);
    const std::string refusal = thread_->start(settings, topic);
    if (!refusal.empty()) close();
    return refusal;
  }

  /** (request, withinMs) */
  static NAN_METHOD(Connect) { ask(info, {ProduceRequest::Kind::connect, number<uint32_t>(info[0]), milliseconds(info[1])}); }

  /** (request, slab) */
  static NAN_METHOD(Send) {
    // Shared with the buffer, which may be collected meanwhile.
    std::shared_ptr<v8::BackingStore> bytes = info[1].As<v8::ArrayBuffer>()->GetBackingStore();
    const auto *slab = static_cast<const char *>(bytes->Data());
    const size_t size = bytes->ByteLength();
    ask(info, {ProduceRequest::Kind::send, number<uint32_t>(info[0]), {}, slab, size, std::move(bytes)});
  }

  /** (request, withinMs): nothing may be asked afterwards. */
  static NAN_METHOD(End) {
    auto *self = Unwrap<RecordProducer>(info.This());
    self->endId_ = number<uint32_t>(info[0]);
    ask(info, {ProduceRequest::Kind::end, self->endId_, milliseconds(info[1])});
  }

  static void ask(const Nan::FunctionCallbackInfo<v8::Value> &info, ProduceRequest request) {
    auto *self = Unwrap<RecordProducer>(info.This());
    if (!self->thread_) return Nan::ThrowError("the producer has ended");
    // Whoever waits for an answer keeps the process alive.
    if (self->unanswered_++ == 0) uv_ref(reinterpret_cast<uv_handle_t *>(self->bell_));
    self->thread_->ask(std::move(request));
  }

  /** Calls JavaScript for each answer; that may ask anew. */
  void answerAll() {
    Nan::HandleScope scope;
    [[maybe_unused]] const auto self = handle();
    std::vector<ProduceAnswer> answers;
    thread_->takeAnswers(answers);
    for (const ProduceAnswer &answer : answers) {
      if (--unanswered_ == 0) uv_unref(reinterpret_cast<uv_handle_t *>(bell_));
      if (answer.id == endId_) close();
      Nan::HandleScope each;
      auto tooLarge = Nan::New<v8::Array>(static_cast<int>(answer.tooLarge.size()));
      for (uint32_t at = 0; at < answer.tooLarge.size(); at++) Nan::Set(tooLarge, at, Nan::New(answer.tooLarge[at]));
      v8::Local<v8::Value> arguments[] = {Nan::New(answer.id), Nan::New(answer.errorCode),
                                          Nan::New(answer.error).ToLocalChecked(), tooLarge};
      answer_.Call(4, arguments, &resource_);
    }
  }

  /** Once. The thread has ended, or gives up what it has under way. */
  void close() {
    node::RemoveEnvironmentCleanupHook(v8::Isolate::GetCurrent(), onCleanup, this);
    end();
    Unref();
  }

  static void onCleanup(void *self) { static_cast<RecordProducer *>(self)->end(); }

  void end() {
    thread_.reset();
    uv_close(reinterpret_cast<uv_handle_t *>(bell_), [](uv_handle_t *bell) { delete reinterpret_cast<uv_async_t *>(bell); });
  }

  template <typename Number>
  static Number number(v8::Local<v8::Value> value) {
    return static_cast<Number>(Nan::To<double>(value).FromJust());
  }

  static std::chrono::milliseconds milliseconds(v8::Local<v8::Value> value) {
    return std::chrono::milliseconds(number<int64_t>(value));
  }

  Nan::Callback answer_;
  Nan::AsyncResource resource_;
  uv_async_t *const bell_;
  std::unique_ptr<ProduceThread> thread_;
  uint32_t unanswered_ = 0;
  uint32_t endId_ = 0;  // of no request until there is one: they begin with 1
};

}  // namespace

NAN_MODULE_INIT(initRecordProducer) { RecordProducer::Init(target); }
