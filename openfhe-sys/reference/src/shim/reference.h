// The C++ side of the bridge in bridge.rs: calls that only tests and benchmarks need.
#pragma once

#include "internal.h"

#include <memory>
#include <vector>

namespace openfhe_shim {

// The digit decomposition of a ciphertext's second part, over Q_level * P.
struct Digits {
    std::shared_ptr<std::vector<DCRTPoly>> parts;
};

// One polynomial in evaluation or coefficient format.
struct Polynomial {
    DCRTPoly element;
};

// What an approximate conversion between two bases needs.
struct Conversion {
    std::shared_ptr<DCRTPoly::Params> from;
    std::shared_ptr<DCRTPoly::Params> to;
    std::vector<NativeInteger> hat_inverse;
    std::vector<NativeInteger> hat_inverse_shoup;
    std::vector<std::vector<NativeInteger>> hat;
    std::vector<DoubleNativeInt> ratios;
};

// keys.cc
void generate_multiplication_key(const SecretKey& key);
void generate_rotation_keys(const SecretKey& key, rust::Slice<const std::int32_t> steps);
void generate_bootstrap_keys(const SecretKey& key, std::uint32_t slots);
rust::Vec<std::int32_t> bootstrap_rotation_steps(const Context& context, std::uint32_t slots);

// operations.cc
std::unique_ptr<Digits> precompute_digits(const Ciphertext& ciphertext);
std::unique_ptr<Ciphertext> rotate_hoisted(const Ciphertext& ciphertext, std::int32_t step, const Digits& digits);
std::unique_ptr<Ciphertext> reduce_extended(const ExtendedCiphertext& ciphertext);
void multiply_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext);

// series.cc
std::unique_ptr<Ciphertext> evaluate_polynomial(const Ciphertext& x, rust::Slice<const double> coefficients);
std::unique_ptr<Ciphertext> evaluate_chebyshev_series(const Ciphertext& x, rust::Slice<const double> coefficients);

// limbs.cc
std::unique_ptr<Polynomial> uniform_polynomial(std::uint32_t ring_dimension, std::uint32_t bits, std::uint32_t limbs);
std::unique_ptr<Conversion> conversion_from(const Polynomial& polynomial, std::uint32_t bits, std::uint32_t limbs);
void convert_polynomial(const Polynomial& polynomial, const Conversion& conversion);
void transform_polynomial(Polynomial& polynomial);
void multiply_polynomial_in_place(Polynomial& left, const Polynomial& right);
void multiply_accumulate_polynomial(Polynomial& sum, const Polynomial& left, const Polynomial& right);

}  // namespace openfhe_shim
