// SPDX-License-Identifier: Apache-2.0
#include "backend/tensorrt/key.h"

#include "base/hash.h"

namespace upres::tensorrt {
namespace {

constexpr size_t kNameDigits = 32;

struct Field {
  const char* name;
  std::string EngineKey::*text;
  bool changes_with_time;
};

constexpr Field kFields[] = {
    {"graph", &EngineKey::graph, false},     {"precision", &EngineKey::precision, false},
    {"profile", &EngineKey::profile, false}, {"gpu", &EngineKey::gpu, false},
    {"driver", &EngineKey::driver, true},    {"library", &EngineKey::library, false},
    {"version", &EngineKey::version, true},
};

const char* or_none(const std::string& text) {
  return text.empty() ? "none" : text.c_str();
}

}  // namespace

std::string file_name(const EngineKey& key) {
  std::string text;
  for (const Field& field : kFields) {
    if (!field.changes_with_time) text += key.*field.text + "\n";
  }
  return sha256_hex(std::as_bytes(std::span(text))).substr(0, kNameDigits);
}

Facts facts_of(const EngineKey& key) {
  Facts facts;
  for (const Field& field : kFields) facts.emplace_back(field.name, key.*field.text);
  return facts;
}

EngineKey key_of(const Facts& facts) {
  EngineKey key;
  for (const Field& field : kFields) key.*field.text = fact(facts, field.name);
  return key;
}

std::string difference(const EngineKey& found, const EngineKey& wanted) {
  if (found.graph != wanted.graph) return "is another network's";
  for (const Field& field : kFields) {
    if (found.*field.text == wanted.*field.text) continue;
    return fmt::format("is for {} {}, and this is {}", field.name, or_none(found.*field.text),
                       or_none(wanted.*field.text));
  }
  UPRES_ASSERT(false, "only keys that differ are asked for their difference");
}

}  // namespace upres::tensorrt
