// SPDX-License-Identifier: Apache-2.0
#include "upscale/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTitle = "upres journal 1";

fs::path file_in(const fs::path& folder) {
  return folder / "journal";
}

[[noreturn]] void fail_writing(const fs::path& path, int error) {
  fail(ErrorCode::output, "cannot write {}: {}", path.string(), std::strerror(error));
}

/// Opens a journal and keeps other processes from it.
int open_locked(const fs::path& folder, int flags) {
  const fs::path file = file_in(folder);
  const int descriptor = ::open(file.c_str(), flags | O_RDWR | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) fail_writing(file, errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    ::close(descriptor);
    fail(ErrorCode::output, "another upres is at work in {}; wait for it, or choose another -o",
         folder.string());
  }
  return descriptor;
}

/// Has a new name in a folder survive a power loss.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

/// Values may hold anything: line breaks and backslashes are written as \n and \\.
std::string escaped(const std::string& text) {
  std::string made;
  for (const char c : text) {
    if (c == '\n') {
      made += "\\n";
    } else {
      if (c == '\\') made += '\\';
      made += c;
    }
  }
  return made;
}

std::string plan_line(const std::pair<std::string, std::string>& item) {
  return "plan " + item.first + " " + escaped(item.second);
}

/// "plan --crf 17" -> "--crf".
std::string name_in(const std::string& line) {
  std::istringstream words(line);
  std::string word;
  words >> word >> word;
  return word;
}

std::string value_in(const std::string& line) {
  const size_t at = line.find(' ', line.find(' ') + 1);
  return at == std::string::npos ? "" : line.substr(at + 1);
}

void compare_plans(const std::vector<std::string>& there, const FilmRunPlan& plan) {
  for (size_t i = 0; i < std::max(there.size(), plan.size()); ++i) {
    const std::string before = i < there.size() ? there[i] : "";
    const std::string now = i < plan.size() ? plan_line(plan[i]) : "";
    if (before == now) continue;
    const std::string name = name_in(now.empty() ? before : now);
    fail(
        ErrorCode::usage,
        "--resume goes on with the plan of the interrupted run only, and {} is another one: it was "
        "\"{}\" and is \"{}\"; give the same command, or begin anew with --overwrite",
        name, value_in(before), value_in(now));
  }
}

}  // namespace

fs::path Journal::folder_of(const fs::path& output) {
  fs::path folder = output;
  folder += ".part";
  return folder;
}

Journal::Journal(fs::path folder, int descriptor)
    : folder_(std::move(folder)), descriptor_(descriptor) {}

Journal::Journal(Journal&& other) noexcept
    : folder_(std::move(other.folder_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      segments_(std::move(other.segments_)) {}

Journal::~Journal() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Journal Journal::begin(const fs::path& output, const FilmRunPlan& plan) {
  const fs::path folder = folder_of(output);
  std::error_code error;
  fs::create_directory(folder, error);
  if (error) fail_writing(folder, error.value());
  Journal journal(folder, open_locked(folder, O_CREAT));
  if (::ftruncate(journal.descriptor_, 0) != 0) fail_writing(file_in(folder), errno);
  fs::remove(journal.packets(), error);
  std::string text = std::string(kTitle) + "\n";
  for (const auto& item : plan) text += plan_line(item) + "\n";
  journal.append(text + "segments\n");
  sync_folder(folder);
  return journal;
}

Journal Journal::resume(const fs::path& output, const FilmRunPlan& plan) {
  const fs::path folder = folder_of(output);
  std::error_code error;
  if (!fs::exists(file_in(folder), error)) {
    fail(ErrorCode::output, "there is nothing to resume: no {}; leave --resume out",
         folder.string());
  }
  Journal journal(folder, open_locked(folder, 0));
  std::ifstream file(file_in(folder));
  std::string line;
  std::vector<std::string> there;
  bool whole = false;
  if (std::getline(file, line) && line == kTitle) {
    while (std::getline(file, line) && line.starts_with("plan ")) there.push_back(line);
    whole = line == "segments";
  }
  if (!whole) {
    fail(ErrorCode::output, "{} is no journal of this upres; begin anew with --overwrite",
         file_in(folder).string());
  }
  compare_plans(there, plan);
  int64_t kept = file.tellg();
  while (std::getline(file, line) && !file.eof()) {  // a last line without its end was cut off
    Segment segment;
    std::istringstream words(line);
    std::string word;
    if (!(words >> word >> segment.frames >> segment.duplicates >> segment.end_bytes >>
          segment.reorder)) {
      break;
    }
    journal.segments_.push_back(segment);
    kept = file.tellg();
  }
  if (::ftruncate(journal.descriptor_, kept) != 0) fail_writing(file_in(folder), errno);
  return journal;
}

int64_t Journal::frames() const {
  int64_t sum = 0;
  for (const Segment& segment : segments_) sum += segment.frames;
  return sum;
}

void Journal::append(const std::string& text) {
  const ssize_t written = ::write(descriptor_, text.data(), text.size());
  if (written != ssize_t(text.size()) || ::fdatasync(descriptor_) != 0) {
    fail_writing(file_in(folder_), written < 0 ? errno : ENOSPC);
  }
}

void Journal::add(const Segment& segment) {
  append(fmt::format("segment {} {} {} {}\n", segment.frames, segment.duplicates, segment.end_bytes,
                     segment.reorder));
  segments_.push_back(segment);
}

void Journal::remove() {
  std::error_code error;
  fs::remove_all(folder_, error);
}

}  // namespace upres
