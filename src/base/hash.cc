// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <openssl/evp.h>

#include <fmt/ranges.h>

#include <array>

#include "base/error.h"

namespace upres {

std::string sha256_hex(std::span<const std::byte> bytes) {
  std::array<unsigned char, 32> digest;
  const int ok =
      EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  UPRES_ASSERT(ok == 1, "SHA-256 is always available");
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

}  // namespace upres
