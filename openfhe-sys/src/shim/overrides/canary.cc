#include "overrides/canary.h"

#include "internal.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "ciphertext.h"
#include "key/privatekey.h"
#include "key/publickey.h"
#include "scheme/ckksrns/ckksrns-fhe.h"
#include "scheme/ckksrns/ckksrns-utils.h"

#include <array>
#include <exception>
#include <utility>

namespace openfhe_shim {

namespace {

// The smallest context with what the operations below need: a prime to rescale by, and a key switch.
ContextParameters smallest() {
    ContextParameters parameters;
    parameters.ring_dimension          = 16;
    parameters.slots                   = 8;
    parameters.multiplicative_depth    = 1;
    parameters.scaling_mod_bits        = 30;
    parameters.first_mod_bits          = 40;
    parameters.digits                  = 1;
    parameters.scaling_technique       = ScalingTechnique::FixedManual;
    parameters.secret_key_distribution = SecretKeyDistribution::UniformTernary;
    parameters.security_level          = SecurityLevel::NotSet;
    return parameters;
}

// What a bootstrap has precomputed is private in OpenFHE. An explicit template instantiation may name a private member
// ([temp.spec.general]).
using Precomputed = std::map<std::uint32_t, std::shared_ptr<lbcrypto::CKKSBootstrapPrecom>>;
template <Precomputed lbcrypto::FHECKKSRNS::*Member>
struct PrecomputedAccess {
    friend Precomputed& precomputed_of(lbcrypto::FHECKKSRNS& scheme) { return scheme.*Member; }
};
Precomputed& precomputed_of(lbcrypto::FHECKKSRNS& scheme);
template struct PrecomputedAccess<&lbcrypto::FHECKKSRNS::m_bootPrecomMap>;

// Transforms of no stages: the decoding of a bootstrap goes through them and changes nothing.
void decode(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext) {
    lbcrypto::FHECKKSRNS scheme;
    precomputed_of(scheme)[ciphertext->GetSlots()] = std::make_shared<lbcrypto::CKKSBootstrapPrecom>();
    scheme.EvalHomDecoding(ciphertext, 1, 0);
}

// One operation of OpenFHE for every file, in the order of the files.
void sing() {
    const auto context = create_context(smallest());
    const auto pair    = generate_key_pair(*context);
    const auto scheme  = context->handle->GetScheme();
    const DCRTPoly zero(context->bases[0], Format::EVALUATION, true);
    auto ciphertext = scheme->Encrypt(zero, pair.public_key->handle);
    ciphertext->SetSlots(context->slots());
    ciphertext->SetNoiseScaleDeg(2);

    NativePoly limb = zero.GetElementAtIndex(0);
    limb.SwitchFormat();
    auto rescaled = ciphertext->Clone();
    scheme->ModReduceInternalInPlace(rescaled, 1);
    const auto& secret = pair.secret_key->handle;
    auto switched      = ciphertext->Clone();
    scheme->KeySwitchInPlace(switched, scheme->KeySwitchGen(secret, secret));
    decode(ciphertext);
}

}  // namespace

rust::String deaf_overrides() {
    const std::array<std::pair<bool*, const char*>, 4> files = {{{&limb_overrides_called, "limbs"},
                                                                 {&polynomial_overrides_called, "polynomials"},
                                                                 {&key_switch_overrides_called, "key switch"},
                                                                 {&bootstrap_overrides_called, "bootstrap"}}};
    for (const auto& file : files)
        *file.first = false;
    try {
        sing();
    } catch (const std::exception&) {
        // What was to be called after this was not.
    }
    std::string deaf;
    for (const auto& file : files) {
        if (!*file.first)
            deaf += (deaf.empty() ? "" : ", ") + std::string(file.second);
    }
    return deaf;
}

}  // namespace openfhe_shim
