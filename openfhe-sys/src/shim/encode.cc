// Encoding at a scale of the caller's choice, encryption and decryption.

#include "internal.h"
#include "team.h"

#include "ciphertext.h"
#include "encoding/ckkspackedencoding.h"
#include "key/privatekey.h"
#include "key/publickey.h"
#include "math/dftransform.h"

#include <algorithm>
#include <cmath>
#include <complex>

namespace openfhe_shim {

namespace {

// Integer coefficients that stand for the number times two to the power.
struct Coefficients {
    std::vector<std::int64_t> numbers;
    std::uint32_t power_of_two;
};

constexpr int WORD_BITS = 62;

void check_encoding(const Context& context, rust::Slice<const double> values, std::uint32_t slots,
                    std::uint32_t level, double scale) {
    require_slot_count(slots, context.ring_dimension());
    require(values.size() <= slots, "more values than slots");
    require(level < context.limb_count(), "the level is beyond the last prime");
    require(std::isfinite(scale) && scale > 0, "the scale must be positive and finite");
    require(std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }),
            "a value to encode is not finite");
}

// Splits the numbers into words and one power of two; only numbers beyond a word lose bits, and those only bits that
// the floating-point transform has not computed.
Coefficients round_all(const std::vector<std::complex<double>>& spectrum, double scale) {
    double largest = 0;
    for (const auto& number : spectrum)
        largest = std::max({largest, std::fabs(number.real()), std::fabs(number.imag())});
    largest *= scale;
    require(std::isfinite(largest), "a value times the scale is not finite");

    int exponent = 0;
    std::frexp(largest, &exponent);
    int shift     = std::max(0, exponent - WORD_BITS);
    double factor = std::ldexp(scale, -shift);

    std::size_t count = spectrum.size();
    Coefficients result{std::vector<std::int64_t>(2 * count), static_cast<std::uint32_t>(shift)};
    for (std::size_t i = 0; i < count; ++i) {
        result.numbers[i]         = std::llround(spectrum[i].real() * factor);
        result.numbers[i + count] = std::llround(spectrum[i].imag() * factor);
    }
    return result;
}

std::uint64_t residue(std::int64_t number, std::uint64_t modulus) {
    std::uint64_t magnitude = number < 0 ? -static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
    if (magnitude >= modulus)
        magnitude %= modulus;
    return number < 0 && magnitude != 0 ? modulus - magnitude : magnitude;
}

// One limb in evaluation format; the coefficients are spread over the ring with a gap where there are fewer.
NativePoly limb_of(const Coefficients& coefficients, const std::shared_ptr<NativePoly::Params>& parameters) {
    NativePoly limb(parameters, Format::COEFFICIENT, true);
    std::uint64_t modulus = parameters->GetModulus().ConvertToInt();
    std::size_t gap       = limb.GetLength() / coefficients.numbers.size();
    for (std::size_t i = 0; i < coefficients.numbers.size(); ++i)
        limb[i * gap] = residue(coefficients.numbers[i], modulus);
    limb.SetFormat(Format::EVALUATION);
    if (coefficients.power_of_two > 0)
        limb *= NativeInteger(2).ModExp(NativeInteger(coefficients.power_of_two), NativeInteger(modulus));
    return limb;
}

DCRTPoly encode_over(const Context& context, rust::Slice<const double> values, std::uint32_t slots, double scale,
                     const std::shared_ptr<DCRTPoly::Params>& basis) {
    std::vector<std::complex<double>> spectrum(values.begin(), values.end());
    spectrum.resize(slots);
    lbcrypto::DiscreteFourierTransform::FFTSpecialInv(spectrum, context.cyclotomic_order());
    Coefficients coefficients = round_all(spectrum, scale);

    DCRTPoly element(basis, Format::EVALUATION);
    auto& limbs = element.GetAllElements();
    parallel_for(limbs.size(), [&](std::size_t i) { limbs[i] = limb_of(coefficients, basis->GetParams()[i]); });
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
    check_encoding(context, values, slots, level, scale);
    auto element = encode_over(context, values, slots, scale, context.bases[level]);
    return std::unique_ptr<Plaintext>(new Plaintext{std::move(element), level, slots, scale});
}

std::unique_ptr<ExtendedPlaintext> encode_extended(const Context& context, rust::Slice<const double> values,
                                                   std::uint32_t slots, std::uint32_t level, double scale) {
    check_encoding(context, values, slots, level, scale);
    auto element = encode_over(context, values, slots, scale, context.extended_bases[level]);
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
