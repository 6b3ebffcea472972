// Creating a context and asking it for its primes and scaling factors.

#include "internal.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "gen-cryptocontext.h"
#include "math/dftransform.h"
#include "scheme/ckksrns/gen-cryptocontext-ckksrns.h"

#include <cmath>

namespace openfhe_shim {

namespace {

lbcrypto::ScalingTechnique convert(ScalingTechnique technique) {
    switch (technique) {
        case ScalingTechnique::FixedManual:
            return lbcrypto::FIXEDMANUAL;
        case ScalingTechnique::FlexibleAuto:
            return lbcrypto::FLEXIBLEAUTO;
    }
    fail("unknown scaling technique");
}

lbcrypto::SecurityLevel convert(SecurityLevel level) {
    switch (level) {
        case SecurityLevel::Classic128:
            return lbcrypto::HEStd_128_classic;
        case SecurityLevel::NotSet:
            return lbcrypto::HEStd_NotSet;
    }
    fail("unknown security level");
}

bool is_power_of_two(std::uint32_t number) {
    return number != 0 && (number & (number - 1)) == 0;
}

// OpenFHE answers some values outside these ranges with a division by zero or an endless search for primes.
void check(const ContextParameters& parameters) {
    auto n = parameters.ring_dimension;
    require(is_power_of_two(n) && n >= 16 && n <= (1U << 17), "the ring dimension must be a power of two, 2^4 to 2^17");
    require(is_power_of_two(parameters.slots) && parameters.slots <= n / 2,
            "the slot count must be a power of two, at most half the ring dimension");
    require(parameters.multiplicative_depth >= 1 && parameters.multiplicative_depth <= 100,
            "the multiplicative depth must be 1 to 100");
    require(parameters.scaling_mod_bits >= 20 && parameters.scaling_mod_bits <= 59,
            "the scaling primes must have 20 to 59 bits");
    require(parameters.first_mod_bits >= parameters.scaling_mod_bits && parameters.first_mod_bits <= 60,
            "the first prime must have at least the bits of the scaling primes and at most 60");
    require(parameters.digits >= 1 && parameters.digits <= parameters.multiplicative_depth + 1,
            "the number of key switching digits must be 1 to the number of primes");
}

lbcrypto::CCParams<lbcrypto::CryptoContextCKKSRNS> convert(const ContextParameters& parameters) {
    lbcrypto::CCParams<lbcrypto::CryptoContextCKKSRNS> result;
    result.SetRingDim(parameters.ring_dimension);
    result.SetBatchSize(parameters.slots);
    result.SetMultiplicativeDepth(parameters.multiplicative_depth);
    result.SetScalingModSize(parameters.scaling_mod_bits);
    result.SetFirstModSize(parameters.first_mod_bits);
    result.SetNumLargeDigits(parameters.digits);
    result.SetScalingTechnique(convert(parameters.scaling_technique));
    result.SetSecretKeyDist(convert(parameters.secret_key_distribution));
    result.SetSecurityLevel(convert(parameters.security_level));
    result.SetKeySwitchTechnique(lbcrypto::HYBRID);
    result.SetPREMode(lbcrypto::NOT_SET);  // without proxy re-encryption the public key is over Q, else over Q * P
    return result;
}

rust::Vec<std::uint64_t> moduli_of(const DCRTPoly::Params& basis) {
    rust::Vec<std::uint64_t> moduli;
    for (const auto& limb : basis.GetParams())
        moduli.push_back(limb->GetModulus().ConvertToInt());
    return moduli;
}

}  // namespace

lbcrypto::SecretKeyDist convert(SecretKeyDistribution distribution) {
    switch (distribution) {
        case SecretKeyDistribution::UniformTernary:
            return lbcrypto::UNIFORM_TERNARY;
        case SecretKeyDistribution::SparseTernary:
            return lbcrypto::SPARSE_TERNARY;
        case SecretKeyDistribution::SparseEncapsulated:
            return lbcrypto::SPARSE_ENCAPSULATED;
    }
    fail("unknown secret key distribution");
}

std::shared_ptr<DCRTPoly::Params> basis_of(const DCRTPoly::Params& q, std::size_t limbs, const DCRTPoly::Params* p) {
    std::vector<NativeInteger> moduli;
    std::vector<NativeInteger> roots;
    auto append = [&](const auto& limb) {
        moduli.push_back(limb->GetModulus());
        roots.push_back(limb->GetRootOfUnity());
    };
    for (std::size_t i = 0; i < limbs; ++i)
        append(q.GetParams()[i]);
    if (p != nullptr) {
        for (const auto& limb : p->GetParams())
            append(limb);
    }
    return std::make_shared<DCRTPoly::Params>(q.GetCyclotomicOrder(), moduli, roots);
}

Context::Context(lbcrypto::CryptoContext<DCRTPoly> context)
    : handle(std::move(context)),
      parameters(std::dynamic_pointer_cast<lbcrypto::CryptoParametersCKKSRNS>(handle->GetCryptoParameters())) {
    require(parameters != nullptr, "the context is not a CKKS context");
    require(parameters->GetParamsP() != nullptr, "the context does not use hybrid key switching");
    const auto& q = *parameters->GetElementParams();
    for (std::size_t limbs = q.GetParams().size(); limbs > 0; --limbs) {
        bases.push_back(basis_of(q, limbs, nullptr));
        extended_bases.push_back(basis_of(q, limbs, parameters->GetParamsP().get()));
    }
}

std::uint32_t Context::ring_dimension() const noexcept {
    return handle->GetRingDimension();
}

std::uint32_t Context::cyclotomic_order() const {
    return handle->GetCyclotomicOrder();
}

std::uint32_t Context::slots() const noexcept {
    return handle->GetEncodingParams()->GetBatchSize();
}

std::uint32_t Context::limb_count() const noexcept {
    return static_cast<std::uint32_t>(bases.size());
}

rust::Vec<std::uint64_t> Context::moduli_q() const {
    return moduli_of(*parameters->GetElementParams());
}

rust::Vec<std::uint64_t> Context::moduli_p() const {
    return moduli_of(*parameters->GetParamsP());
}

double Context::log2_qp() const noexcept {
    double bits = 0;
    for (const auto& limb : parameters->GetParamsQP()->GetParams())
        bits += std::log2(limb->GetModulus().ConvertToDouble());
    return bits;
}

rust::Vec<double> Context::scaling_factors() const {
    rust::Vec<double> factors;
    for (std::uint32_t level = 0; level < limb_count(); ++level)
        factors.push_back(parameters->GetScalingFactorReal(level));
    return factors;
}

std::unique_ptr<Context> create_context(const ContextParameters& parameters) {
    check(parameters);
    auto context = lbcrypto::GenCryptoContext(convert(parameters));
    for (auto feature : {lbcrypto::PKE, lbcrypto::KEYSWITCH, lbcrypto::LEVELEDSHE, lbcrypto::ADVANCEDSHE, lbcrypto::FHE})
        context->Enable(feature);
    return std::make_unique<Context>(std::move(context));
}

// Through OpenFHE's own transforms, which make a table that is missing or of another ring dimension: the class of the
// tables would bring copies of these transforms into the program, past the overrides.
void prepare_transforms(const Context& context) {
    const auto order = context.cyclotomic_order();
    for (const auto& limb : context.parameters->GetParamsQP()->GetParams()) {
        NativePoly polynomial(limb, Format::COEFFICIENT, true);
        polynomial.SetFormat(Format::EVALUATION);
    }
    lbcrypto::DiscreteFourierTransform::Initialize(order, order / 4);
}

}  // namespace openfhe_shim
