// Key pairs, and the process-wide maps that hold the evaluation keys.

#include "internal.h"

#include "openfhe-sys/src/bridge.rs.h"

#include "key/privatekey.h"
#include "key/publickey.h"
#include "math/nbtheory.h"

namespace openfhe_shim {

namespace {

KeyPair to_shared(lbcrypto::KeyPair<DCRTPoly> pair) {
    require(pair.good(), "key generation failed");
    return KeyPair{std::unique_ptr<PublicKey>(new PublicKey{pair.publicKey}),
                   std::make_unique<SecretKey>(pair.secretKey)};
}

// quotient /= divisor, value by value; what is divided by 0 becomes 0.
void divide(NativePoly& quotient, const NativePoly& divisor) {
    const NativeInteger modulus = quotient.GetModulus();
    for (std::size_t i = 0; i < quotient.GetLength(); ++i)
        quotient[i] = divisor[i] == NativeInteger(0) ? NativeInteger(0)
                                                     : quotient[i].ModMul(divisor[i].ModInverse(modulus), modulus);
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
    require_system_randomness();
    return to_shared(context.handle->KeyGen());
}

rust::String fresh_key_tag(const Context& context) {
    return std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(context.handle)->GetKeyTag();
}

rust::Vec<std::uint64_t> public_key_residues(const PublicKey& key, PublicKeyPart part, std::uint32_t limb,
                                             Representation representation) {
    const auto& parts = key.handle->GetPublicElements();
    require(parts.size() == 2 && limb < parts.at(0).GetNumOfElements(), "the public key has no such limb");
    NativePoly polynomial = parts.at(part == PublicKeyPart::Mask ? 1 : 0).GetElementAtIndex(limb);
    if (part == PublicKeyPart::Quotient)
        divide(polynomial, parts.at(1).GetElementAtIndex(limb));
    if (representation == Representation::Coefficient)
        polynomial.SetFormat(Format::COEFFICIENT);
    rust::Vec<std::uint64_t> residues;
    residues.reserve(polynomial.GetLength());
    for (std::size_t i = 0; i < polynomial.GetLength(); ++i)
        residues.push_back(polynomial[i].ConvertToInt());
    return residues;
}

std::uint32_t rotation_key_id(const Context& context, std::int32_t step) {
    require(step != 0, "a rotation by 0 needs no key");
    return lbcrypto::FindAutomorphismIndex2nComplex(step, context.cyclotomic_order());
}

std::uint32_t conjugation_key_id(const Context& context) {
    return context.cyclotomic_order() - 1;
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

std::unique_ptr<LooseKey> evaluation_key(rust::Str tag, std::uint32_t id) {
    return std::unique_ptr<LooseKey>(new LooseKey{find_evaluation_key(to_string(tag), id), id});
}

void insert_evaluation_key(rust::Str tag, std::unique_ptr<LooseKey> key) {
    const std::string name = to_string(tag);
    key->handle->SetKeyTag(name);
    insert_evaluation_key(name, key->id(), key->handle);
}

// The switch to the sparse secret is over the first prime of Q and one of P only.
std::uint32_t LooseKey::limbs() const noexcept {
    const auto special = ckks_parameters(*handle)->GetParamsP()->GetParams().size();
    const auto all     = handle->GetAVector().at(0).GetNumOfElements();
    return all > special ? static_cast<std::uint32_t>(all - special) : 1;
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
