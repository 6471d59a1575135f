{
  'variables': {
    'binding%': "<!(node -p \"path.dirname(require.resolve('@confluentinc/kafka-javascript/package.json'))\")",
    'sanitize%': '',
  },
  'targets': [
    {
      'target_name': 'kafka_addon',
      'sources': ['addon.cc', 'partition-queues.cc', 'record-producer.cc'],
      'include_dirs': [
        "<!(node -e \"require('nan')\")",
        '<(binding)',
        '<(binding)/deps/librdkafka/src',
        '<(binding)/deps/librdkafka/src-cpp',
      ],
      # The headers that the layout of the binding's objects is taken from; compared with what runs, at load.
      'defines': ["BINDING_VERSION=\"<!(node -p \"require('@confluentinc/kafka-javascript/package.json').version\")\""],
      'cflags_cc': ['-std=c++20', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Wno-cast-function-type',
                    '-Wno-ignored-qualifiers'],
      'cflags_cc!': ['-fno-rtti', '-fno-exceptions'],
      'conditions': [
        ['OS=="mac"', {
          'xcode_settings': {
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++20',
            'GCC_ENABLE_CPP_RTTI': 'YES',
            'GCC_ENABLE_CPP_EXCEPTIONS': 'YES',
            'MACOSX_DEPLOYMENT_TARGET': '11.0',
          },
        }],
        ['sanitize!=""', {
          'cflags_cc': ['-fsanitize=<(sanitize)', '-g', '-O1', '-fno-omit-frame-pointer'],
          'ldflags': ['-fsanitize=<(sanitize)'],
        }],
      ],
    },
  ],
}
