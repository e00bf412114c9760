// SPDX-License-Identifier: Apache-2.0
#include "fetch/download.h"

#include <curl/curl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "fetch/url.h"

namespace upres {
namespace {

constexpr long kOk = 200;
constexpr long kPartialContent = 206;
constexpr long kRequestTimeout = 408;
constexpr long kRangeNotSatisfiable = 416;
constexpr long kTooManyRequests = 429;

constexpr long kMostRedirects = 10;

using Handle = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

Handle make_handle() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  Handle handle(ready == CURLE_OK ? curl_easy_init() : nullptr, curl_easy_cleanup);
  if (!handle) fail(ErrorCode::network, "libcurl cannot be started");
  return handle;
}

/// The certificates to check with; nullptr: libcurl's own. Where they lie is built into libcurl,
/// which may have come with upres from another distribution.
const char* certificates() {
  if (const char* named = std::getenv("SSL_CERT_FILE")) return named;
  for (const char* file : {"/etc/ssl/certs/ca-certificates.crt",         // Debian, Arch
                           "/etc/pki/tls/certs/ca-bundle.crt",           // Fedora
                           "/var/lib/ca-certificates/ca-bundle.pem"}) {  // openSUSE
    if (access(file, R_OK) == 0) return file;
  }
  return nullptr;
}

double megabytes(uint64_t bytes) {
  return double(bytes) / 1e6;
}

/// What may be gone when asked again.
bool is_passing(CURLcode result, long status) {
  switch (result) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      return true;
    case CURLE_HTTP_RETURNED_ERROR:
      return status >= 500 || status == kRequestTimeout || status == kTooManyRequests ||
             status == kRangeNotSatisfiable;
    default:
      return false;
  }
}

/// A request that did not bring the file.
struct Failure {
  std::string reason;
  bool passing = false;
};

/// One request for a file, or for the rest of it.
class Request {
 public:
  Request(const std::string& url, PartFile& part, const DownloadOptions& options,
          const DownloadEvents& events, uint64_t& bytes_before, const std::stop_token& stop)
      : url_(url),
        part_(part),
        options_(options),
        events_(events),
        bytes_before_(bytes_before),
        stop_(stop),
        url_sha256_(sha256_hex(std::as_bytes(std::span(url)))) {}

  /// Whether all bytes are there already.
  bool is_whole() const { return continues() && part_.size() == part_.source()->size_bytes; }

  /// Nothing when the file is there. Throws what a retry cannot mend.
  std::optional<Failure> perform() {
    set_options();
    const CURLcode result = curl_easy_perform(handle_.get());
    if (thrown_) std::rethrow_exception(thrown_);
    if (stop_.stop_requested()) fail(ErrorCode::interrupted, "interrupted");
    if (result != CURLE_OK) return failure(result);
    if (!begun_) begin();  // an empty file
    if (total_ > 0 && part_.size() != total_) {
      return Failure{fmt::format("{} of {} bytes came", part_.size(), total_), true};
    }
    return std::nullopt;
  }

 private:
  /// Whether there are bytes that the server can be asked to add to.
  bool continues() const {
    const auto& source = part_.source();
    return part_.size() > 0 && source && source->url_sha256 == url_sha256_ &&
           !source->validator.empty();
  }

  template <typename Value>
  void set(CURLoption option, Value value) {
    const CURLcode result = curl_easy_setopt(handle_.get(), option, value);
    UPRES_ASSERT(result == CURLE_OK, "libcurl knows the option");
  }

  void set_options() {
    set(CURLOPT_URL, url_.c_str());
    set(CURLOPT_PROTOCOLS_STR, "https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, kMostRedirects);
    set(CURLOPT_FAILONERROR, 1L);
    set(CURLOPT_USERAGENT, "upres");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, long(options_.connect_timeout.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, long(options_.stall_timeout.count()));
    set(CURLOPT_ERRORBUFFER, error_text_);
    // $SSL_CERT_FILE, too, only the curl program reads by itself.
    if (const char* file = certificates()) set(CURLOPT_CAINFO, file);

    set(CURLOPT_WRITEFUNCTION, &Request::on_bytes);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &Request::on_progress);
    set(CURLOPT_XFERINFODATA, this);

    if (!continues()) return;
    // Not CURLOPT_RESUME_FROM_LARGE, which takes a whole file in answer for a failure.
    asked_from_ = part_.size();
    set(CURLOPT_RANGE, (range_ = fmt::format("{}-", asked_from_)).c_str());
    headers_.reset(
        curl_slist_append(nullptr, fmt::format("If-Range: {}", part_.source()->validator).c_str()));
    set(CURLOPT_HTTPHEADER, headers_.get());
  }

  // Exceptions must not cross libcurl, which is C: they wait in thrown_.
  static size_t on_bytes(char* bytes, size_t, size_t count, void* self) {
    auto* request = static_cast<Request*>(self);
    try {
      request->receive(std::as_bytes(std::span(bytes, count)));
      return count;
    } catch (...) {
      request->thrown_ = std::current_exception();
      return count + 1;  // any other number ends the transfer (CURL_WRITEFUNC_ERROR: 7.87)
    }
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto* request = static_cast<Request*>(self);
    try {
      if (request->stop_.stop_requested()) return 1;
      if (request->begun_) request->report();
      return 0;
    } catch (...) {
      request->thrown_ = std::current_exception();
      return 1;
    }
  }

  void report() {
    if (events_.progress) events_.progress({part_.size(), total_, bytes_before_});
  }

  void receive(std::span<const std::byte> bytes) {
    if (!begun_) begin();
    check_size(part_.size() + bytes.size());
    part_.append(bytes);
  }

  /// Looks at the headers of the last response: what comes may be the rest of the file, or all of
  /// it.
  void begin() {
    begun_ = true;
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_off_t length = -1;
    curl_easy_getinfo(handle_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    if (status == kPartialContent && asked_from_ > 0) {
      continue_with(header("Content-Range"));
    } else if (status == kOk) {
      total_ = length > 0 ? uint64_t(length) : 0;
      if (total_ > 0) check_total();
      bytes_before_ = 0;
      part_.start({url_sha256_, validator(), total_});
    } else {
      fail(ErrorCode::network, "{} answers with status {} instead of a file", url_, status);
    }
    check_room();
  }

  /// Content-Range: "bytes FIRST-LAST/TOTAL", where TOTAL may be "*".
  void continue_with(const std::string& content_range) {
    unsigned long long first = 0;
    unsigned long long last = 0;
    unsigned long long total = 0;
    const int numbers =
        std::sscanf(content_range.c_str(), "bytes %llu-%llu/%llu", &first, &last, &total);
    const uint64_t known = part_.source()->size_bytes;
    if (numbers < 2 || first != part_.size() || last < first ||
        (numbers == 3 && known > 0 && total != known)) {
      fail(ErrorCode::network, "{} was asked for bytes from {} on and answers \"{}\"", url_,
           part_.size(), content_range);
    }
    total_ = numbers == 3 ? total : known;
    if (total_ > 0) check_total();
  }

  std::string header(const char* name) const {
    curl_header* found = nullptr;
    constexpr int kLastRequest = -1;
    const CURLHcode result =
        curl_easy_header(handle_.get(), name, 0, CURLH_HEADER, kLastRequest, &found);
    return result == CURLHE_OK ? found->value : "";
  }

  /// A weak ETag does not vouch for the bytes; a date does where there is nothing better.
  std::string validator() const {
    const std::string etag = header("ETag");
    return etag.empty() || etag.starts_with("W/") ? header("Last-Modified") : etag;
  }

  void check_total() const {
    if (options_.size_bytes && total_ != *options_.size_bytes) {
      fail(ErrorCode::model, "{} has {} bytes now instead of {}: it is another file", url_, total_,
           *options_.size_bytes);
    }
    check_size(total_);
  }

  void check_size(uint64_t size) const {
    const uint64_t most = options_.size_bytes.value_or(options_.max_bytes);
    if (size > most) {
      fail(ErrorCode::model, "{} has more than the {} bytes that are expected at most", url_, most);
    }
  }

  void check_room() const {
    struct statvfs disk {};
    if (total_ == 0 || statvfs(part_.path().c_str(), &disk) != 0) return;
    const uint64_t room = uint64_t(disk.f_bavail) * disk.f_frsize;
    const uint64_t needed = total_ - std::min(total_, part_.size());
    if (needed > room) {
      fail(ErrorCode::output, "{} needs {:.1f} MB and the disk has room for {:.1f} MB",
           part_.path().string(), megabytes(needed), megabytes(room));
    }
  }

  Failure failure(CURLcode result) {
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    // The part is longer than the server's file: nothing can follow it.
    if (status == kRangeNotSatisfiable && asked_from_ > 0) {
      part_.start({url_sha256_, "", 0});
      bytes_before_ = 0;
    }
    if (result == CURLE_UNSUPPORTED_PROTOCOL) return {"it leads to what is not https", false};
    const bool has_text = std::strlen(error_text_) > 0;
    return {has_text ? error_text_ : curl_easy_strerror(result), is_passing(result, status)};
  }

  const std::string& url_;
  PartFile& part_;
  const DownloadOptions& options_;
  const DownloadEvents& events_;
  uint64_t& bytes_before_;  ///< shared by all requests for a file
  std::stop_token stop_;

  Handle handle_ = make_handle();
  HeaderList headers_{nullptr, curl_slist_free_all};
  std::string url_sha256_;
  std::string range_;
  char error_text_[CURL_ERROR_SIZE] = "";
  uint64_t asked_from_ = 0;
  bool begun_ = false;
  uint64_t total_ = 0;  ///< of the whole file; 0: not known
  std::exception_ptr thrown_;
};

/// Returns early after a stop request.
void wait(std::chrono::milliseconds pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, pause, [] { return false; });
}

}  // namespace

void download(const std::string& url, PartFile& part, const DownloadOptions& options,
              const DownloadEvents& events, const std::stop_token& stop) {
  check_url(url);
  uint64_t bytes_before = part.size();
  std::chrono::milliseconds pause = options.pause;
  for (int tries_left = options.retries;; --tries_left) {
    Request request(url, part, options, events, bytes_before, stop);
    if (request.is_whole()) return;
    const std::optional<Failure> failure = request.perform();
    if (!failure) return;
    if (!failure->passing || tries_left == 0) {
      fail(ErrorCode::network, "cannot download {}: {}", url, failure->reason);
    }
    if (events.notice) events.notice(fmt::format("{}; trying again", failure->reason));
    wait(std::exchange(pause, 2 * pause), stop);
    if (stop.stop_requested()) fail(ErrorCode::interrupted, "interrupted");
  }
}

}  // namespace upres
