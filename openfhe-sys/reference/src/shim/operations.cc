// Operations that circuits do in larger pieces: rotations of a decomposed ciphertext, division by P, one product with a
// plaintext.

#include "openfhe-reference/src/shim/reference.h"

#include "rns/key_switch.h"
#include "rns/limbs.h"

#include "ciphertext.h"
#include "key/evalkey.h"
#include "math/nbtheory.h"

namespace openfhe_shim {

namespace {

void check_two_parts(const Ciphertext& ciphertext) {
    require(ciphertext.part_count() == 2, "relinearize the ciphertext before a rotation");
}

void check_digits(const Ciphertext& ciphertext, const Digits& digits) {
    check_two_parts(ciphertext);
    auto special = ckks_parameters(*ciphertext.handle)->GetParamsP()->GetParams().size();
    require(!digits.parts->empty() && digits.parts->front().GetNumOfElements() == ciphertext.limb_count() + special,
            "the digits belong to a ciphertext of another level");
}

std::unique_ptr<Ciphertext> wrap(lbcrypto::Ciphertext<DCRTPoly> handle) {
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace

std::unique_ptr<Digits> precompute_digits(const Ciphertext& ciphertext) {
    check_two_parts(ciphertext);
    auto parts = decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle);
    return std::unique_ptr<Digits>(new Digits{std::move(parts)});
}

std::unique_ptr<Ciphertext> rotate_hoisted(const Ciphertext& ciphertext, std::int32_t step, const Digits& digits) {
    check_digits(ciphertext, digits);
    if (step == 0)
        return clone_ciphertext(ciphertext);
    const auto order = ciphertext.handle->GetCryptoContext()->GetCyclotomicOrder();
    const auto index = lbcrypto::FindAutomorphismIndex2nComplex(step, order);
    auto parts = switch_key(ciphertext, digits.parts, find_evaluation_key(ciphertext.handle->GetKeyTag(), index));
    parts[0] += ciphertext.handle->GetElements()[0];
    auto handle = ciphertext.handle->CloneEmpty();
    handle->SetElements({automorphism(parts[0], index), automorphism(parts[1], index)});
    return wrap(std::move(handle));
}

std::unique_ptr<Ciphertext> reduce_extended(const ExtendedCiphertext& ciphertext) {
    return wrap(ciphertext.handle->GetCryptoContext()->KeySwitchDown(ciphertext.handle));
}

void multiply_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext) {
    if (ciphertext.limb_count() != plaintext.element.GetNumOfElements())
        fail("the ciphertext has " + std::to_string(ciphertext.limb_count()) + " limbs, the plaintext " +
             std::to_string(plaintext.element.GetNumOfElements()));
    for (auto& part : ciphertext.handle->GetElements())
        part *= plaintext.element;
    ciphertext.handle->SetNoiseScaleDeg(ciphertext.handle->GetNoiseScaleDeg() + 1);
    ciphertext.handle->SetScalingFactor(ciphertext.handle->GetScalingFactor() * plaintext.scale);
}

}  // namespace openfhe_shim
