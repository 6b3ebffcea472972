// Encoding at a scale of the caller's choice.

#include "rns/basis.h"
#include "rns/encoding.h"

#include <algorithm>

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

}  // namespace openfhe_shim
