// Sums of products of polynomials in one pass. OpenFHE forms them through a temporary for every term; the values are
// the same.
#pragma once

#include "rns/basis.h"

namespace openfhe_shim {

struct Product {
    const DCRTPoly* left;
    const DCRTPoly* right;
};

// The sum of the products of polynomials over equal bases, in evaluation format.
DCRTPoly sum_of_products(const std::vector<Product>& terms);

// Where the automorphism takes each value from, in evaluation format: made once for each index and kept.
std::shared_ptr<const std::vector<std::uint32_t>> automorphism_map(std::uint32_t dimension, std::uint32_t index);
void forget_automorphism_maps();

// The polynomial with its slots rotated as the automorphism says.
DCRTPoly automorphism(const DCRTPoly& polynomial, std::uint32_t index);

}  // namespace openfhe_shim
