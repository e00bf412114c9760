// SPDX-License-Identifier: Apache-2.0
// What has the functions of TensorRT and of its parser, as far as they are looked for. It says that
// it is the version in FAKE_TENSORRT.
#include <cstdlib>

extern "C" {

int getInferLibVersion() {
  const char* version = std::getenv("FAKE_TENSORRT");
  return version ? std::atoi(version) : 0;
}
void* createInferBuilder_INTERNAL(void*, int) {
  return nullptr;
}
void* createInferRuntime_INTERNAL(void*, int) {
  return nullptr;
}
void* createNvOnnxParser_INTERNAL(void*, void*, int) {
  return nullptr;
}
}
