#include "limbs.h"

#include "math/nbtheory.h"

namespace openfhe_shim {

namespace {

LimbProduct limb_product(const Product& product, std::size_t limb) {
    return {words(product.left->GetElementAtIndex(limb)), words(product.right->GetElementAtIndex(limb))};
}

}  // namespace

DCRTPoly sum_of_products(const std::vector<Product>& terms) {
    const auto& basis = terms.at(0).left->GetParams();
    DCRTPoly sum(basis, Format::EVALUATION);
    auto& limbs = sum.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        limbs[i] = zero_limb(basis->GetParams()[i], Format::EVALUATION);
        std::vector<LimbProduct> products;
        for (const auto& term : terms)
            products.push_back(limb_product(term, i));
        kernels::sum_of_products(mut_words(limbs[i]), {products.data(), products.size()}, word(limbs[i].GetModulus()));
    });
    return sum;
}

void multiply_accumulate(DCRTPoly& sum, const DCRTPoly& left, const DCRTPoly& right) {
    auto& limbs = sum.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        kernels::multiply_accumulate(mut_words(limbs[i]), words(left.GetElementAtIndex(i)),
                                     words(right.GetElementAtIndex(i)), word(limbs[i].GetModulus()));
    });
}

DCRTPoly automorphism(const DCRTPoly& polynomial, std::uint32_t index) {
    const auto dimension = polynomial.GetRingDimension();
    std::vector<std::uint32_t> map(dimension);
    lbcrypto::PrecomputeAutoMap(dimension, index, &map);
    return polynomial.AutomorphismTransform(index, map);
}

}  // namespace openfhe_shim
