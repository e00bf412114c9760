// SPDX-License-Identifier: Apache-2.0
// Downloads files over HTTPS. This folder is the only code that talks to a network.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "fetch/part_file.h"

namespace upres {

/// More than any model file of the networks that are run: the largest published RRDBNet has 0.3 GB.
constexpr uint64_t kLargestDownload = uint64_t(4) << 30;

struct DownloadOptions {
  std::optional<uint64_t> size_bytes;  ///< what the file is known to have
  uint64_t max_bytes = kLargestDownload;
  std::chrono::seconds connect_timeout{30};
  std::chrono::seconds stall_timeout{30};  ///< without a byte, in all that follows connecting
  int retries = 3;                         ///< after a cut, a stall or a server's passing failure
  std::chrono::milliseconds pause{
      500};  ///< before the first retry; twice as long before each other
};

struct DownloadProgress {
  uint64_t bytes_done;
  uint64_t bytes_total;   ///< 0 when not known
  uint64_t bytes_before;  ///< of those done: what was there when this run began
};

struct DownloadEvents {
  std::function<void(const DownloadProgress&)> progress;
  std::function<void(const std::string&)> notice;  ///< what went wrong, before a retry
};

/// Downloads all of `url` into `part`, going on with what is there where it is a part of the same
/// file: by the URL, and by the server, which is asked whether its file is still the same one
/// (If-Range). What the file holds is for the caller to check.
///
/// Only https is spoken, redirects included, and certificates are checked against the system's, or
/// those of $SSL_CERT_FILE. A proxy is taken from the environment as libcurl does.
///
/// Error{network} when the server cannot be reached, refuses, or still fails after the retries;
/// Error{model} when the file has another size than it should; Error{output} when the disk has no
/// room; Error{interrupted} after a stop request. In all of these `part` keeps its bytes.
void download(const std::string& url, PartFile& part, const DownloadOptions& options,
              const DownloadEvents& events, const std::stop_token& stop);

}  // namespace upres
