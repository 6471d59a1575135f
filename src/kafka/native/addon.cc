// Our addon: two classes around librdkafka, each described in its own file.
#include <nan.h>

NAN_MODULE_INIT(initPartitionQueues);
NAN_MODULE_INIT(initRecordProducer);

NAN_MODULE_INIT(initAddon) {
  Nan::Set(target, Nan::New("bindingVersion").ToLocalChecked(), Nan::New(BINDING_VERSION).ToLocalChecked());
  initPartitionQueues(target);
  initRecordProducer(target);
}

NODE_MODULE(kafka_addon, initAddon)
