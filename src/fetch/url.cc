// SPDX-License-Identifier: Apache-2.0
#include "fetch/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <memory>

#include "base/error.h"

namespace upres {
namespace {

using Url = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;
using Text = std::unique_ptr<char, decltype(&curl_free)>;

// File systems take 255 bytes; .part.json and what AtomicFile puts around a name need theirs.
constexpr size_t kLongestName = 200;

Url parse(const std::string& url) {
  Url parsed(curl_url(), curl_url_cleanup);
  if (!parsed) throw std::bad_alloc();
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) !=
      CURLUE_OK) {
    fail(ErrorCode::usage, "{} is not a URL", url);
  }
  return parsed;
}

std::string part(const Url& url, CURLUPart which) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, 0) != CURLUE_OK) return "";
  return Text(text, curl_free).get();
}

std::string decoded(const std::string& text) {
  int length = 0;
  const Text result(curl_easy_unescape(nullptr, text.c_str(), int(text.size()), &length),
                    curl_free);
  if (!result) throw std::bad_alloc();
  return {result.get(), size_t(length)};  // %00 makes it hold zeros
}

bool is_plain_name(const std::string& name) {
  const auto is_bad = [](unsigned char c) { return c < ' ' || c == 127 || c == '/' || c == '\\'; };
  return !name.empty() && name.size() <= kLongestName && !name.starts_with(".") &&
         !name.starts_with("-") && std::none_of(name.begin(), name.end(), is_bad) &&
         !name.ends_with(".part") && !name.ends_with(".part.json");
}

}  // namespace

void check_url(const std::string& url) {
  if (part(parse(url), CURLUPART_SCHEME) != "https") {
    fail(ErrorCode::usage, "{}: only https:// URLs are downloaded", url);
  }
}

std::string file_name_of(const std::string& url) {
  const std::string path = part(parse(url), CURLUPART_PATH);
  std::string name = decoded(path.substr(path.rfind('/') + 1));
  if (!is_plain_name(name)) {
    fail(ErrorCode::usage, "{} does not end in a name for a file; download it by hand", url);
  }
  return name;
}

}  // namespace upres
