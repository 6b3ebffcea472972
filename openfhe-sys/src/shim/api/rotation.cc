// Rotations, and inner products over the extended basis Q * P.

#include "internal.h"
#include "rns/key_switch.h"
#include "rns/limbs.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "ciphertext.h"
#include "key/evalkey.h"
#include "math/nbtheory.h"

namespace openfhe_shim {

namespace {

std::unique_ptr<Ciphertext> wrap(lbcrypto::Ciphertext<DCRTPoly> handle) {
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

std::unique_ptr<ExtendedCiphertext> wrap_extended(lbcrypto::Ciphertext<DCRTPoly> handle) {
    return std::unique_ptr<ExtendedCiphertext>(new ExtendedCiphertext{std::move(handle)});
}

void check_two_parts(const Ciphertext& ciphertext) {
    require(ciphertext.part_count() == 2, "relinearize the ciphertext before a rotation");
}

std::uint32_t automorphism_index(const Ciphertext& ciphertext, std::int32_t step) {
    return lbcrypto::FindAutomorphismIndex2nComplex(step, ciphertext.handle->GetCryptoContext()->GetCyclotomicOrder());
}

// Switches to the key of the rotated secret and then rotates, so that the digits do not depend on the rotation.
std::unique_ptr<Ciphertext> apply(const Ciphertext& ciphertext, std::uint32_t index,
                                  const Polynomials& digits) {
    auto key   = find_evaluation_key(ciphertext.handle->GetKeyTag(), index);
    auto parts = switch_key(ciphertext, digits, key);
    parts[0] += ciphertext.handle->GetElements()[0];
    auto handle = ciphertext.handle->CloneEmpty();
    handle->SetElements({automorphism(parts[0], index), automorphism(parts[1], index)});
    return wrap(std::move(handle));
}

void check_pair(const ExtendedCiphertext& ciphertext, const ExtendedPlaintext& plaintext) {
    require(ciphertext.handle->GetElements()[0].GetNumOfElements() == plaintext.element.GetNumOfElements(),
            "the extended ciphertext and plaintext have different levels");
}

void check_pair(const ExtendedCiphertext& left, const ExtendedCiphertext& right) {
    require(left.handle->GetKeyTag() == right.handle->GetKeyTag(), "the ciphertexts belong to different keys");
    require(left.handle->GetElements()[0].GetNumOfElements() == right.handle->GetElements()[0].GetNumOfElements(),
            "the extended ciphertexts have different levels");
}

}  // namespace

std::unique_ptr<Ciphertext> rotate(const Ciphertext& ciphertext, std::int32_t step) {
    check_two_parts(ciphertext);
    if (step == 0)
        return clone_ciphertext(ciphertext);
    const auto index = automorphism_index(ciphertext, step);
    find_evaluation_key(ciphertext.handle->GetKeyTag(), index);
    return apply(ciphertext, index, decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle));
}

std::unique_ptr<ExtendedCiphertext> extend(const Ciphertext& ciphertext, bool add_first) {
    check_two_parts(ciphertext);
    return wrap_extended(ciphertext.handle->GetCryptoContext()->KeySwitchExt(ciphertext.handle, add_first));
}

std::unique_ptr<ExtendedCiphertext> inner_product_extended(rust::Slice<const ExtendedTerm> terms) {
    require(!terms.empty(), "an inner product needs at least one term");
    const auto& head = terms[0];
    std::vector<Product> first;
    std::vector<Product> second;
    for (const auto& term : terms) {
        check_pair(head.ciphertext, term.ciphertext);
        check_pair(term.ciphertext, term.plaintext);
        const auto& parts = term.ciphertext.handle->GetElements();
        first.push_back({&parts[0], &term.plaintext.element});
        second.push_back({&parts[1], &term.plaintext.element});
    }
    auto handle = head.ciphertext.handle->CloneEmpty();
    handle->SetElements({sum_of_products(first), sum_of_products(second)});
    handle->SetNoiseScaleDeg(handle->GetNoiseScaleDeg() + 1);
    handle->SetScalingFactor(handle->GetScalingFactor() * head.plaintext.scale);
    return wrap_extended(std::move(handle));
}

}  // namespace openfhe_shim
