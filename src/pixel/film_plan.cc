// SPDX-License-Identifier: Apache-2.0
#include "pixel/film_plan.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace upres {
namespace {

/// The weights of red and blue in luma: ITU-T H.273, table 4.
struct LumaWeights {
  double red;
  double blue;
};

LumaWeights luma_weights(FilmMatrix matrix) {
  switch (matrix) {
    case FilmMatrix::bt601:
      return {0.299, 0.114};
    case FilmMatrix::bt709:
      return {0.2126, 0.0722};
    case FilmMatrix::bt2020:
      return {0.2627, 0.0593};
    case FilmMatrix::fcc:
      return {0.30, 0.11};
    case FilmMatrix::smpte240m:
      return {0.212, 0.087};
  }
  UPRES_ASSERT(false, "every matrix has its weights");
}

ChromaTaps chroma_taps(int log2, ChromaSite site) {
  ChromaTaps taps;
  const int phases = 1 << log2;
  taps.phases = phases;
  const double last = phases - 1;
  const double centre = site == ChromaSite::first ? 0 : site == ChromaSite::last ? last : last / 2;
  for (int p = 0; p < phases; ++p) {
    const double at = (p - centre) / phases;  // in chroma samples, from the one it belongs to
    for (int k = -1; k <= 1; ++k) {
      taps.up.push_back(float(std::max(0.0, 1 - std::abs(at - k))));
    }
  }
  const auto weight = [&](int k) { return 1 - std::abs(k - centre) / phases; };
  taps.down_first = int(std::floor(centre)) - phases + 1;
  while (weight(taps.down_first) <= 0) ++taps.down_first;
  for (int k = taps.down_first; weight(k) > 0; ++k) taps.down.push_back(float(weight(k) / phases));
  return taps;
}

}  // namespace

FilmPlan::FilmPlan(const FilmFormat& of)
    : format(of),
      across(chroma_taps(of.kind == FilmFormat::Kind::yuv ? of.chroma_log2_x : 0, of.site_x)),
      down(chroma_taps(of.kind == FilmFormat::Kind::yuv ? of.chroma_log2_y : 0, of.site_y)) {
  const double most = std::exp2(of.depth) - 1;
  const double step = std::exp2(of.depth - 8);  // of limited range
  luma_zero = of.full_range ? 0 : float(16 * step);
  luma_scale = float(double(kFilmOne) / (of.full_range ? most : 219 * step));
  chroma_zero = float(128 * step);
  chroma_scale = float(double(kFilmOne) / (of.full_range ? most : 224 * step));
  alpha_scale = float(double(kFilmOne) / most);
  const auto [red, blue] = luma_weights(of.matrix);
  const double green = 1 - red - blue;
  const double luma[] = {red, green, blue};
  for (int c = 0; c < 3; ++c) {
    to_y[c] = float(luma[c] / double(luma_scale));
    to_u[c] = float(((c == 2 ? 1 : 0) - luma[c]) / (2 * (1 - blue) * double(chroma_scale)));
    to_v[c] = float(((c == 0 ? 1 : 0) - luma[c]) / (2 * (1 - red) * double(chroma_scale)));
  }
  red_v = float(2 * (1 - red));
  blue_u = float(2 * (1 - blue));
  green_v = float(-2 * red * (1 - red) / green);
  green_u = float(-2 * blue * (1 - blue) / green);
}

}  // namespace upres
