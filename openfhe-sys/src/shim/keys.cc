// Key generation, and the process-wide maps that hold the evaluation keys.

#include "internal.h"
#include "team.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "key/privatekey.h"
#include "key/publickey.h"
#include "math/nbtheory.h"

#include <cstring>

namespace openfhe_shim {

namespace {

// memset, but never removed as a dead store.
void wipe(void* memory, std::size_t bytes) {
    explicit_bzero(memory, bytes);
}

void wipe(DCRTPoly& secret) {
    for (auto& limb : secret.GetAllElements()) {
        if (!limb.IsEmpty() && limb.GetLength() > 0)
            wipe(&limb[0], limb.GetLength() * sizeof(NativeInteger));
    }
}

KeyPair to_shared(lbcrypto::KeyPair<DCRTPoly> pair) {
    require(pair.good(), "key generation failed");
    return KeyPair{std::unique_ptr<PublicKey>(new PublicKey{pair.publicKey}),
                   std::make_unique<SecretKey>(pair.secretKey)};
}

std::vector<std::int32_t> to_vector(rust::Slice<const std::int32_t> numbers) {
    return {numbers.begin(), numbers.end()};
}

}  // namespace

SecretKey::~SecretKey() {
    if (handle != nullptr)
        wipe(const_cast<DCRTPoly&>(handle->GetPrivateElement()));
}

rust::String SecretKey::key_tag() const {
    return handle->GetKeyTag();
}

rust::String PublicKey::key_tag() const {
    return handle->GetKeyTag();
}

KeyPair generate_key_pair(const Context& context) {
    return to_shared(context.handle->KeyGen());
}

KeyPair generate_dense_key_pair(const Context& context) {
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
    return to_shared({public_key, secret_key});
}

std::uint32_t rotation_key_id(const Context& context, std::int32_t step) {
    require(step != 0, "a rotation by 0 needs no key");
    return lbcrypto::FindAutomorphismIndex2nComplex(step, context.cyclotomic_order());
}

std::uint32_t conjugation_key_id(const Context& context) {
    return context.cyclotomic_order() - 1;
}

void generate_multiplication_key(const SecretKey& key) {
    key.handle->GetCryptoContext()->EvalMultKeyGen(key.handle);
}

void generate_rotation_key(const SecretKey& key, std::int32_t step) {
    key.handle->GetCryptoContext()->EvalAtIndexKeyGen(key.handle, {step});
}

void generate_rotation_keys(const SecretKey& key, rust::Slice<const std::int32_t> steps) {
    if (steps.empty())
        return;
    const OpenMpThreads threads;
    key.handle->GetCryptoContext()->EvalAtIndexKeyGen(key.handle, to_vector(steps));
}

void generate_conjugation_key(const SecretKey& key) {
    auto context = key.handle->GetCryptoContext();
    auto id      = context->GetCyclotomicOrder() - 1;
    auto keys    = context->GetScheme()->EvalAutomorphismKeyGen(key.handle, {id});
    ContextImpl::InsertEvalAutomorphismKey(keys, key.handle->GetKeyTag());
}

const EvaluationKeyMap& rotation_keys(const std::string& tag) {
    return *ContextImpl::GetEvalAutomorphismKeyMapPtr(tag);
}

EvaluationKey find_evaluation_key(const std::string& tag, std::uint32_t id) {
    if (id == MULTIPLICATION_KEY)
        return ContextImpl::GetEvalMultKeyVector(tag).at(0);
    const auto& keys = rotation_keys(tag);
    auto found       = keys.find(id);
    if (found == keys.end())
        fail("no evaluation key " + std::to_string(id) + " for key tag " + tag);
    return found->second;
}

bool has_evaluation_key(const std::string& tag, std::uint32_t id) {
    if (id == MULTIPLICATION_KEY)
        return ContextImpl::GetAllEvalMultKeys().count(tag) != 0;
    const auto& all = ContextImpl::GetAllEvalAutomorphismKeys();
    auto found      = all.find(tag);
    return found != all.end() && found->second->count(id) != 0;
}

void insert_evaluation_key(const std::string& tag, std::uint32_t id, EvaluationKey key) {
    if (id == MULTIPLICATION_KEY) {
        ContextImpl::GetAllEvalMultKeys()[tag] = {std::move(key)};
        return;
    }
    auto& keys = ContextImpl::GetAllEvalAutomorphismKeys()[tag];
    if (keys == nullptr)
        keys = std::make_shared<EvaluationKeyMap>();
    (*keys)[id] = std::move(key);
}

rust::Vec<std::uint32_t> evaluation_key_ids(rust::Str tag) {
    rust::Vec<std::uint32_t> ids;
    std::string name = to_string(tag);
    if (has_evaluation_key(name, MULTIPLICATION_KEY))
        ids.push_back(MULTIPLICATION_KEY);
    const auto& all = ContextImpl::GetAllEvalAutomorphismKeys();
    auto found      = all.find(name);
    if (found != all.end()) {
        for (const auto& entry : *found->second)
            ids.push_back(entry.first);
    }
    return ids;
}

void remove_evaluation_key(rust::Str tag, std::uint32_t id) {
    std::string name = to_string(tag);
    find_evaluation_key(name, id);
    if (id == MULTIPLICATION_KEY)
        ContextImpl::ClearEvalMultKeys(name);
    else
        ContextImpl::GetAllEvalAutomorphismKeys()[name]->erase(id);
}

}  // namespace openfhe_shim
