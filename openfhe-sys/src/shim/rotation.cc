// Rotations: plain, hoisted, and left over the extended basis Q * P for double hoisting.

#include "internal.h"
#include "key_switch.h"
#include "limbs.h"

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

void check_digits(const Ciphertext& ciphertext, const Digits& digits) {
    check_two_parts(ciphertext);
    auto special = ckks_parameters(*ciphertext.handle)->GetParamsP()->GetParams().size();
    require(!digits.parts->empty() && digits.parts->front().GetNumOfElements() == ciphertext.limb_count() + special,
            "the digits belong to a ciphertext of another level");
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

// Adds P times the polynomial over Q: the limbs of P do not change.
void add_times_p(DCRTPoly& extended, const DCRTPoly& polynomial, const std::vector<NativeInteger>& p_mod_q) {
    auto& limbs = extended.GetAllElements();
    for_each_limb(polynomial.GetNumOfElements(),
                  [&](int i) { limbs[i] += polynomial.GetElementAtIndex(i) * p_mod_q[i]; });
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

std::uint32_t ExtendedCiphertext::level() const {
    return static_cast<std::uint32_t>(handle->GetLevel());
}

std::uint32_t ExtendedCiphertext::noise_scale_degree() const {
    return static_cast<std::uint32_t>(handle->GetNoiseScaleDeg());
}

double ExtendedCiphertext::scaling_factor() const {
    return handle->GetScalingFactor();
}

std::size_t ExtendedCiphertext::byte_size() const {
    return byte_size_of(handle->GetElements());
}

std::size_t Digits::byte_size() const {
    return byte_size_of(*parts);
}

std::unique_ptr<Ciphertext> rotate(const Ciphertext& ciphertext, std::int32_t step) {
    check_two_parts(ciphertext);
    if (step == 0)
        return clone_ciphertext(ciphertext);
    const auto index = automorphism_index(ciphertext, step);
    find_evaluation_key(ciphertext.handle->GetKeyTag(), index);
    return apply(ciphertext, index, decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle));
}

std::unique_ptr<Ciphertext> conjugate(const Ciphertext& ciphertext) {
    check_two_parts(ciphertext);
    const auto index = ciphertext.handle->GetCryptoContext()->GetCyclotomicOrder() - 1;
    find_evaluation_key(ciphertext.handle->GetKeyTag(), index);
    return apply(ciphertext, index, decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle));
}

std::unique_ptr<Digits> precompute_digits(const Ciphertext& ciphertext) {
    check_two_parts(ciphertext);
    auto parts = decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle);
    return std::unique_ptr<Digits>(new Digits{std::move(parts)});
}

std::unique_ptr<Ciphertext> rotate_hoisted(const Ciphertext& ciphertext, std::int32_t step, const Digits& digits) {
    check_digits(ciphertext, digits);
    if (step == 0)
        return clone_ciphertext(ciphertext);
    return apply(ciphertext, automorphism_index(ciphertext, step), digits.parts);
}

std::unique_ptr<ExtendedCiphertext> rotate_extended(const Ciphertext& ciphertext, std::int32_t step,
                                                    const Digits& digits, bool add_first) {
    check_digits(ciphertext, digits);
    require(step != 0, "a rotation by 0 over the extended basis is extend()");
    const auto index = automorphism_index(ciphertext, step);
    auto parts = inner_product(ciphertext, digits.parts, find_evaluation_key(ciphertext.handle->GetKeyTag(), index));
    if (add_first)
        add_times_p(parts[0], ciphertext.handle->GetElements()[0], ckks_parameters(*ciphertext.handle)->GetPModq());
    auto handle = ciphertext.handle->CloneEmpty();
    handle->SetElements({automorphism(parts[0], index), automorphism(parts[1], index)});
    return wrap_extended(std::move(handle));
}

std::unique_ptr<ExtendedCiphertext> extend(const Ciphertext& ciphertext, bool add_first) {
    check_two_parts(ciphertext);
    return wrap_extended(ciphertext.handle->GetCryptoContext()->KeySwitchExt(ciphertext.handle, add_first));
}

std::unique_ptr<ExtendedCiphertext> multiply_plain_extended(const ExtendedCiphertext& ciphertext,
                                                            const ExtendedPlaintext& plaintext) {
    check_pair(ciphertext, plaintext);
    auto handle = ciphertext.handle->CloneEmpty();
    std::vector<DCRTPoly> parts;
    for (const auto& part : ciphertext.handle->GetElements())
        parts.push_back(sum_of_products({{&part, &plaintext.element}}));
    handle->SetElements(std::move(parts));
    handle->SetNoiseScaleDeg(handle->GetNoiseScaleDeg() + 1);
    handle->SetScalingFactor(handle->GetScalingFactor() * plaintext.scale);
    return wrap_extended(std::move(handle));
}

void multiply_accumulate_extended(ExtendedCiphertext& accumulator, const ExtendedCiphertext& ciphertext,
                                  const ExtendedPlaintext& plaintext) {
    check_pair(accumulator, ciphertext);
    check_pair(ciphertext, plaintext);
    auto& sums        = accumulator.handle->GetElements();
    const auto& parts = ciphertext.handle->GetElements();
    for (std::size_t i = 0; i < parts.size(); ++i)
        multiply_accumulate(sums[i], parts[i], plaintext.element);
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

void add_extended_in_place(ExtendedCiphertext& left, const ExtendedCiphertext& right) {
    check_pair(left, right);
    auto& sums         = left.handle->GetElements();
    const auto& others = right.handle->GetElements();
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i] += others[i];
}

void clear_first_extended(ExtendedCiphertext& ciphertext) {
    ciphertext.handle->GetElements()[0].SetValuesToZero();
}

std::unique_ptr<Ciphertext> reduce_extended(const ExtendedCiphertext& ciphertext) {
    return wrap(divide_by_p(ciphertext.handle));
}

std::unique_ptr<Polynomial> reduce_extended_first(const ExtendedCiphertext& ciphertext) {
    auto element = ciphertext.handle->GetCryptoContext()->KeySwitchDownFirstElement(ciphertext.handle);
    return std::unique_ptr<Polynomial>(new Polynomial{std::move(element)});
}

std::unique_ptr<Polynomial> rotate_first(const Ciphertext& ciphertext, std::int32_t step) {
    auto element = automorphism(ciphertext.handle->GetElements().at(0), automorphism_index(ciphertext, step));
    return std::unique_ptr<Polynomial>(new Polynomial{std::move(element)});
}

void add_polynomial_in_place(Polynomial& left, const Polynomial& right) {
    require(left.element.GetNumOfElements() == right.element.GetNumOfElements(),
            "the polynomials have different levels");
    left.element += right.element;
}

void add_to_first(Ciphertext& ciphertext, const Polynomial& polynomial) {
    require(ciphertext.limb_count() == polynomial.element.GetNumOfElements(),
            "the ciphertext and the polynomial have different levels");
    ciphertext.handle->GetElements()[0] += polynomial.element;
}

}  // namespace openfhe_shim
