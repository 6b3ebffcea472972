#include "rns/key_switch.h"

#include "rns/kernels.h"

#include "ciphertext.h"
#include "key/evalkeyrelin.h"

namespace openfhe_shim {

namespace {

const std::shared_ptr<DCRTPoly::Params>& basis_of(const Ciphertext& ciphertext) {
    return ciphertext.handle->GetElements()[0].GetParams();
}

}  // namespace

void check_key(const std::vector<DCRTPoly>& digits, const lbcrypto::EvalKeyImpl<DCRTPoly>& key) {
    require(!digits.empty() && digits.size() <= key.GetAVector().size() &&
                digits[0].GetNumOfElements() <= key.GetAVector()[0].GetNumOfElements(),
            "the key is for ciphertexts of fewer limbs");
}

Polynomials decompose(const DCRTPoly& polynomial, const lbcrypto::CryptoObject<DCRTPoly>& owner) {
    return owner.GetCryptoContext()->GetScheme()->EvalKeySwitchPrecomputeCore(polynomial,
                                                                              owner.GetCryptoParameters());
}

std::vector<DCRTPoly> switch_key(const Ciphertext& owner, const Polynomials& digits, const EvaluationKey& key) {
    check_key(*digits, *key);
    return std::move(*key->GetCryptoContext()->GetScheme()->EvalFastKeySwitchCore(digits, key, basis_of(owner)));
}

void fill_up(std::vector<DCRTPoly>& polynomials, const lbcrypto::CryptoParametersRNS& parameters) {
    const std::size_t all     = parameters.GetElementParams()->GetParams().size();
    const std::size_t special = parameters.GetParamsP()->GetParams().size();
    for (auto& polynomial : polynomials) {
        const std::size_t kept = polynomial.GetNumOfElements() - special;
        DCRTPoly full(parameters.GetParamsQP(), Format::EVALUATION, true);
        auto& limbs = polynomial.GetAllElements();
        for (std::size_t i = 0; i < limbs.size(); ++i)
            full.GetAllElements()[i < kept ? i : all + i - kept] = std::move(limbs[i]);
        polynomial = std::move(full);
    }
}

EvaluationKey filled_up(const EvaluationKey& key) {
    const auto parameters = std::dynamic_pointer_cast<lbcrypto::CryptoParametersRNS>(key->GetCryptoParameters());
    if (key->GetAVector()[0].GetNumOfElements() == parameters->GetParamsQP()->GetParams().size())
        return key;
    auto first  = key->GetBVector();
    auto second = key->GetAVector();
    fill_up(first, *parameters);
    fill_up(second, *parameters);
    auto full = std::make_shared<lbcrypto::EvalKeyRelinImpl<DCRTPoly>>(key->GetCryptoContext());
    full->SetBVector(std::move(first));
    full->SetAVector(std::move(second));
    full->SetKeyTag(key->GetKeyTag());
    return full;
}

// A key has as many limbs of Q as the largest ciphertext it serves: for a smaller one its limbs of Q are the first ones,
// those of P follow the unused ones.
void digits_times_key(rust::Slice<std::uint64_t> first, rust::Slice<std::uint64_t> second,
                      const std::vector<DCRTPoly>& digits, const lbcrypto::EvalKeyImpl<DCRTPoly>& key,
                      std::size_t limb) {
    const auto& first_key    = key.GetBVector();
    const auto& second_key   = key.GetAVector();
    const auto& basis        = *digits[0].GetParams();
    const std::size_t count  = basis.GetParams().size();
    const std::size_t unused = first_key[0].GetNumOfElements() - count;
    const auto parameters    = std::dynamic_pointer_cast<lbcrypto::CryptoParametersRNS>(key.GetCryptoParameters());
    const std::size_t used   = count - parameters->GetParamsP()->GetParams().size();
    const std::size_t key_limb = limb < used ? limb : limb + unused;
    std::vector<DigitProduct> terms;
    for (std::size_t digit = 0; digit < digits.size(); ++digit)
        terms.push_back({words(digits[digit].GetElementAtIndex(limb)),
                         words(first_key[digit].GetElementAtIndex(key_limb)),
                         words(second_key[digit].GetElementAtIndex(key_limb))});
    kernels::sums_of_products(first, second, {terms.data(), terms.size()},
                              word(basis.GetParams()[limb]->GetModulus()));
}

DCRTPoly divide_by_p(const DCRTPoly& extended, const std::shared_ptr<DCRTPoly::Params>& q,
                     const lbcrypto::CryptoParametersRNS& parameters) {
    const NativeInteger t = parameters.GetNoiseScale() == 1 ? 0 : parameters.GetPlaintextModulus();
    return extended.ApproxModDown(q, parameters.GetParamsP(), parameters.GetPInvModq(), parameters.GetPInvModqPrecon(),
                                  parameters.GetPHatInvModp(), parameters.GetPHatInvModpPrecon(),
                                  parameters.GetPHatModq(), parameters.GetModqBarrettMu(), parameters.GettInvModp(),
                                  parameters.GettInvModpPrecon(), t, parameters.GettModqPrecon());
}

}  // namespace openfhe_shim
