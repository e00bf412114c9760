// SPDX-License-Identifier: Apache-2.0
#include "base/system.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <system_error>

namespace upres {
namespace {

/// What follows `key`, blanks and a colon in the first line of `file` that starts with `key`.
std::string line_of(const char* file, const std::string& key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (!line.starts_with(key)) continue;
    const size_t value = line.find_first_not_of(" \t:", key.size());
    return value == std::string::npos ? "" : line.substr(value);
  }
  return "";
}

/// A file that holds one number; nothing when it is missing or holds a word ("max").
std::optional<size_t> number_in(const char* file) {
  std::ifstream stream(file);
  size_t number = 0;
  return stream >> number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::filesystem::path program_path() {
  std::error_code unknown;
  return std::filesystem::read_symlink("/proc/self/exe", unknown);
}

size_t total_memory() {
  const std::string kibibytes = line_of("/proc/meminfo", "MemTotal");
  const size_t total = kibibytes.empty() ? SIZE_MAX : size_t(std::stoull(kibibytes)) * 1024;
  return std::min(total, number_in("/sys/fs/cgroup/memory.max").value_or(SIZE_MAX));
}

size_t available_memory() {
  const std::string kibibytes = line_of("/proc/meminfo", "MemAvailable");
  size_t available = kibibytes.empty() ? SIZE_MAX : size_t(std::stoull(kibibytes)) * 1024;
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (limit && used) available = std::min(available, *limit > *used ? *limit - *used : 0);
  return available;
}

size_t resident_memory() {
  const std::string kibibytes = line_of("/proc/self/status", "VmRSS");
  return kibibytes.empty() ? 0 : size_t(std::stoull(kibibytes)) * 1024;
}

int processor_count() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::string processor_name() {
  const std::string name = line_of("/proc/cpuinfo", "model name");
  return name.empty() ? "processor" : name;
}

std::string instruction_sets() {
  std::string sets;
#if defined(__x86_64__)
  const auto add = [&](bool has, const char* name) {
    if (!has) return;
    if (!sets.empty()) sets += ' ';
    sets += name;
  };
  add(__builtin_cpu_supports("sse4.1") != 0, "SSE4.1");
  add(__builtin_cpu_supports("avx2") != 0, "AVX2");
  add(__builtin_cpu_supports("fma") != 0, "FMA");
  add(__builtin_cpu_supports("avx512f") != 0, "AVX-512");
  add(__builtin_cpu_supports("avx512vnni") != 0, "VNNI");
  add(__builtin_cpu_supports("avx512bf16") != 0, "BF16");
#endif
  return sets;
}

std::string nvidia_driver_version() {
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54  ..."
  std::ifstream file("/proc/driver/nvidia/version");
  for (std::string word; file >> word;) {
    if (std::isdigit(static_cast<unsigned char>(word[0])) && word.find('.') != std::string::npos) {
      return word;
    }
  }
  return "";
}

void start_with_patient_threads(char** argv) {
  constexpr const char* kPolicy = "OMP_WAIT_POLICY";
  if (getenv(kPolicy)) return;
  setenv(kPolicy, "passive", 1);
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv(program_path().c_str(), argv);  // where that is not possible it comes back: then they spin
}

}  // namespace upres
