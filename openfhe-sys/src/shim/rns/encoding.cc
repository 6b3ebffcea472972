#include "rns/encoding.h"

#include "math/math-hal.h"

#include <algorithm>
#include <cmath>

// The library has it. Compiled here it would take the library's place, with transforms that do not call the kernels.
extern template class intnat::ChineseRemainderTransformFTTNat<NativeVector>;

namespace openfhe_shim {

namespace {

using Transform = intnat::ChineseRemainderTransformFTTNat<NativeVector>;

constexpr std::size_t LEAST_WIDTH = 4;

// Values of all slots of the small ring; fewer slots repeat.
std::vector<double> spread(rust::Slice<const double> values, std::uint32_t slots, std::size_t width) {
    std::vector<double> result(width);
    for (std::size_t start = 0; start < width; start += slots)
        std::copy(values.begin(), values.end(), result.begin() + start);
    return result;
}

}  // namespace

void check_encoding(const Context& context, std::uint32_t slots, std::uint32_t level, double scale) {
    require_slot_count(slots, context.ring_dimension());
    require(level < context.limb_count(), "the level is beyond the last prime");
    require(std::isfinite(scale) && scale > 0, "the scale must be positive and finite");
}

void check_values(rust::Slice<const double> values, std::uint32_t slots) {
    require(values.size() <= slots, "more values than slots");
    require(std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); }),
            "a value to encode is not finite");
}

Encoding encoding_of(std::uint32_t slots, double scale) {
    return {std::max<std::size_t>(slots, LEAST_WIDTH), scale};
}

bool coefficients_of(const Encoding& encoding, std::uint32_t slots, rust::Slice<const double> first,
                     rust::Slice<const double> second, Coefficients& first_result, Coefficients& second_result) {
    std::vector<double> wide_first;
    std::vector<double> wide_second;
    if (slots < encoding.width) {
        wide_first  = spread(first, slots, encoding.width);
        wide_second = spread(second, slots, encoding.width);
        first       = {wide_first.data(), wide_first.size()};
        second      = {wide_second.data(), wide_second.size()};
    }
    first_result.half.resize(encoding.width);
    second_result.half.resize(encoding.width);
    const std::int32_t power =
        kernels::real_coefficients(first, second, encoding.scale, {first_result.half.data(), encoding.width},
                                   {second_result.half.data(), encoding.width});
    first_result.power_of_two = second_result.power_of_two = static_cast<std::uint32_t>(std::max(power, 0));
    return power >= 0;
}

// OpenFHE's twiddles of the large ring begin with those of the small one.
Residues::Residues(const DCRTPoly::Params& basis, const Encoding& encoding) : length_(2 * encoding.width) {
    const std::size_t dimension = basis.GetRingDimension();
    while (length_ << log_repeats_ < dimension)
        ++log_repeats_;
    for (const auto& prime : basis.GetParams()) {
        const NativeInteger& modulus = prime->GetModulus();
        const auto found             = Transform::m_rootOfUnityReverseTableByModulus.find(modulus);
        if (found == Transform::m_rootOfUnityReverseTableByModulus.end() || found->second.GetLength() != dimension)
            Transform().PreCompute(prime->GetRootOfUnity(), 2 * dimension, modulus);
        const auto roots = words(Transform::m_rootOfUnityReverseTableByModulus.at(modulus));
        const auto shoup = words(Transform::m_rootOfUnityPreconReverseTableByModulus.at(modulus));
        primes_.push_back({word(modulus), {roots.data(), length_}, {shoup.data(), length_}});
    }
}

void Residues::write(rust::Slice<std::uint64_t> limb, const Coefficients& coefficients, std::size_t number) const {
    const Prime& prime = primes_[number];
    kernels::encode_limb(limb, {coefficients.half.data(), coefficients.half.size()}, coefficients.power_of_two,
                         prime.modulus, prime.roots, prime.shoup);
}

}  // namespace openfhe_shim
