// Sums of rotated ciphertexts: their second parts are switched and added over Q * P, and divided by P once.
#pragma once

#include "rns/linear_transform.h"

#include <array>

namespace openfhe_shim {

// Adds the rotation of what the digits stand for to both parts over Q * P; they may not be made yet.
void add_rotated(std::array<DCRTPoly, 2>& extended, const std::vector<DCRTPoly>& digits, const Rotation& rotation);

}  // namespace openfhe_shim
