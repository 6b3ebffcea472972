// Operations below the level of ciphertexts, for the benchmark: OpenFHE's own where the kernels are off.

#include "openfhe-reference/src/shim/reference.h"

#include "rns/basis.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "lattice/lat-hal.h"
#include "math/discreteuniformgenerator.h"
#include "math/nbtheory.h"

namespace openfhe_shim {

namespace {

using Basis = std::shared_ptr<DCRTPoly::Params>;

// Primes from the largest of so many bits down.
Basis primes_of(std::uint32_t ring_dimension, std::uint32_t bits, std::uint32_t count, std::uint32_t skip) {
    const std::uint32_t order = 2 * ring_dimension;
    std::vector<NativeInteger> moduli;
    std::vector<NativeInteger> roots;
    auto prime = lbcrypto::LastPrime<NativeInteger>(bits, order);
    for (std::uint32_t i = 0; i < count + skip; ++i) {
        if (i >= skip) {
            moduli.push_back(prime);
            roots.push_back(lbcrypto::RootOfUnity<NativeInteger>(order, prime));
        }
        prime = lbcrypto::PreviousPrime<NativeInteger>(prime, order);
    }
    return std::make_shared<DCRTPoly::Params>(order, moduli, roots);
}

NativeInteger product_of_others(const Basis& basis, std::size_t left_out, const NativeInteger& modulus) {
    NativeInteger product(1);
    const auto& limbs = basis->GetParams();
    for (std::size_t i = 0; i < limbs.size(); ++i) {
        if (i != left_out)
            product = product.ModMul(limbs[i]->GetModulus(), modulus);
    }
    return product;
}

}  // namespace

std::unique_ptr<Polynomial> uniform_polynomial(std::uint32_t ring_dimension, std::uint32_t bits, std::uint32_t limbs) {
    lbcrypto::DiscreteUniformGeneratorImpl<NativeVector> generator;
    auto basis = primes_of(ring_dimension, bits, limbs, 0);
    return std::unique_ptr<Polynomial>(new Polynomial{DCRTPoly(generator, basis, Format::EVALUATION)});
}

std::unique_ptr<Conversion> conversion_from(const Polynomial& polynomial, std::uint32_t bits, std::uint32_t limbs) {
    auto conversion  = std::unique_ptr<Conversion>(new Conversion);
    conversion->from = polynomial.element.GetParams();
    const auto& from = conversion->from->GetParams();
    // Beyond the source's own primes, should both have the same size.
    conversion->to = primes_of(polynomial.element.GetRingDimension(), bits, limbs, from.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
        const auto& q = from[i]->GetModulus();
        conversion->hat_inverse.push_back(product_of_others(conversion->from, i, q).ModInverse(q));
        conversion->hat_inverse_shoup.push_back(conversion->hat_inverse.back().PrepModMulConst(q));
        conversion->hat.emplace_back();
        for (const auto& target : conversion->to->GetParams())
            conversion->hat.back().push_back(product_of_others(conversion->from, i, target->GetModulus()));
    }
    for (const auto& target : conversion->to->GetParams())
        conversion->ratios.push_back(
            (static_cast<DoubleNativeInt>(-1) / target->GetModulus().ConvertToInt<std::uint64_t>()));
    return conversion;
}

void convert_polynomial(const Polynomial& polynomial, const Conversion& conversion) {
    polynomial.element.ApproxSwitchCRTBasis(conversion.from, conversion.to, conversion.hat_inverse,
                                            conversion.hat_inverse_shoup, conversion.hat, conversion.ratios);
}

void transform_polynomial(Polynomial& polynomial) {
    polynomial.element.SwitchFormat();
}

void multiply_polynomial_in_place(Polynomial& left, const Polynomial& right) {
    require(left.element.GetNumOfElements() == right.element.GetNumOfElements(),
            "the polynomials have different levels");
    left.element *= right.element;
}

void multiply_accumulate_polynomial(Polynomial& sum, const Polynomial& left, const Polynomial& right) {
    require(sum.element.GetNumOfElements() == left.element.GetNumOfElements() &&
                left.element.GetNumOfElements() == right.element.GetNumOfElements(),
            "the polynomials have different levels");
    if (!kernels::in_use()) {
        sum.element += left.element * right.element;
        return;
    }
    auto& limbs = sum.element.GetAllElements();
    for_each_limb(limbs.size(), [&](int i) {
        kernels::multiply_accumulate(mut_words(limbs[i]), words(left.element.GetElementAtIndex(i)),
                                     words(right.element.GetElementAtIndex(i)), word(limbs[i].GetModulus()));
    });
}

}  // namespace openfhe_shim
