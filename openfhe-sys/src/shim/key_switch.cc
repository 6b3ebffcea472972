#include "key_switch.h"

#include "limbs.h"

#include "ciphertext.h"
#include "key/evalkey.h"

namespace openfhe_shim {

namespace {

// A key is over all of Q * P: at a lower level its limbs of Q are the first ones, those of P follow the unused ones.
struct LimbMap {
    std::size_t used;
    std::size_t unused;

    std::size_t key_limb(std::size_t limb) const { return limb < used ? limb : limb + unused; }
};

LimbMap limb_map(const DCRTPoly& digit, const EvaluationKey& key) {
    auto parameters     = ckks_parameters(*key);
    std::size_t special = parameters->GetParamsP()->GetParams().size();
    std::size_t all     = parameters->GetElementParams()->GetParams().size();
    std::size_t used    = digit.GetNumOfElements() - special;
    require(used <= all && key->GetAVector().at(0).GetNumOfElements() == all + special,
            "the key does not fit the ciphertext");
    return {used, all - used};
}

DCRTPoly half_product(const std::vector<DCRTPoly>& digits, const std::vector<DCRTPoly>& key, const LimbMap& map) {
    const auto& basis = digits[0].GetParams();
    DCRTPoly sum(basis, Format::EVALUATION);
    auto& limbs = sum.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        limbs[i] = NativePoly(basis->GetParams()[i], Format::EVALUATION, true);
        std::vector<LimbProduct> products;
        for (std::size_t digit = 0; digit < digits.size(); ++digit)
            products.push_back({&digits[digit].GetElementAtIndex(i), &key[digit].GetElementAtIndex(map.key_limb(i))});
        set_sum_of_products(limbs[i], products);
    });
    return sum;
}

}  // namespace

std::vector<DCRTPoly> inner_product(const std::vector<DCRTPoly>& digits, const EvaluationKey& key) {
    require(!digits.empty() && digits.size() <= key->GetAVector().size(), "the key has too few digits");
    LimbMap map = limb_map(digits[0], key);
    return {half_product(digits, key->GetBVector(), map), half_product(digits, key->GetAVector(), map)};
}

std::shared_ptr<std::vector<DCRTPoly>> decompose(const DCRTPoly& polynomial,
                                                 const lbcrypto::CryptoObject<DCRTPoly>& owner) {
    return owner.GetCryptoContext()->GetScheme()->EvalKeySwitchPrecomputeCore(polynomial,
                                                                              owner.GetCryptoParameters());
}

lbcrypto::Ciphertext<DCRTPoly> divide_by_p(const lbcrypto::Ciphertext<DCRTPoly>& extended) {
    return extended->GetCryptoContext()->KeySwitchDown(extended);
}

std::vector<DCRTPoly> switch_key(const Ciphertext& owner, const std::vector<DCRTPoly>& digits,
                                 const EvaluationKey& key) {
    auto extended = owner.handle->CloneEmpty();
    extended->SetElements(inner_product(digits, key));
    return std::move(divide_by_p(extended)->GetElements());
}

}  // namespace openfhe_shim
