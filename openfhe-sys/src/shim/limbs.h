// Pointwise products of limbs in one pass. OpenFHE forms sums of products on one thread and through a temporary for
// every term, which costs most of a hoisted rotation; the values are the same.
#pragma once

#include "internal.h"

#include "utils/parallel.h"

#include <cstdint>
#include <vector>

namespace openfhe_shim {

// Calls function(limb index) for every limb, on OpenFHE's threads. The function must not throw.
template <typename Function>
void for_each_limb(std::size_t count, Function function) {
    const int limbs = static_cast<int>(count);
#pragma omp parallel for num_threads(lbcrypto::OpenFHEParallelControls.GetThreadLimit(limbs))
    for (int i = 0; i < limbs; ++i)
        function(i);
}

// The residues of a limb, as words.
inline std::uint64_t* words_of(NativePoly& limb) {
    return reinterpret_cast<std::uint64_t*>(&limb[0]);
}

inline const std::uint64_t* words_of(const NativePoly& limb) {
    return reinterpret_cast<const std::uint64_t*>(&limb[0]);
}

struct LimbProduct {
    const NativePoly* left;
    const NativePoly* right;
};

// sum := the sum of the products, or sum += it.
void set_sum_of_products(NativePoly& sum, const std::vector<LimbProduct>& terms);
void add_sum_of_products(NativePoly& sum, const std::vector<LimbProduct>& terms);

struct Product {
    const DCRTPoly* left;
    const DCRTPoly* right;
};

// The sum of the products of polynomials over equal bases, in evaluation format.
DCRTPoly sum_of_products(const std::vector<Product>& terms);

// sum += left * right.
void multiply_accumulate(DCRTPoly& sum, const DCRTPoly& left, const DCRTPoly& right);

// left *= right.
void multiply_in_place(DCRTPoly& left, const DCRTPoly& right);

// The polynomial with its slots rotated as the automorphism says.
DCRTPoly automorphism(const DCRTPoly& polynomial, std::uint32_t index);

}  // namespace openfhe_shim
