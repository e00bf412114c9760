// SPDX-License-Identifier: Apache-2.0
// How far a backend's result is from the reference's, what is allowed, and a picture to try it on.
#pragma once

#include "backend/backend.h"
#include "frame/frame.h"

namespace upres {

/// A picture of what networks meet: a gradient, hard edges, texture and noise, one a quarter. RGB
/// in 8 bits.
Frame test_card(Size size);

/// The middle of a picture, of at most this size.
Frame middle_of(const Frame& picture, Size size);

struct Agreement {
  double psnr_db = 0;         ///< of samples from 0 to 1; infinite where they are equal
  double largest_levels = 0;  ///< the largest difference, in levels of 8 bits
};

/// Compares float pictures of one shape. Where a sample is not a finite number, the PSNR is minus
/// infinity and the difference infinite.
Agreement agreement(const Frame& made, const Frame& expected);

/// The PSNR to the reference that a backend has at least in a precision.
double least_psnr_db(Precision precision);

}  // namespace upres
