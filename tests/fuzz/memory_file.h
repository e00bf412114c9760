// SPDX-License-Identifier: Apache-2.0
// A file in memory, for readers that open theirs by name.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/error.h"

namespace upres::fuzz {

class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size_bytes) : descriptor_(memfd_create("fuzz", 0)) {
    UPRES_ASSERT(write(descriptor_, data, size_bytes) == ssize_t(size_bytes),
                 "a file in memory takes what is written");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace upres::fuzz
