#include "limbs.h"

#include "math/nbtheory.h"

#include <algorithm>
#include <array>
#include <type_traits>

namespace openfhe_shim {

namespace {

static_assert(std::is_standard_layout<NativeInteger>::value && sizeof(NativeInteger) == sizeof(std::uint64_t),
              "a residue is one 64-bit word");

using Wide = unsigned __int128;

// Products of residues below 2^60 that a 128-bit sum holds, with a residue on top.
constexpr std::size_t LAZY_TERMS = 128;

// Coefficients whose sums stay in the first-level cache.
constexpr std::size_t BLOCK = 256;

std::uint64_t high_word(Wide number) {
    return static_cast<std::uint64_t>(number >> 64);
}

std::uint64_t low_word(Wide number) {
    return static_cast<std::uint64_t>(number);
}

// Barrett reduction of any 128-bit number modulo a prime below 2^62: the quotient is the high half of the number times
// floor(2^128 / prime), at most one too small.
class Reducer {
public:
    explicit Reducer(std::uint64_t prime)
        : prime_(prime), ratio_high_(high_word(~Wide(0) / prime)), ratio_low_(low_word(~Wide(0) / prime)) {}

    std::uint64_t operator()(Wide number) const {
        const std::uint64_t high = high_word(number);
        const std::uint64_t low  = low_word(number);
        const Wide first         = Wide(low) * ratio_high_ + high_word(Wide(low) * ratio_low_);
        const Wide second        = Wide(high) * ratio_low_ + low_word(first);
        const std::uint64_t quotient  = high * ratio_high_ + high_word(first) + high_word(second);
        const std::uint64_t remainder = low - quotient * prime_;
        return remainder >= prime_ ? remainder - prime_ : remainder;
    }

private:
    std::uint64_t prime_;
    std::uint64_t ratio_high_;
    std::uint64_t ratio_low_;
};

using Sums = std::array<Wide, BLOCK>;

void add_term(Sums& sums, const std::uint64_t* left, const std::uint64_t* right, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        sums[i] += Wide(left[i]) * right[i];
}

void reduce(Sums& sums, std::size_t count, const Reducer& reducer) {
    for (std::size_t i = 0; i < count; ++i)
        sums[i] = reducer(sums[i]);
}

void add_block(Sums& sums, const std::vector<LimbProduct>& terms, std::size_t start, std::size_t count,
               const Reducer& reducer) {
    for (std::size_t term = 0; term < terms.size(); ++term) {
        if (term != 0 && term % LAZY_TERMS == 0)
            reduce(sums, count, reducer);
        add_term(sums, words_of(*terms[term].left) + start, words_of(*terms[term].right) + start, count);
    }
}

// The sum starts from its own value where it accumulates, else from 0.
template <bool ACCUMULATE>
void sum_limb(NativePoly& sum, const std::vector<LimbProduct>& terms) {
    const Reducer reducer(sum.GetModulus().ConvertToInt());
    std::uint64_t* result    = words_of(sum);
    const std::size_t length = sum.GetLength();
    Sums sums;
    for (std::size_t start = 0; start < length; start += BLOCK) {
        const std::size_t count = std::min(BLOCK, length - start);
        for (std::size_t i = 0; i < count; ++i)
            sums[i] = ACCUMULATE ? result[start + i] : 0;
        add_block(sums, terms, start, count, reducer);
        for (std::size_t i = 0; i < count; ++i)
            result[start + i] = reducer(sums[i]);
    }
}

}  // namespace

void set_sum_of_products(NativePoly& sum, const std::vector<LimbProduct>& terms) {
    sum_limb<false>(sum, terms);
}

void add_sum_of_products(NativePoly& sum, const std::vector<LimbProduct>& terms) {
    sum_limb<true>(sum, terms);
}

DCRTPoly sum_of_products(const std::vector<Product>& terms) {
    const auto& basis = terms.at(0).left->GetParams();
    DCRTPoly sum(basis, Format::EVALUATION);
    auto& limbs = sum.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        limbs[i] = NativePoly(basis->GetParams()[i], Format::EVALUATION, true);
        std::vector<LimbProduct> products;
        for (const auto& term : terms)
            products.push_back({&term.left->GetElementAtIndex(i), &term.right->GetElementAtIndex(i)});
        set_sum_of_products(limbs[i], products);
    });
    return sum;
}

void multiply_accumulate(DCRTPoly& sum, const DCRTPoly& left, const DCRTPoly& right) {
    auto& limbs = sum.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        add_sum_of_products(limbs[i], {{&left.GetElementAtIndex(i), &right.GetElementAtIndex(i)}});
    });
}

void multiply_in_place(DCRTPoly& left, const DCRTPoly& right) {
    auto& limbs = left.GetAllElements();
    for_each_limb(limbs.size(),
                  [&](int i) { set_sum_of_products(limbs[i], {{&limbs[i], &right.GetElementAtIndex(i)}}); });
}

DCRTPoly automorphism(const DCRTPoly& polynomial, std::uint32_t index) {
    const auto dimension = polynomial.GetRingDimension();
    std::vector<std::uint32_t> map(dimension);
    lbcrypto::PrecomputeAutoMap(dimension, index, &map);
    DCRTPoly result(polynomial.GetParams(), Format::EVALUATION);
    auto& limbs = result.GetAllElements();
    for_each_limb(limbs.size(),
                  [&](int i) { limbs[i] = polynomial.GetElementAtIndex(i).AutomorphismTransform(index, map); });
    return result;
}

}  // namespace openfhe_shim
