// SPDX-License-Identifier: Apache-2.0
#include "backend/backend.h"

#include <algorithm>

#include "base/error.h"

namespace upres {

std::string_view name(Precision precision) {
  switch (precision) {
    case Precision::automatic:
      return "auto";
    case Precision::fp16:
      return "fp16";
    case Precision::fp16_fast:
      return "fp16-fast";
    case Precision::fp32:
      return "fp32";
  }
  UPRES_ASSERT(false, "every precision has a name");
}

Precision Device::chosen(Precision wanted) const {
  const std::vector<Precision> all = precisions();
  if (wanted == Precision::automatic) return all.front();
  if (std::ranges::count(all, wanted) > 0) return wanted;
  std::string known;
  for (const Precision one : all)
    known += fmt::format("{}{}", known.empty() ? "" : ", ", upres::name(one));
  fail(ErrorCode::usage,
       "{} computes in {}, not in {}; leave the precision out, or choose another backend", name(),
       known, upres::name(wanted));
}

}  // namespace upres
