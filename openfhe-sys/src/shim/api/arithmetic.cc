// Additions, products and level changes. Operands must have the same limbs; nothing adjusts them.

#include "internal.h"
#include "rns/key_switch.h"
#include "rns/limbs.h"

#include "ciphertext.h"

#include <cmath>

namespace openfhe_shim {

namespace {

void check_finite(double value, double scale) {
    require(std::isfinite(value), "the constant is not finite");
    require(std::isfinite(scale) && scale > 0, "the scale must be positive and finite");
    require(std::isfinite(value * scale), "the constant times the scale is not finite");
}

void check_pair(const Ciphertext& left, const Ciphertext& right) {
    require(left.handle->GetCryptoContext() == right.handle->GetCryptoContext(),
            "the ciphertexts belong to different contexts");
    require(left.handle->GetKeyTag() == right.handle->GetKeyTag(), "the ciphertexts belong to different keys");
    if (left.limb_count() != right.limb_count())
        fail("the ciphertexts have " + std::to_string(left.limb_count()) + " and " +
             std::to_string(right.limb_count()) + " limbs");
}

void check_pair(const Ciphertext& ciphertext, const Plaintext& plaintext) {
    if (ciphertext.limb_count() != plaintext.element.GetNumOfElements())
        fail("the ciphertext has " + std::to_string(ciphertext.limb_count()) + " limbs, the plaintext " +
             std::to_string(plaintext.element.GetNumOfElements()));
}

// round(value) modulo each prime of the basis; exact for any finite value.
std::vector<NativeInteger> residues_of(double value, const DCRTPoly::Params& basis) {
    int exponent = 0;
    std::frexp(value, &exponent);
    int shift                = std::max(0, exponent - 62);
    std::int64_t number      = std::llround(std::ldexp(value, -shift));
    std::uint64_t magnitude  = number < 0 ? -static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    std::vector<NativeInteger> residues;
    for (const auto& limb : basis.GetParams()) {
        const NativeInteger& modulus = limb->GetModulus();
        NativeInteger residue        = NativeInteger(magnitude).Mod(modulus);
        if (shift > 0)
            residue.ModMulEq(NativeInteger(2).ModExp(NativeInteger(shift), modulus), modulus);
        residues.push_back(number < 0 ? NativeInteger(0).ModSub(residue, modulus) : residue);
    }
    return residues;
}

void multiply_limb(NativePoly& limb, const NativeInteger& factor) {
    const NativeInteger modulus     = limb.GetModulus();
    const NativeInteger precomputed = factor.PrepModMulConst(modulus);
    NativeInteger* values           = &limb[0];
    const std::size_t length        = limb.GetLength();
    for (std::size_t i = 0; i < length; ++i)
        values[i].ModMulFastConstEq(factor, modulus, precomputed);
}

void add_to_limb(NativePoly& limb, const NativeInteger& summand) {
    const NativeInteger modulus = limb.GetModulus();
    NativeInteger* values       = &limb[0];
    const std::size_t length    = limb.GetLength();
    for (std::size_t i = 0; i < length; ++i)
        values[i].ModAddFastEq(summand, modulus);
}

void multiply_by(Ciphertext& ciphertext, const std::vector<NativeInteger>& factors) {
    for (auto& part : ciphertext.handle->GetElements()) {
        auto& limbs = part.GetAllElements();
        for_each_limb(limbs.size(), [&](int i) { multiply_limb(limbs[i], factors[i]); });
    }
}

const DCRTPoly::Params& basis_of(const Ciphertext& ciphertext) {
    return *ciphertext.handle->GetElements()[0].GetParams();
}

std::unique_ptr<Ciphertext> product(const Ciphertext& left, const Ciphertext& right, std::vector<DCRTPoly> parts) {
    auto handle = left.handle->CloneEmpty();
    handle->SetElements(std::move(parts));
    handle->SetNoiseScaleDeg(left.handle->GetNoiseScaleDeg() + right.handle->GetNoiseScaleDeg());
    handle->SetScalingFactor(left.handle->GetScalingFactor() * right.handle->GetScalingFactor());
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace

std::shared_ptr<lbcrypto::CryptoParametersCKKSRNS> ckks_parameters(const lbcrypto::CryptoObject<DCRTPoly>& object) {
    auto parameters = std::dynamic_pointer_cast<lbcrypto::CryptoParametersCKKSRNS>(object.GetCryptoParameters());
    require(parameters != nullptr, "the object does not belong to a CKKS context");
    return parameters;
}

std::uint32_t Ciphertext::level() const noexcept {
    return static_cast<std::uint32_t>(handle->GetLevel());
}

std::uint32_t Ciphertext::limb_count() const noexcept {
    const auto& parts = handle->GetElements();
    return parts.empty() ? 0 : static_cast<std::uint32_t>(parts.front().GetNumOfElements());
}

std::uint32_t Ciphertext::part_count() const noexcept {
    return static_cast<std::uint32_t>(handle->NumberCiphertextElements());
}

std::uint32_t Ciphertext::slots() const noexcept {
    return handle->GetSlots();
}

std::uint32_t Ciphertext::noise_scale_degree() const noexcept {
    return static_cast<std::uint32_t>(handle->GetNoiseScaleDeg());
}

double Ciphertext::scaling_factor() const noexcept {
    return handle->GetScalingFactor();
}

rust::String Ciphertext::key_tag() const {
    return handle->GetKeyTag();
}

std::unique_ptr<Ciphertext> clone_ciphertext(const Ciphertext& ciphertext) {
    return std::unique_ptr<Ciphertext>(new Ciphertext{ciphertext.handle->Clone()});
}

void set_key_tag(Ciphertext& ciphertext, rust::Str tag) {
    ciphertext.handle->SetKeyTag(to_string(tag));
}

void add_in_place(Ciphertext& left, const Ciphertext& right) {
    check_pair(left, right);
    auto& sums         = left.handle->GetElements();
    const auto& others = right.handle->GetElements();
    for (std::size_t i = 0; i < others.size(); ++i) {
        if (i < sums.size())
            sums[i] += others[i];
        else
            sums.push_back(others[i]);
    }
}

void subtract_in_place(Ciphertext& left, const Ciphertext& right) {
    check_pair(left, right);
    auto& differences  = left.handle->GetElements();
    const auto& others = right.handle->GetElements();
    for (std::size_t i = 0; i < others.size(); ++i) {
        if (i < differences.size())
            differences[i] -= others[i];
        else
            differences.push_back(others[i].Negate());
    }
}

void add_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext) {
    check_pair(ciphertext, plaintext);
    ciphertext.handle->GetElements()[0] += plaintext.element;
}

// A constant polynomial has the same value at every evaluation point.
void add_constant_in_place(Ciphertext& ciphertext, double value, double scale) {
    check_finite(value, scale);
    auto summands = residues_of(value * scale, basis_of(ciphertext));
    auto& limbs   = ciphertext.handle->GetElements()[0].GetAllElements();
    for_each_limb(limbs.size(), [&](int i) { add_to_limb(limbs[i], summands[i]); });
}

void multiply_constant_in_place(Ciphertext& ciphertext, double value, double scale) {
    check_finite(value, scale);
    multiply_by(ciphertext, residues_of(value * scale, basis_of(ciphertext)));
    ciphertext.handle->SetNoiseScaleDeg(ciphertext.handle->GetNoiseScaleDeg() + 1);
    ciphertext.handle->SetScalingFactor(ciphertext.handle->GetScalingFactor() * scale);
}

std::unique_ptr<Ciphertext> multiply_no_relinearize(const Ciphertext& left, const Ciphertext& right) {
    check_pair(left, right);
    require(left.part_count() == 2 && right.part_count() == 2, "relinearize both operands before a product");
    const auto& a = left.handle->GetElements();
    const auto& b = right.handle->GetElements();
    std::vector<DCRTPoly> parts{sum_of_products({{&a[0], &b[0]}}), sum_of_products({{&a[0], &b[1]}, {&a[1], &b[0]}}),
                                sum_of_products({{&a[1], &b[1]}})};
    return product(left, right, std::move(parts));
}

std::unique_ptr<Ciphertext> square_no_relinearize(const Ciphertext& ciphertext) {
    require(ciphertext.part_count() == 2, "relinearize the operand before a product");
    const auto& a = ciphertext.handle->GetElements();
    std::vector<DCRTPoly> parts{sum_of_products({{&a[0], &a[0]}}), sum_of_products({{&a[0], &a[1]}}),
                                sum_of_products({{&a[1], &a[1]}})};
    parts[1] += DCRTPoly(parts[1]);
    return product(ciphertext, ciphertext, std::move(parts));
}

void relinearize_in_place(Ciphertext& ciphertext) {
    if (ciphertext.part_count() == 2)
        return;
    require(ciphertext.part_count() == 3, "only a ciphertext of three parts can be relinearized");
    auto& parts   = ciphertext.handle->GetElements();
    auto key      = find_evaluation_key(ciphertext.handle->GetKeyTag(), MULTIPLICATION_KEY);
    auto switched = switch_key(ciphertext, decompose(parts[2], *ciphertext.handle), key);
    parts.resize(2);
    parts[0] += switched[0];
    parts[1] += switched[1];
}

// The internal operation, because the public one does nothing in a FLEXIBLEAUTO context.
void rescale_in_place(Ciphertext& ciphertext) {
    require(ciphertext.limb_count() >= 2, "no prime is left to rescale by");
    require(ciphertext.handle->GetNoiseScaleDeg() >= 1, "the ciphertext has no scale left to divide");
    double dropped = basis_of(ciphertext).GetParams().back()->GetModulus().ConvertToDouble();
    double factor  = ciphertext.handle->GetScalingFactor() / dropped;
    ciphertext.handle->GetCryptoContext()->GetScheme()->ModReduceInternalInPlace(ciphertext.handle, 1);
    ciphertext.handle->SetScalingFactor(factor);
}

void drop_levels_in_place(Ciphertext& ciphertext, std::uint32_t count) {
    require(count < ciphertext.limb_count(), "no limb would be left");
    if (count > 0)
        ciphertext.handle->GetCryptoContext()->GetScheme()->LevelReduceInternalInPlace(ciphertext.handle, count);
}

}  // namespace openfhe_shim
