#include "key_switch.h"

#include "ciphertext.h"
#include "key/evalkey.h"

namespace openfhe_shim {

namespace {

void check_key(const std::vector<DCRTPoly>& digits, const EvaluationKey& key) {
    require(!digits.empty() && digits.size() <= key->GetAVector().size(), "the key has too few digits");
    auto parameters     = ckks_parameters(*key);
    std::size_t special = parameters->GetParamsP()->GetParams().size();
    std::size_t all     = parameters->GetElementParams()->GetParams().size();
    require(digits[0].GetNumOfElements() <= all + special &&
                key->GetAVector().at(0).GetNumOfElements() == all + special,
            "the key does not fit the ciphertext");
}

const std::shared_ptr<DCRTPoly::Params>& basis_of(const Ciphertext& ciphertext) {
    return ciphertext.handle->GetElements()[0].GetParams();
}

}  // namespace

Polynomials decompose(const DCRTPoly& polynomial, const lbcrypto::CryptoObject<DCRTPoly>& owner) {
    return owner.GetCryptoContext()->GetScheme()->EvalKeySwitchPrecomputeCore(polynomial,
                                                                              owner.GetCryptoParameters());
}

std::vector<DCRTPoly> inner_product(const Ciphertext& owner, const Polynomials& digits, const EvaluationKey& key) {
    check_key(*digits, key);
    return std::move(
        *key->GetCryptoContext()->GetScheme()->EvalFastKeySwitchCoreExt(digits, key, basis_of(owner)));
}

std::vector<DCRTPoly> switch_key(const Ciphertext& owner, const Polynomials& digits, const EvaluationKey& key) {
    check_key(*digits, key);
    return std::move(*key->GetCryptoContext()->GetScheme()->EvalFastKeySwitchCore(digits, key, basis_of(owner)));
}

lbcrypto::Ciphertext<DCRTPoly> divide_by_p(const lbcrypto::Ciphertext<DCRTPoly>& extended) {
    return extended->GetCryptoContext()->KeySwitchDown(extended);
}

}  // namespace openfhe_shim
