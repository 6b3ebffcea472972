// Bootstrapping: depth, setup, keys and evaluation.

#include "internal.h"
#include "rns/team.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "ciphertext.h"
#include "key/privatekey.h"
#include "scheme/ckksrns/ckksrns-fhe.h"

namespace openfhe_shim {

namespace {

using lbcrypto::FHECKKSRNS;

// The list of rotations is private in OpenFHE, but must be known to make the keys one by one and to check them before
// a bootstrap. An explicit template instantiation may name a private member ([temp.spec.general]).
using FindSteps = std::vector<std::int32_t> (FHECKKSRNS::*)(std::uint32_t, std::uint32_t);
template <FindSteps Member>
struct StepsAccess {
    friend std::vector<std::int32_t> find_steps(FHECKKSRNS& scheme, std::uint32_t slots, std::uint32_t order) {
        return (scheme.*Member)(slots, order);
    }
};
std::vector<std::int32_t> find_steps(FHECKKSRNS& scheme, std::uint32_t slots, std::uint32_t order);
template struct StepsAccess<&FHECKKSRNS::FindBootstrapRotationIndices>;

// The bootstrapping part of a scheme is a protected member.
struct SchemeAccess : lbcrypto::SchemeBase<DCRTPoly> {
    static std::shared_ptr<FHECKKSRNS> bootstrapping(lbcrypto::SchemeBase<DCRTPoly>& scheme) {
        auto part = std::dynamic_pointer_cast<FHECKKSRNS>(scheme.*&SchemeAccess::m_FHE);
        require(part != nullptr, "bootstrapping is not enabled in this context");
        return part;
    }
};

std::vector<std::uint32_t> two_numbers(rust::Slice<const std::uint32_t> numbers, const char* message) {
    require(numbers.size() == 2, message);
    return {numbers.begin(), numbers.end()};
}

// OpenFHE would correct a budget outside of this range, with a message on the terminal.
std::vector<std::uint32_t> checked_budget(rust::Slice<const std::uint32_t> level_budget, std::uint32_t slots) {
    auto budget = two_numbers(level_budget, "the level budget is two numbers");
    std::uint32_t largest = 1;
    while (slots >> (largest + 1) != 0)
        ++largest;
    for (auto levels : budget)
        require(levels >= 1 && levels <= largest, "a level budget must be 1 to log2 of the slot count");
    return budget;
}

// OpenFHE looks keys up inside of OpenMP loops, where an exception would end the process: so they are checked before.
void check_keys(const Ciphertext& ciphertext) {
    auto context      = ciphertext.handle->GetCryptoContext();
    const auto& tag   = ciphertext.handle->GetKeyTag();
    auto order        = context->GetCyclotomicOrder();
    auto require_key  = [&](std::uint32_t id) { find_evaluation_key(tag, id); };
    for (auto step : bootstrap_steps(context, ciphertext.slots()))
        require_key(lbcrypto::FindAutomorphismIndex2nComplex(step, order));
    require_key(MULTIPLICATION_KEY);
    require_key(order - 1);
    if (ckks_parameters(*ciphertext.handle)->GetSecretKeyDist() == lbcrypto::SPARSE_ENCAPSULATED) {
        require_key(order - 2);
        require_key(order - 4);
    }
}

}  // namespace

std::vector<std::int32_t> bootstrap_steps(const lbcrypto::CryptoContext<DCRTPoly>& context, std::uint32_t slots) {
    return find_steps(*SchemeAccess::bootstrapping(*context->GetScheme()), slots, context->GetCyclotomicOrder());
}

std::uint32_t bootstrap_depth(rust::Slice<const std::uint32_t> level_budget, SecretKeyDistribution distribution) {
    auto budget = two_numbers(level_budget, "the level budget is two numbers");
    return FHECKKSRNS::GetBootstrapDepth(budget, convert(distribution));
}

void setup_bootstrap(const Context& context, rust::Slice<const std::uint32_t> level_budget,
                     rust::Slice<const std::uint32_t> dim1, std::uint32_t slots, std::uint32_t correction_factor) {
    auto inner  = two_numbers(dim1, "the inner dimensions are two numbers");
    require_slot_count(slots, context.ring_dimension());
    auto budget = checked_budget(level_budget, slots);
    auto depth  = FHECKKSRNS::GetBootstrapDepth(budget, context.parameters->GetSecretKeyDist());
    if (context.limb_count() <= depth + 1)
        fail("bootstrapping takes " + std::to_string(depth) + " levels and needs one more, the context has " +
             std::to_string(context.limb_count() - 1));
    const OpenMpThreads threads;
    context.handle->EvalBootstrapSetup(budget, inner, slots, correction_factor);
}

std::array<std::uint32_t, 2> encapsulation_key_ids(const Context& context) {
    return {context.cyclotomic_order() - 4, context.cyclotomic_order() - 2};
}

// The two keys from the main secret to a fresh one of weight 32 and back, as EvalBootstrapKeyGen makes them.
EncapsulationKeys generate_encapsulation_keys(const SecretKey& key) {
    auto context    = key.handle->GetCryptoContext();
    auto parameters = ckks_parameters(*key.handle);
    require(parameters->GetSecretKeyDist() == lbcrypto::SPARSE_ENCAPSULATED,
            "the context does not use sparse encapsulation");
    constexpr std::uint32_t WEIGHT = 32;
    DCRTPoly::TugType ternary;
    SecretKey sparse(std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(context));
    sparse.handle->SetPrivateElement(DCRTPoly(ternary, parameters->GetElementParams(), Format::EVALUATION, WEIGHT));

    auto order     = context->GetCyclotomicOrder();
    auto to_sparse = FHECKKSRNS::KeySwitchGenSparse(key.handle, sparse.handle);
    auto to_main   = context->GetScheme()->KeySwitchGen(sparse.handle, key.handle);
    return {std::unique_ptr<LooseKey>(new LooseKey{std::move(to_sparse), order - 4}),
            std::unique_ptr<LooseKey>(new LooseKey{std::move(to_main), order - 2})};
}

void set_slots(Ciphertext& ciphertext, std::uint32_t slots) {
    require_slot_count(slots, ciphertext.handle->GetCryptoContext()->GetRingDimension());
    ciphertext.handle->SetSlots(slots);
}

std::unique_ptr<Ciphertext> bootstrap(const Ciphertext& ciphertext, std::uint32_t iterations,
                                      std::uint32_t precision) {
    require(ciphertext.part_count() == 2, "relinearize the ciphertext before a bootstrap");
    require(ciphertext.limb_count() >= 2, "a bootstrap first consumes one level, none is left");
    require(precision < 32, "the precision of the first iteration must be below 32 bits");
    check_keys(ciphertext);
    auto handle = ciphertext.handle->GetCryptoContext()->EvalBootstrap(ciphertext.handle, iterations, precision);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace openfhe_shim
