// The C++ side of the bridge in bridge.rs: the opaque types and one function for each call of the bridge.
//
// Those in api/ call OpenFHE: they check what it would answer with undefined behaviour (limb counts, slot counts, key
// tags), do the operation and keep the metadata of the result coherent. Those in rns/ compute on residues themselves.
// What OpenFHE calls in place of its own code is in overrides/. Errors are exceptions derived from std::exception, which
// cxx turns into Err.
#pragma once

#include "rust/cxx.h"

#include "lattice/lat-hal.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#ifdef OPENFHE_SHIM_OVERRIDES
// Overrides (overrides/*.cc) of functions that OpenFHE's headers define: declared before any use, so that no file of the
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
struct ContextParameters;
struct KeyPair;
struct EncapsulationKeys;
struct ExtendedTerm;
struct SlotValues;
struct SparseTerm;
struct RotationTerm;
enum class SecretKeyDistribution : std::uint8_t;
enum class PublicKeyPart : std::uint8_t;
enum class Representation : std::uint8_t;

// A CKKS context, with the RNS bases of every level: basis Q and basis Q * P, level 0 first.
struct Context {
    lbcrypto::CryptoContext<DCRTPoly> handle;
    std::shared_ptr<lbcrypto::CryptoParametersCKKSRNS> parameters;
    std::vector<std::shared_ptr<DCRTPoly::Params>> bases;
    std::vector<std::shared_ptr<DCRTPoly::Params>> extended_bases;

    explicit Context(lbcrypto::CryptoContext<DCRTPoly> context);

    std::uint32_t ring_dimension() const noexcept;
    std::uint32_t cyclotomic_order() const;
    std::uint32_t slots() const noexcept;
    std::uint32_t limb_count() const noexcept;
    rust::Vec<std::uint64_t> moduli_q() const;
    rust::Vec<std::uint64_t> moduli_p() const;
    double log2_qp() const noexcept;
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

// An evaluation key that is not, or not yet, in OpenFHE's process-wide maps.
struct LooseKey {
    lbcrypto::EvalKey<DCRTPoly> handle;
    std::uint32_t id_;

    std::uint32_t id() const noexcept { return id_; }
    std::uint32_t limbs() const noexcept;
};

// An encoded vector in evaluation format, over Q_level.
struct Plaintext {
    DCRTPoly element;
    std::uint32_t level;
    std::uint32_t slots;
    double scale;
};

// An encoded vector in evaluation format, over Q_level * P.
struct ExtendedPlaintext {
    DCRTPoly element;
    std::uint32_t level;
    std::uint32_t slots;
    double scale;
};

struct Ciphertext {
    lbcrypto::Ciphertext<DCRTPoly> handle;

    std::uint32_t level() const noexcept;
    std::uint32_t limb_count() const noexcept;
    std::uint32_t part_count() const noexcept;
    std::uint32_t slots() const noexcept;
    std::uint32_t noise_scale_degree() const noexcept;
    double scaling_factor() const noexcept;
    rust::String key_tag() const;
};

// A ciphertext of two parts over Q_level * P, its message multiplied by P.
struct ExtendedCiphertext {
    lbcrypto::Ciphertext<DCRTPoly> handle;
};

// Encoded vectors over Q_level, as elements of the subring of polynomials in a power of X: evaluation format repeats each of
// their values 2^log_repeats times.
struct SparsePlaintexts {
    std::vector<std::vector<std::uint64_t>> limbs;
    std::size_t limb_count;
    std::size_t length;
    std::uint32_t log_repeats;
    double scale;

    std::size_t byte_size() const noexcept;
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

// api/process.cc
bool configure_allocator() noexcept;
void exit_when_out_of_memory() noexcept;
void forbid_core_dumps();
void set_threads(std::uint32_t count);
std::uint32_t threads() noexcept;
rust::String openfhe_version();
void clear_multiplication_keys();
void clear_rotation_keys();
void release_contexts();

// api/context.cc
std::unique_ptr<Context> create_context(const ContextParameters& parameters);
void prepare_transforms(const Context& context);

// api/keys.cc
KeyPair generate_key_pair(const Context& context);
rust::Vec<std::uint64_t> public_key_residues(const PublicKey& key, PublicKeyPart part, std::uint32_t limb,
                                             Representation representation);
std::uint32_t rotation_key_id(const Context& context, std::int32_t step);
std::uint32_t conjugation_key_id(const Context& context);
rust::String fresh_key_tag(const Context& context);
rust::Vec<std::uint32_t> evaluation_key_ids(rust::Str tag);
std::unique_ptr<LooseKey> evaluation_key(rust::Str tag, std::uint32_t id);
void insert_evaluation_key(rust::Str tag, std::unique_ptr<LooseKey> key);
void remove_evaluation_key(rust::Str tag, std::uint32_t id);

// api/encryption.cc
std::unique_ptr<Ciphertext> encrypt(const PublicKey& key, const Plaintext& plaintext);
std::unique_ptr<Ciphertext> encrypt_with_secret_key(const SecretKey& key, const Plaintext& plaintext);
rust::Vec<double> decrypt(const SecretKey& key, const Ciphertext& ciphertext, double scale);

// api/arithmetic.cc
std::unique_ptr<Ciphertext> clone_ciphertext(const Ciphertext& ciphertext);
void set_key_tag(Ciphertext& ciphertext, rust::Str tag);
void add_in_place(Ciphertext& left, const Ciphertext& right);
void subtract_in_place(Ciphertext& left, const Ciphertext& right);
void add_plain_in_place(Ciphertext& ciphertext, const Plaintext& plaintext);
void add_constant_in_place(Ciphertext& ciphertext, double value, double scale);
void multiply_constant_in_place(Ciphertext& ciphertext, double value, double scale);
std::unique_ptr<Ciphertext> multiply_no_relinearize(const Ciphertext& left, const Ciphertext& right);
std::unique_ptr<Ciphertext> square_no_relinearize(const Ciphertext& ciphertext);
void relinearize_in_place(Ciphertext& ciphertext);
void rescale_in_place(Ciphertext& ciphertext);
void drop_levels_in_place(Ciphertext& ciphertext, std::uint32_t count);

// api/rotation.cc
std::unique_ptr<Ciphertext> rotate(const Ciphertext& ciphertext, std::int32_t step);
std::unique_ptr<ExtendedCiphertext> extend(const Ciphertext& ciphertext, bool add_first);
std::unique_ptr<ExtendedCiphertext> inner_product_extended(rust::Slice<const ExtendedTerm> terms);

// api/bootstrap.cc
std::uint32_t bootstrap_depth(rust::Slice<const std::uint32_t> level_budget, SecretKeyDistribution distribution);
void setup_bootstrap(const Context& context, rust::Slice<const std::uint32_t> level_budget,
                     rust::Slice<const std::uint32_t> dim1, std::uint32_t slots, std::uint32_t correction_factor);
std::array<std::uint32_t, 2> encapsulation_key_ids(const Context& context);
EncapsulationKeys generate_encapsulation_keys(const SecretKey& key);
void set_slots(Ciphertext& ciphertext, std::uint32_t slots);
std::unique_ptr<Ciphertext> bootstrap(const Ciphertext& ciphertext, std::uint32_t iterations, std::uint32_t precision);

// api/bytes.cc
std::size_t evaluation_key_size(const LooseKey& key);
void export_evaluation_key_into(const LooseKey& key, rust::Slice<std::uint8_t> out);
std::unique_ptr<LooseKey> evaluation_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);
std::size_t public_key_size(const PublicKey& key);
void export_public_key_into(const PublicKey& key, rust::Slice<std::uint8_t> out);
std::unique_ptr<PublicKey> public_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);
std::size_t secret_key_size(const SecretKey& key);
void export_secret_key_into(const SecretKey& key, rust::Slice<std::uint8_t> out);
std::unique_ptr<SecretKey> secret_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);
std::size_t ciphertext_size(const Ciphertext& ciphertext, rust::Str tag);
void export_ciphertext_into(const Ciphertext& ciphertext, rust::Str tag, rust::Slice<std::uint8_t> out);
std::unique_ptr<Ciphertext> ciphertext_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes);

// rns/key_generation.cc
KeyPair generate_dense_key_pair(const Context& context);
std::unique_ptr<LooseKey> generate_evaluation_key(const SecretKey& key, std::uint32_t id, std::uint32_t limbs);

// rns/encode.cc
std::unique_ptr<Plaintext> encode(const Context& context, rust::Slice<const double> values, std::uint32_t slots,
                                  std::uint32_t level, double scale);
std::unique_ptr<ExtendedPlaintext> encode_extended(const Context& context, rust::Slice<const double> values,
                                                   std::uint32_t slots, std::uint32_t level, double scale);

// rns/sparse.cc
std::unique_ptr<SparsePlaintexts> encode_sparse(const Context& context, rust::Slice<const SlotValues> vectors,
                                                std::uint32_t slots, std::uint32_t level, double scale);
std::unique_ptr<HoistedRotations> rotate_all(const Ciphertext& ciphertext, rust::Slice<const std::int32_t> steps);
std::unique_ptr<Ciphertext> sum_of_sparse_products(rust::Slice<const SparseTerm> terms);

// rns/rotation_sum.cc
std::unique_ptr<RotationSum> start_rotation_sum();
void add_rotations(RotationSum& sum, rust::Slice<const RotationTerm> terms);
std::unique_ptr<Ciphertext> finish_rotation_sum(RotationSum& sum);

}  // namespace openfhe_shim
