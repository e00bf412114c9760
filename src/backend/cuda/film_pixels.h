// SPDX-License-Identifier: Apache-2.0
// Films to pictures and back on the GPU: pixel/film.h's conversions, to the bit.
#pragma once

#include <cuda_runtime_api.h>

#include "backend/cuda/pixels.h"
#include "frame/film_format.h"
#include "pixel/film_plan.h"

namespace upres::cuda {

// All planes are in the GPU's memory; formats have no alpha. Pictures are of 16 bits, gray or RGB.

/// A frame of the plan's format as a picture.
void picture_from_film(const FilmPlan& plan, const FilmView& src, const Packed& dst,
                       cudaStream_t stream);

/// A picture as a frame of the plan's format; one that is gray, too.
void film_from_picture(const FilmPlan& plan, const Packed& src, const FilmView& dst,
                       cudaStream_t stream);

/// Sets *differ to 1 where frames of one format have different samples.
void compare_samples(const FilmView& a, const FilmView& b, int* differ, cudaStream_t stream);

}  // namespace upres::cuda
