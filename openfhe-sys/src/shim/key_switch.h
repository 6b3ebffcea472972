// Hybrid key switching in its steps: decompose, inner product with the key over Q * P, divide by P.
#pragma once

#include "internal.h"

namespace openfhe_shim {

// The two parts of the digits' inner product with a key, over the digits' basis Q_level * P.
std::vector<DCRTPoly> inner_product(const std::vector<DCRTPoly>& digits, const EvaluationKey& key);

// The digits of one polynomial, with the parameters of the context.
std::shared_ptr<std::vector<DCRTPoly>> decompose(const DCRTPoly& polynomial,
                                                 const lbcrypto::CryptoObject<DCRTPoly>& owner);

// Divides both parts of an extended ciphertext by P.
lbcrypto::Ciphertext<DCRTPoly> divide_by_p(const lbcrypto::Ciphertext<DCRTPoly>& extended);

// Both parts, divided by P, of the inner product of digits with a key.
std::vector<DCRTPoly> switch_key(const Ciphertext& owner, const std::vector<DCRTPoly>& digits,
                                 const EvaluationKey& key);

}  // namespace openfhe_shim
