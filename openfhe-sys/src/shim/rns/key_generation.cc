// Key generation of our own: keys for ciphertexts of few limbs, and key pairs that OpenFHE's contexts do not make.

#include "rns/kernels.h"
#include "rns/team.h"

#include "key/evalkeyrelin.h"
#include "key/privatekey.h"
#include "key/publickey.h"
#include "math/nbtheory.h"

#include <algorithm>
#include <cstring>

namespace openfhe_shim {

namespace {

// memset, but never removed as a dead store.
void wipe_bytes(void* memory, std::size_t bytes) {
    explicit_bzero(memory, bytes);
}

// A polynomial made from the secret, overwritten at its end.
struct Wiped {
    explicit Wiped(DCRTPoly secret) : polynomial(std::move(secret)) {}
    ~Wiped() { wipe(polynomial); }
    Wiped(const Wiped&)            = delete;
    Wiped& operator=(const Wiped&) = delete;

    DCRTPoly polynomial;
};

// The polynomial whose image under the automorphism is this one.
DCRTPoly inverse_automorphism(const DCRTPoly& polynomial, std::uint32_t index) {
    const auto dimension = polynomial.GetRingDimension();
    const auto inverse =
        NativeInteger(index).ModInverse(NativeInteger(2 * dimension)).ConvertToInt<std::uint32_t>();
    std::vector<std::uint32_t> map(dimension);
    lbcrypto::PrecomputeAutoMap(dimension, inverse, &map);
    return polynomial.AutomorphismTransform(inverse, map);
}

// A ternary polynomial over Q, brought to the first limbs of Q and all of P.
DCRTPoly extend_ternary(const DCRTPoly& ternary, const std::shared_ptr<DCRTPoly::Params>& basis, std::size_t limbs) {
    NativePoly coefficients = ternary.GetElementAtIndex(0);
    coefficients.SetFormat(Format::COEFFICIENT);
    DCRTPoly extended(basis, Format::EVALUATION);
    auto& elements = extended.GetAllElements();
    parallel_for(elements.size(), [&](std::size_t i) {
        if (i < limbs) {
            elements[i] = ternary.GetElementAtIndex(i);
            return;
        }
        const auto& limb = basis->GetParams()[i];
        elements[i]      = coefficients;
        elements[i].SwitchModulus(limb->GetModulus(), limb->GetRootOfUnity(), 0, 0);
        elements[i].SetFormat(Format::EVALUATION);
    });
    wipe_bytes(&coefficients[0], coefficients.GetLength() * sizeof(NativeInteger));
    return extended;
}

// One limb of small signed numbers in evaluation format.
NativePoly limb_of(const std::int64_t* numbers, const std::shared_ptr<NativePoly::Params>& parameters) {
    NativePoly limb(parameters, Format::COEFFICIENT, true);
    const std::uint64_t modulus = parameters->GetModulus().ConvertToInt();
    for (std::size_t i = 0; i < limb.GetLength(); ++i)
        limb[i] = numbers[i] < 0 ? modulus - static_cast<std::uint64_t>(-numbers[i])
                                 : static_cast<std::uint64_t>(numbers[i]);
    limb.SetFormat(Format::EVALUATION);
    return limb;
}

// The hybrid key from one secret to another for ciphertexts of up to so many limbs: for every digit a uniform `a` and
// `b = e - a * to + P * from`, the last over the digit's own limbs (Han, Ki, "Better bootstrapping for approximate
// homomorphic encryption", 2020, section 3). Limbs of Q that no such ciphertext has are left out, and digits too.
EvaluationKey switch_between(const lbcrypto::CryptoContext<DCRTPoly>& context, const Wiped& from, const Wiped& to,
                             std::size_t limbs) {
    const auto parameters =
        std::dynamic_pointer_cast<lbcrypto::CryptoParametersCKKSRNS>(context->GetCryptoParameters());
    const auto basis        = basis_of(*parameters->GetElementParams(), limbs, parameters->GetParamsP().get());
    const std::size_t width = parameters->GetNumPerPartQ();
    const auto& p           = parameters->GetPModq();
    const auto& gaussian    = parameters->GetDiscreteGaussianGenerator();
    const auto dimension    = context->GetRingDimension();
    const Wiped target(extend_ternary(to.polynomial, basis, limbs));
    std::vector<DCRTPoly> uniform;
    std::vector<DCRTPoly> masked;
    for (std::size_t start = 0; start < limbs; start += width) {
        const auto errors = gaussian.GenerateIntVector(dimension);
        uniform.emplace_back(basis, Format::EVALUATION);
        masked.emplace_back(basis, Format::EVALUATION);
        parallel_for(basis->GetParams().size(), [&](std::size_t i) {
            const auto& limb = basis->GetParams()[i];
            DCRTPoly::DugType generator;
            NativePoly a(limb, Format::EVALUATION);
            a.SetValues(generator.GenerateVector(dimension, limb->GetModulus()), Format::EVALUATION);
            NativePoly b = limb_of(errors.get(), limb);
            b -= a * target.polynomial.GetElementAtIndex(i);
            if (start <= i && i < std::min(start + width, limbs))
                b += from.polynomial.GetElementAtIndex(i) * p[i];
            uniform.back().GetAllElements()[i] = std::move(a);
            masked.back().GetAllElements()[i]  = std::move(b);
        });
        wipe_bytes(errors.get(), dimension * sizeof(std::int64_t));
    }
    auto key = std::make_shared<lbcrypto::EvalKeyRelinImpl<DCRTPoly>>(context);
    key->SetAVector(std::move(uniform));
    key->SetBVector(std::move(masked));
    return key;
}

}  // namespace

void wipe(DCRTPoly& secret) {
    for (auto& limb : secret.GetAllElements()) {
        if (!limb.IsEmpty() && limb.GetLength() > 0)
            wipe_bytes(&limb[0], limb.GetLength() * sizeof(NativeInteger));
    }
}

KeyPair generate_dense_key_pair(const Context& context) {
    require_system_randomness();
    const auto& basis = context.parameters->GetElementParams();
    require(context.parameters->GetParamsPK()->GetParams().size() == basis->GetParams().size(),
            "the public key of this context is not over Q");
    DCRTPoly::TugType ternary;
    DCRTPoly::DugType uniform;
    const auto& gaussian = context.parameters->GetDiscreteGaussianGenerator();
    DCRTPoly secret(ternary, basis, Format::EVALUATION);
    DCRTPoly mask(uniform, basis, Format::EVALUATION);
    DCRTPoly body(gaussian, basis, Format::EVALUATION);
    body -= mask * secret;

    auto secret_key = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(context.handle);
    auto public_key = std::make_shared<lbcrypto::PublicKeyImpl<DCRTPoly>>(context.handle, secret_key->GetKeyTag());
    secret_key->SetPrivateElement(std::move(secret));
    public_key->SetPublicElements({std::move(body), std::move(mask)});
    return KeyPair{std::unique_ptr<PublicKey>(new PublicKey{std::move(public_key)}),
                   std::make_unique<SecretKey>(std::move(secret_key))};
}

std::unique_ptr<LooseKey> generate_evaluation_key(const SecretKey& key, std::uint32_t id, std::uint32_t limbs) {
    require_system_randomness();
    const auto context    = key.handle->GetCryptoContext();
    const std::size_t all = context->GetElementParams()->GetParams().size();
    require(id == MULTIPLICATION_KEY || (id % 2 == 1 && id < context->GetCyclotomicOrder()),
            "this key has a function of its own");
    require(limbs >= 1 && limbs <= all, "a key has at least one limb and at most those of Q");
    // OpenFHE's own key switch takes keys over all of Q * P only.
    const std::size_t kept = kernels::in_use() ? limbs : all;
    Wiped secret(key.handle->GetPrivateElement().Clone());
    Wiped other(id == MULTIPLICATION_KEY ? secret.polynomial * secret.polynomial
                                         : inverse_automorphism(secret.polynomial, id));
    auto made = id == MULTIPLICATION_KEY ? switch_between(context, other, secret, kept)
                                         : switch_between(context, secret, other, kept);
    return std::unique_ptr<LooseKey>(new LooseKey{std::move(made), id});
}

}  // namespace openfhe_shim
