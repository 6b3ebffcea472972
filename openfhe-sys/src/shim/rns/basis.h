// Basis conversion on both cores, a block of coefficients at a time.
#pragma once

#include "rns/kernels.h"
#include "rns/team.h"

#include <memory>
#include <vector>

namespace openfhe_shim {

// The factors of an approximate conversion from primes q_i to p_j, with Q the product of the q_i (Halevi, Polyakov,
// Shoup, "An improved RNS variant of the BFV scheme", 2019, section 2.2).
struct ConversionFactors {
    const std::vector<NativeInteger>& hat_inverse;       // (Q / q_i)^-1 mod q_i
    const std::vector<std::vector<NativeInteger>>& hat;  // (Q / q_i) mod p_j, by i and then j
};

// Calls function(limb index) for every limb, on the threads of the team. The function must not throw.
template <typename Function>
void for_each_limb(std::size_t count, Function function) {
    parallel_for(count, [&](std::size_t limb) { function(static_cast<int>(limb)); });
}

// A limb of zeros.
NativePoly zero_limb(const std::shared_ptr<lbcrypto::ILNativeParams>& parameters, Format format);

// Whether the kernels are on and take every limb of a polynomial over this basis.
bool kernels_can_run(const DCRTPoly::Params& basis);

// Results over their own primes from inputs in coefficient format over theirs; the results have their memory already.
void convert_basis(const std::vector<const NativePoly*>& inputs, const std::vector<NativePoly*>& results,
                   const ConversionFactors& factors);

}  // namespace openfhe_shim
