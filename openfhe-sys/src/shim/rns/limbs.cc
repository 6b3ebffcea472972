#include "rns/limbs.h"

#include "math/nbtheory.h"

#include <map>
#include <mutex>
#include <utility>

namespace openfhe_shim {

namespace {

std::mutex maps_mutex;
std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<const std::vector<std::uint32_t>>> maps;

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

std::shared_ptr<const std::vector<std::uint32_t>> automorphism_map(std::uint32_t dimension, std::uint32_t index) {
    const auto place = std::make_pair(dimension, index);
    {
        std::lock_guard<std::mutex> lock(maps_mutex);
        const auto found = maps.find(place);
        if (found != maps.end())
            return found->second;
    }
    auto map = std::make_shared<std::vector<std::uint32_t>>(dimension);
    lbcrypto::PrecomputeAutoMap(dimension, index, map.get());
    std::lock_guard<std::mutex> lock(maps_mutex);
    return maps.emplace(place, std::move(map)).first->second;
}

void forget_automorphism_maps() {
    std::lock_guard<std::mutex> lock(maps_mutex);
    maps.clear();
}

DCRTPoly automorphism(const DCRTPoly& polynomial, std::uint32_t index) {
    return polynomial.AutomorphismTransform(index, *automorphism_map(polynomial.GetRingDimension(), index));
}

}  // namespace openfhe_shim
