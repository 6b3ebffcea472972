// Encoding at a scale of the caller's choice, encryption and decryption.

#include "basis.h"
#include "encoding.h"

#include "ciphertext.h"
#include "encoding/ckkspackedencoding.h"
#include "key/privatekey.h"
#include "key/publickey.h"

#include <algorithm>
#include <cmath>

namespace openfhe_shim {

namespace {

// A limb of the large ring.
NativePoly limb_of(const Residues& residues, const Coefficients& coefficients, std::size_t number,
                   const std::shared_ptr<NativePoly::Params>& parameters) {
    NativePoly limb = zero_limb(parameters, Format::EVALUATION);
    auto repeated   = mut_words(limb);
    if (residues.log_repeats() == 0) {
        residues.write(repeated, coefficients, number);
        return limb;
    }
    std::vector<std::uint64_t> values(residues.length());
    residues.write({values.data(), values.size()}, coefficients, number);
    const std::size_t repeats = std::size_t(1) << residues.log_repeats();
    for (std::size_t i = 0; i < values.size(); ++i)
        std::fill_n(repeated.begin() + i * repeats, repeats, values[i]);
    return limb;
}

DCRTPoly encode_over(const Context& context, rust::Slice<const double> values, std::uint32_t slots,
                     std::uint32_t level, double scale, const std::shared_ptr<DCRTPoly::Params>& basis) {
    check_encoding(context, slots, level, scale);
    check_values(values, slots);
    const Encoding encoding = encoding_of(slots, scale);
    const Residues residues(*basis, encoding);
    Coefficients coefficients;
    Coefficients none;
    require(coefficients_of(encoding, slots, values, {}, coefficients, none), "a value times the scale is not finite");

    DCRTPoly element(basis, Format::EVALUATION);
    auto& limbs = element.GetAllElements();
    for_each_limb(limbs.size(),
                  [&](int i) { limbs[i] = limb_of(residues, coefficients, i, basis->GetParams()[i]); });
    return element;
}

}  // namespace

std::size_t Plaintext::byte_size() const {
    return byte_size_of(element);
}

std::size_t ExtendedPlaintext::byte_size() const {
    return byte_size_of(element);
}

std::unique_ptr<Plaintext> encode(const Context& context, rust::Slice<const double> values, std::uint32_t slots,
                                  std::uint32_t level, double scale) {
    require(level < context.bases.size(), "the level is beyond the last prime");
    auto element = encode_over(context, values, slots, level, scale, context.bases[level]);
    return std::unique_ptr<Plaintext>(new Plaintext{std::move(element), level, slots, scale});
}

std::unique_ptr<ExtendedPlaintext> encode_extended(const Context& context, rust::Slice<const double> values,
                                                   std::uint32_t slots, std::uint32_t level, double scale) {
    require(level < context.extended_bases.size(), "the level is beyond the last prime");
    auto element = encode_over(context, values, slots, level, scale, context.extended_bases[level]);
    return std::unique_ptr<ExtendedPlaintext>(new ExtendedPlaintext{std::move(element), level, slots, scale});
}

std::unique_ptr<Ciphertext> encrypt(const PublicKey& key, const Plaintext& plaintext) {
    auto handle = key.handle->GetCryptoContext()->GetScheme()->Encrypt(plaintext.element, key.handle);
    handle->SetEncodingType(lbcrypto::CKKS_PACKED_ENCODING);
    handle->SetSlots(plaintext.slots_);
    handle->SetLevel(plaintext.level_);
    handle->SetNoiseScaleDeg(1);
    handle->SetScalingFactor(plaintext.scale);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

// OpenFHE decodes a FLEXIBLEAUTO ciphertext at the scaling factor in its metadata and a FIXEDMANUAL one at a power of
// its fixed scale; the result is corrected for the latter.
rust::Vec<double> decrypt(const SecretKey& key, const Ciphertext& ciphertext, double scale) {
    require(std::isfinite(scale) && scale > 0, "the scale must be positive and finite");
    require(key.handle->GetKeyTag() == ciphertext.handle->GetKeyTag(), "the ciphertext belongs to another key");
    require(ciphertext.part_count() == 2 || ciphertext.part_count() == 3, "a ciphertext has two or three parts");
    auto parameters = ckks_parameters(*ciphertext.handle);
    auto copy       = ciphertext.handle->Clone();
    copy->SetScalingFactor(scale);
    double correction = 1;
    if (parameters->GetScalingTechnique() == lbcrypto::FIXEDMANUAL) {
        std::size_t degree = ciphertext.limb_count() == 1 ? 1 : std::max<std::size_t>(1, copy->GetNoiseScaleDeg());
        copy->SetNoiseScaleDeg(degree);
        correction = std::pow(parameters->GetScalingFactorReal(0), static_cast<double>(degree)) / scale;
    }
    lbcrypto::Plaintext decrypted;
    auto result = key.handle->GetCryptoContext()->Decrypt(copy, key.handle, &decrypted);
    require(result.isValid, "decryption failed");

    rust::Vec<double> values;
    values.reserve(ciphertext.slots());
    for (const auto& value : decrypted->GetCKKSPackedValue())
        values.push_back(value.real() * correction);
    return values;
}

}  // namespace openfhe_shim
