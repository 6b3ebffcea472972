// Helpers shared by the shim's source files; nothing here is part of the bridge.
#pragma once

#include "shim.h"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace openfhe_shim {

using lbcrypto::NativeInteger;
using lbcrypto::NativePoly;
using lbcrypto::NativeVector;

using EvaluationKey    = lbcrypto::EvalKey<DCRTPoly>;
using EvaluationKeyMap = std::map<std::uint32_t, EvaluationKey>;
using ContextImpl      = lbcrypto::CryptoContextImpl<DCRTPoly>;

// The id that stands for the multiplication key among the automorphism indices, all of which are odd or end in the
// two even numbers that OpenFHE reserves for sparse encapsulation.
constexpr std::uint32_t MULTIPLICATION_KEY = 0;

[[noreturn]] inline void fail(const std::string& message) {
    throw std::runtime_error(message);
}

inline void require(bool condition, const char* message) {
    if (!condition)
        fail(message);
}

inline void require_slot_count(std::uint32_t slots, std::uint32_t ring_dimension) {
    require(slots != 0 && (slots & (slots - 1)) == 0 && slots <= ring_dimension / 2,
            "the slot count must be a power of two, at most half the ring dimension");
}

inline std::string to_string(rust::Str text) {
    return std::string(text.data(), text.size());
}

// Throws unless OpenFHE has its randomness from the operating system (api/randomness.cc); before anything that needs some.
void require_system_randomness();

// OpenFHE's name of a distribution.
lbcrypto::SecretKeyDist convert(SecretKeyDistribution distribution);

// Overwrites all limbs with zeros.
void wipe(DCRTPoly& secret);

// The CKKS parameters behind anything that belongs to a context.
std::shared_ptr<lbcrypto::CryptoParametersCKKSRNS> ckks_parameters(const lbcrypto::CryptoObject<DCRTPoly>& object);

// The first `limbs` primes of Q, followed by those of P where one is given.
std::shared_ptr<DCRTPoly::Params> basis_of(const DCRTPoly::Params& q, std::size_t limbs, const DCRTPoly::Params* p);

// The rotations that a bootstrap of this many slots needs keys for, after its setup.
std::vector<std::int32_t> bootstrap_steps(const lbcrypto::CryptoContext<DCRTPoly>& context, std::uint32_t slots);

// The keys in OpenFHE's process-wide maps. Both throw when there is none.
const EvaluationKeyMap& rotation_keys(const std::string& tag);
EvaluationKey find_evaluation_key(const std::string& tag, std::uint32_t id);
void insert_evaluation_key(const std::string& tag, std::uint32_t id, EvaluationKey key);
bool has_evaluation_key(const std::string& tag, std::uint32_t id);

}  // namespace openfhe_shim
