// The C++ side of the bridge in bridge.rs: the opaque types and one function for each call of the bridge.
//
// The functions mirror OpenFHE call by call and decide nothing: they check what OpenFHE would answer with undefined
// behaviour (limb counts, slot counts, key tags), do the operation and keep the metadata of the result coherent. They
// report errors by exceptions derived from std::exception, which cxx turns into Err.
#pragma once

#include "rust/cxx.h"

#include "lattice/lat-hal.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#ifdef OPENFHE_SHIM_OVERRIDES
// Overrides (override_*.cc) of functions that OpenFHE's headers define: declared before any use, so that no file of the
// shim compiles copies of them.
namespace intnat {
template <>
lbcrypto::NativeVector& lbcrypto::NativeVector::ModAddNoCheckEq(const lbcrypto::NativeVector& other);
template <>
lbcrypto::NativeVector& lbcrypto::NativeVector::ModMulNoCheckEq(const lbcrypto::NativeVector& other);
}  // namespace intnat
namespace lbcrypto {
template <>
DCRTPoly::DCRTPolyImpl(const DCRTPoly& other) noexcept;
template <>
DCRTPoly& DCRTPoly::operator=(const DCRTPoly& other) noexcept;
template <>
DCRTPoly::DCRTPolyImpl(const std::shared_ptr<DCRTPoly::Params>& basis, Format format, bool zero) noexcept;
template <>
DCRTPoly DCRTPoly::Plus(const DCRTPoly& other) const;
template <>
DCRTPoly DCRTPoly::Times(const DCRTPoly& other) const;
template <>
DCRTPoly& DCRTPoly::operator*=(const DCRTPoly& other);
}  // namespace lbcrypto
#endif

#include "cryptocontext.h"
#include "scheme/ckksrns/ckksrns-cryptoparameters.h"

namespace openfhe_shim {

using lbcrypto::DCRTPoly;

// Shared with Rust, defined in the generated header.
struct Parameters;
struct KeyPair;
struct ExtendedTerm;
struct SlotValues;
struct SparseTerm;
struct RotationTerm;
enum class SecretKeyDistribution : std::uint8_t;

// A CKKS context, with the RNS bases of every level: basis Q and basis Q * P, level 0 first.
struct Context {
    lbcrypto::CryptoContext<DCRTPoly> handle;
    std::shared_ptr<lbcrypto::CryptoParametersCKKSRNS> parameters;
    std::vector<std::shared_ptr<DCRTPoly::Params>> bases;
    std::vector<std::shared_ptr<DCRTPoly::Params>> extended_bases;

    explicit Context(lbcrypto::CryptoContext<DCRTPoly> context);

    std::uint32_t ring_dimension() const;
    std::uint32_t cyclotomic_order() const;
    std::uint32_t slots() const;
    std::uint32_t limb_count() const;
    std::uint32_t digit_count() const;
    rust::Vec<std::uint64_t> moduli_q() const;
    rust::Vec<std::uint64_t> moduli_p() const;
    double log2_qp() const;
    rust::Vec<double> scaling_factors() const;
};

struct PublicKey {
    lbcrypto::PublicKey<DCRTPoly> handle;

    rust::String key_tag() const;
};

// Overwrites its limbs with zeros when it is destroyed.
struct SecretKey {
    lbcrypto::PrivateKey<DCRTPoly> handle;

    explicit SecretKey(lbcrypto::PrivateKey<DCRTPoly> key) : handle(std::move(key)) {}
    SecretKey(const SecretKey&)            = delete;
    SecretKey& operator=(const SecretKey&) = delete;
    ~SecretKey();

    rust::String key_tag() const;
};

// An encoded vector in evaluation format, over Q_level.
struct Plaintext {
    DCRTPoly element;
    std::uint32_t level_;
    std::uint32_t slots_;
    double scale;

    std::uint32_t level() const { return level_; }
    std::uint32_t slots() const { return slots_; }
    double scaling_factor() const { return scale; }
    std::size_t byte_size() const;
};

// An encoded vector in evaluation format, over Q_level * P.
struct ExtendedPlaintext {
    DCRTPoly element;
    std::uint32_t level_;
    std::uint32_t slots_;
    double scale;

    std::uint32_t level() const { return level_; }
    std::uint32_t slots() const { return slots_; }
    double scaling_factor() const { return scale; }
    std::size_t byte_size() const;
};

struct Ciphertext {
    lbcrypto::Ciphertext<DCRTPoly> handle;

    std::uint32_t level() const;
    std::uint32_t limb_count() const;
    std::uint32_t part_count() const;
    std::uint32_t slots() const;
    std::uint32_t noise_scale_degree() const;
    double scaling_factor() const;
    rust::String key_tag() const;
    std::size_t byte_size() const;
};

// A ciphertext of two parts over Q_level * P, its message multiplied by P.
struct ExtendedCiphertext {
    lbcrypto::Ciphertext<DCRTPoly> handle;

    std::uint32_t level() const;
    std::uint32_t noise_scale_degree() const;
    double scaling_factor() const;
    std::size_t byte_size() const;
};

// The digit decomposition of a ciphertext's second part, over Q_level * P.
struct Digits {
    std::shared_ptr<std::vector<DCRTPoly>> parts;

    std::size_t byte_size() const;
};

// Encoded vectors over Q_level, as elements of the subring of polynomials in a power of X: evaluation format repeats each of
// their values 2^log_repeats times.
struct SparsePlaintexts {
    std::vector<std::vector<std::uint64_t>> limbs;
    std::size_t limb_count;
    std::size_t length;
    std::uint32_t log_repeats;
    double scale;

    std::size_t byte_size() const;
};

// Rotations of one ciphertext.
struct HoistedRotations {
    std::vector<lbcrypto::Ciphertext<DCRTPoly>> handles;
};

// A sum of rotated ciphertexts: what is over Q_level already, and what is still to be divided by P.
struct RotationSum {
    lbcrypto::Ciphertext<DCRTPoly> head;
    std::array<DCRTPoly, 2> parts;
    std::array<DCRTPoly, 2> extended;
};

// One polynomial over Q_level.
struct Polynomial {
    DCRTPoly element;
};

// process.cc
bool configure_allocator();
void set_threads(std::uint32_t count);
std::uint32_t threads();
bool overrides_take_precedence();
rust::String openfhe_version();
void clear_multiplication_keys();
void clear_rotation_keys();
void release_contexts();

// context.cc
std::unique_ptr<Context> create_context(const Parameters& parameters);

// keys.cc
KeyPair generate_key_pair(const Context& context);
KeyPair generate_dense_key_pair(const Context& context);
std::uint32_t rotation_key_id(const Context& context, std::int32_t step);
std::uint32_t conjugation_key_id(const Context& context);
void generate_evaluation_key(const SecretKey& key, std::uint32_t id, std::uint32_t limbs);
void generate_multiplication_key(const SecretKey& key);
void generate_rotation_key(const SecretKey& key, std::int32_t step);
void generate_rotation_keys(const SecretKey& key, rust::Slice<const std::int32_t> steps);
void generate_conjugation_key(const SecretKey& key);
rust::Vec<std::uint32_t> evaluation_key_ids(rust::Str tag);
std::uint32_t evaluation_key_limbs(rust::Str tag, std::uint32_t id);
void remove_evaluation_key(rust::Str tag, std::uint32_t id);

// encode.cc
std::unique_ptr<Plaintext> encode(const Context& context, rust::Slice<const double> values, std::uint32_t slots,
                                  std::uint32_t level, double scale);
std::unique_ptr<ExtendedPlaintext> encode_extended(const Context& context, rust::Slice<const double> values,
                                                   std::uint32_t slots, std::uint32_t level, double scale);
std::unique_ptr<Ciphertext> encrypt(const PublicKey& key, const Plaintext& plaintext);
rust::Vec<double> decrypt(const SecretKey& key, const Ciphertext& ciphertext, double scale);

// arithmetic.cc
std::unique_ptr<Ciphertext> clone_ciphertext(const Ciphertext& ciphertext);
void set_metadata(Ciphertext& ciphertext, std::uint32_t noise_scale_degree, double scaling_factor);
void add_in_place(Ciphertext& left, const Ciphertext& right);
void subtract_in_place(Ciphertext& left, const Ciphertext& right);
void negate_in_place(Ciphertext& ciphertext);
void add_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext);
void subtract_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext);
void multiply_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext);
void add_constant_in_place(Ciphertext& ciphertext, double value, double scale);
void multiply_constant_in_place(Ciphertext& ciphertext, double value, double scale);
void multiply_integer_in_place(Ciphertext& ciphertext, std::int64_t factor);
void multiply_accumulate_constant(Ciphertext& accumulator, const Ciphertext& ciphertext, double value, double scale);
std::unique_ptr<Ciphertext> multiply_no_relinearize(const Ciphertext& left, const Ciphertext& right);
std::unique_ptr<Ciphertext> square_no_relinearize(const Ciphertext& ciphertext);
void relinearize_in_place(Ciphertext& ciphertext);
void rescale_in_place(Ciphertext& ciphertext);
void drop_levels_in_place(Ciphertext& ciphertext, std::uint32_t count);

// rotation.cc
std::unique_ptr<Ciphertext> rotate(const Ciphertext& ciphertext, std::int32_t step);
std::unique_ptr<Ciphertext> conjugate(const Ciphertext& ciphertext);
std::unique_ptr<Digits> precompute_digits(const Ciphertext& ciphertext);
std::unique_ptr<Ciphertext> rotate_hoisted(const Ciphertext& ciphertext, std::int32_t step, const Digits& digits);
std::unique_ptr<ExtendedCiphertext> rotate_extended(const Ciphertext& ciphertext, std::int32_t step,
                                                    const Digits& digits, bool add_first);
std::unique_ptr<ExtendedCiphertext> extend(const Ciphertext& ciphertext, bool add_first);
std::unique_ptr<ExtendedCiphertext> multiply_plain_extended(const ExtendedCiphertext& ciphertext,
                                                            const ExtendedPlaintext& plaintext);
void multiply_accumulate_extended(ExtendedCiphertext& accumulator, const ExtendedCiphertext& ciphertext,
                                  const ExtendedPlaintext& plaintext);
std::unique_ptr<ExtendedCiphertext> inner_product_extended(rust::Slice<const ExtendedTerm> terms);
void add_extended_in_place(ExtendedCiphertext& left, const ExtendedCiphertext& right);
void clear_first_extended(ExtendedCiphertext& ciphertext);
std::unique_ptr<Ciphertext> reduce_extended(const ExtendedCiphertext& ciphertext);
std::unique_ptr<Polynomial> reduce_extended_first(const ExtendedCiphertext& ciphertext);
std::unique_ptr<Polynomial> rotate_first(const Ciphertext& ciphertext, std::int32_t step);
void add_polynomial_in_place(Polynomial& left, const Polynomial& right);
void add_to_first(Ciphertext& ciphertext, const Polynomial& polynomial);

// sparse.cc
std::unique_ptr<SparsePlaintexts> encode_sparse(const Context& context, rust::Slice<const SlotValues> vectors,
                                                std::uint32_t slots, std::uint32_t level, double scale);
std::unique_ptr<HoistedRotations> rotate_all(const Ciphertext& ciphertext, rust::Slice<const std::int32_t> steps);
std::unique_ptr<Ciphertext> sum_of_sparse_products(rust::Slice<const SparseTerm> terms);

// rotation_sum.cc
std::unique_ptr<RotationSum> start_rotation_sum();
void add_rotations(RotationSum& sum, rust::Slice<const RotationTerm> terms);
std::unique_ptr<Ciphertext> finish_rotation_sum(RotationSum& sum);

// bootstrap.cc
std::uint32_t bootstrap_depth(rust::Slice<const std::uint32_t> level_budget, SecretKeyDistribution distribution);
void setup_bootstrap(const Context& context, rust::Slice<const std::uint32_t> level_budget,
                     rust::Slice<const std::uint32_t> dim1, std::uint32_t slots, std::uint32_t correction_factor);
rust::Vec<std::int32_t> bootstrap_rotation_steps(const Context& context, std::uint32_t slots);
void generate_bootstrap_keys(const SecretKey& key, std::uint32_t slots);
std::array<std::uint32_t, 2> encapsulation_key_ids(const Context& context);
void generate_encapsulation_keys(const SecretKey& key);
void set_slots(Ciphertext& ciphertext, std::uint32_t slots);
std::unique_ptr<Ciphertext> bootstrap(const Ciphertext& ciphertext, std::uint32_t iterations, std::uint32_t precision);

// bytes.cc
std::unique_ptr<Ciphertext> evaluate_polynomial(const Ciphertext& x, rust::Slice<const double> coefficients);
std::unique_ptr<Ciphertext> evaluate_chebyshev_series(const Ciphertext& x, rust::Slice<const double> coefficients);

std::size_t evaluation_key_size(rust::Str tag, std::uint32_t id);
void export_evaluation_key_into(rust::Str tag, std::uint32_t id, rust::Slice<std::uint8_t> out);
std::uint32_t import_evaluation_key(const Context& context, rust::Str tag, rust::Slice<const std::uint8_t> bytes);
std::size_t public_key_size(const PublicKey& key);
void export_public_key_into(const PublicKey& key, rust::Slice<std::uint8_t> out);
std::unique_ptr<PublicKey> public_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);
std::size_t secret_key_size(const SecretKey& key);
void export_secret_key_into(const SecretKey& key, rust::Slice<std::uint8_t> out);
std::unique_ptr<SecretKey> secret_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);
std::size_t ciphertext_size(const Ciphertext& ciphertext);
void export_ciphertext_into(const Ciphertext& ciphertext, rust::Slice<std::uint8_t> out);
std::unique_ptr<Ciphertext> ciphertext_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);

// serialization.cc
std::unique_ptr<std::string> serialize_context(const Context& context);
std::unique_ptr<std::string> serialize_public_key(const PublicKey& key);
std::unique_ptr<std::string> serialize_secret_key(const SecretKey& key);
std::unique_ptr<std::string> serialize_ciphertext(const Ciphertext& ciphertext);
std::unique_ptr<std::string> serialize_evaluation_key(rust::Str tag, std::uint32_t id);
std::unique_ptr<Context> deserialize_context(rust::Slice<const std::uint8_t> bytes);
std::unique_ptr<PublicKey> deserialize_public_key(rust::Slice<const std::uint8_t> bytes);
std::unique_ptr<SecretKey> deserialize_secret_key(rust::Slice<const std::uint8_t> bytes);
std::unique_ptr<Ciphertext> deserialize_ciphertext(rust::Slice<const std::uint8_t> bytes);

// What an approximate conversion between two bases needs.
struct Conversion {
    std::shared_ptr<DCRTPoly::Params> from;
    std::shared_ptr<DCRTPoly::Params> to;
    std::vector<lbcrypto::NativeInteger> hat_inverse;
    std::vector<lbcrypto::NativeInteger> hat_inverse_shoup;
    std::vector<std::vector<lbcrypto::NativeInteger>> hat;
    std::vector<DoubleNativeInt> ratios;
};

std::unique_ptr<Polynomial> uniform_polynomial(std::uint32_t ring_dimension, std::uint32_t bits, std::uint32_t limbs);
std::unique_ptr<Conversion> conversion_from(const Polynomial& polynomial, std::uint32_t bits, std::uint32_t limbs);
void convert_polynomial(const Polynomial& polynomial, const Conversion& conversion);
void transform_polynomial(Polynomial& polynomial);
void multiply_polynomial_in_place(Polynomial& left, const Polynomial& right);
void multiply_accumulate_polynomial(Polynomial& sum, const Polynomial& left, const Polynomial& right);

}  // namespace openfhe_shim
