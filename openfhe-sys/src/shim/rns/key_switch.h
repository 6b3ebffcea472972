// Hybrid key switching in its steps: decompose, inner product with the key over Q * P, divide by P.
#pragma once

#include "internal.h"

namespace openfhe_shim {

using Polynomials = std::shared_ptr<std::vector<DCRTPoly>>;

// The digits of one polynomial, with the parameters of the context.
Polynomials decompose(const DCRTPoly& polynomial, const lbcrypto::CryptoObject<DCRTPoly>& owner);

// The two parts of the inner product of a ciphertext's digits with a key, divided by P.
std::vector<DCRTPoly> switch_key(const Ciphertext& owner, const Polynomials& digits, const EvaluationKey& key);

// Throws unless the key has the limbs and digits of these, the digits of one polynomial.
void check_key(const std::vector<DCRTPoly>& digits, const lbcrypto::EvalKeyImpl<DCRTPoly>& key);

// Puts zeros in place of the limbs of Q that the polynomials of a key, over the first limbs of Q and all of P, lack.
void fill_up(std::vector<DCRTPoly>& polynomials, const lbcrypto::CryptoParametersRNS& parameters);

// The key over all of Q * P: OpenFHE's own key switch reads the limbs of P where such a key has them, unchecked.
EvaluationKey filled_up(const EvaluationKey& key);

// One limb of both parts of the inner product of digits with a key, over the digits' basis; the
// key must fit.
void digits_times_key(rust::Slice<std::uint64_t> first, rust::Slice<std::uint64_t> second,
                      const std::vector<DCRTPoly>& digits, const lbcrypto::EvalKeyImpl<DCRTPoly>& key,
                      std::size_t limb);

// A polynomial over Q_level * P divided by P: over Q_level.
DCRTPoly divide_by_p(const DCRTPoly& extended, const std::shared_ptr<DCRTPoly::Params>& q,
                     const lbcrypto::CryptoParametersRNS& parameters);

}  // namespace openfhe_shim
