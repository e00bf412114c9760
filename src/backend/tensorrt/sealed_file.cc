// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/sealed_file.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/hash.h"

namespace upres::tensorrt {
namespace {

constexpr std::string_view kMagic = "upres sealed file 1\n";
constexpr std::string_view kSeal = "sha256 ";
constexpr size_t kDigits = 64;
constexpr size_t kHeaderSize = kMagic.size() + kSeal.size() + kDigits + 1;
constexpr size_t kMostFacts = 64;
constexpr size_t kMostFactsBytes = 64 << 10;

constexpr const char* kForeign = "is no file of upres";
constexpr const char* kDamaged = "is damaged";

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// What stands before the bytes that are sealed.
std::string header_of(std::span<const std::byte> sealed) {
  return fmt::format("{}{}{}\n", kMagic, kSeal, sha256_hex(sealed));
}

/// Facts and where the bytes behind them begin; nothing when they are not written as facts are.
std::optional<std::pair<Facts, size_t>> parse_facts(std::string_view text) {
  Facts facts;
  for (size_t at = 0; at < std::min(text.size(), kMostFactsBytes);) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    if (end == at) return std::pair(std::move(facts), end + 1);
    const std::string_view line = text.substr(at, end - at);
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || facts.size() == kMostFacts) break;
    facts.emplace_back(line.substr(0, blank), line.substr(blank + 1));
    at = end + 1;
  }
  return std::nullopt;
}

/// Null and why, when the file cannot be read or is too small or foreign.
std::variant<MappedFile, Fault> open(const std::filesystem::path& path) {
  try {
    MappedFile file = MappedFile::open(path, ErrorCode::input);
    const std::string_view text = text_of(file.bytes());
    if (!text.starts_with(kMagic)) return kForeign;
    if (text.size() < kHeaderSize) return kDamaged;
    return file;
  } catch (const Error&) {
    return "cannot be read";
  }
}

}  // namespace

std::string fact(const Facts& facts, const std::string& name) {
  for (const auto& [one, text] : facts) {
    if (one == name) return text;
  }
  return "";
}

void write_sealed(const std::filesystem::path& path, const Facts& facts,
                  std::span<const std::byte> bytes) {
  std::string sealed;
  for (const auto& [name, text] : facts) {
    sealed += name + " ";
    for (const char c : text) sealed += c == '\n' ? ' ' : c;
    sealed += '\n';
  }
  sealed += '\n';
  sealed += text_of(bytes);
  const std::string header = header_of(std::as_bytes(std::span(sealed)));
  AtomicFile file(path, Existing::replace);
  file.write(std::as_bytes(std::span(header)));
  file.write(std::as_bytes(std::span(sealed)));
  file.commit();
}

std::variant<Sealed, Fault> read_sealed(const std::filesystem::path& path) {
  auto opened = open(path);
  if (auto* fault = std::get_if<Fault>(&opened)) return std::move(*fault);
  MappedFile& file = std::get<MappedFile>(opened);
  const std::string_view text = text_of(file.bytes());
  const std::span<const std::byte> sealed = file.bytes().subspan(kHeaderSize);
  if (text.substr(0, kHeaderSize) != header_of(sealed)) return kDamaged;
  auto facts = parse_facts(text_of(sealed));
  if (!facts) return kDamaged;
  return Sealed{std::move(file), std::move(facts->first), sealed.subspan(facts->second)};
}

std::variant<Facts, Fault> read_facts(const std::filesystem::path& path) {
  auto opened = open(path);
  if (auto* fault = std::get_if<Fault>(&opened)) return std::move(*fault);
  auto facts = parse_facts(text_of(std::get<MappedFile>(opened).bytes()).substr(kHeaderSize));
  if (!facts) return kDamaged;
  return std::move(facts->first);
}

}  // namespace upres::tensorrt
