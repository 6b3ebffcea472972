// The crate's own byte formats: raw limbs behind a small header, little-endian, every field checked when read.
//
// OpenFHE's serialization repeats the whole context in every object and recomputes its tables on every read; these
// formats hold only what the context of the reader does not know. A residue that is still below its prime after damage
// cannot be told from a good one: files need a checksum of their own.

#include "rns/kernels.h"
#include "rns/key_switch.h"
#include "rns/team.h"

#include "ciphertext.h"
#include "key/evalkeyrelin.h"
#include "key/privatekey.h"
#include "key/publickey.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace openfhe_shim {

namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the byte formats are written for little-endian machines");
static_assert(sizeof(NativeInteger) == sizeof(std::uint64_t), "a residue is one 64-bit word");

enum class Magic : std::uint32_t {
    EvaluationKey = 0x314B4550,  // "PEK1"
    PublicKey     = 0x314B5050,  // "PPK1"
    SecretKey     = 0x314B5350,  // "PSK1"
    Ciphertext    = 0x31544350,  // "PCT1"
};

// OpenFHE names a key by 128 random bits in lower-case hexadecimal digits.
constexpr std::size_t TAG_BYTES = 32;

bool is_tag_digit(char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
}

class Writer {
public:
    explicit Writer(rust::Slice<std::uint8_t> out) : out_(out) {}

    void bytes(const void* source, std::size_t count) { std::memcpy(take(count), source, count); }
    void number(std::uint32_t value) { bytes(&value, sizeof value); }
    void real(double value) { bytes(&value, sizeof value); }
    void tag(const std::string& value) {
        number(static_cast<std::uint32_t>(value.size()));
        bytes(value.data(), value.size());
    }
    std::uint8_t* take(std::size_t count) {
        require(count <= out_.size() - position_, "the output buffer is too small");
        std::uint8_t* start = out_.data() + position_;
        position_ += count;
        return start;
    }
    void finish() const { require(position_ == out_.size(), "the output buffer is too large"); }

private:
    rust::Slice<std::uint8_t> out_;
    std::size_t position_ = 0;
};

class Reader {
public:
    explicit Reader(rust::Slice<const std::uint8_t> in) : in_(in) {}

    std::uint32_t number() { return value<std::uint32_t>(); }
    double real() { return value<double>(); }
    // Tags end up in Rust strings and in messages, so nothing but what OpenFHE itself makes may pass.
    std::string tag() {
        const char* message = "damaged: a key's tag is not 32 lower-case hexadecimal digits";
        require(number() == TAG_BYTES, message);
        const auto* start = reinterpret_cast<const char*>(take(TAG_BYTES));
        require(std::all_of(start, start + TAG_BYTES, is_tag_digit), message);
        return {start, TAG_BYTES};
    }
    const std::uint8_t* take(std::size_t count) {
        require(count <= in_.size() - position_, "damaged: the data end too early");
        const std::uint8_t* start = in_.data() + position_;
        position_ += count;
        return start;
    }
    void expect(Magic magic, const char* message) {
        require(number() == static_cast<std::uint32_t>(magic), message);
    }
    void finish() const { require(position_ == in_.size(), "damaged: the data are too long"); }

private:
    template <typename T>
    T value() {
        T result;
        std::memcpy(&result, take(sizeof(T)), sizeof(T));
        return result;
    }

    rust::Slice<const std::uint8_t> in_;
    std::size_t position_ = 0;
};

std::size_t tag_size(const std::string& tag) {
    return sizeof(std::uint32_t) + tag.size();
}

// Header of a block of polynomials over one basis: ring dimension, polynomials, limbs, and the primes.
std::size_t block_size(const DCRTPoly::Params& basis, std::size_t polynomials) {
    std::size_t limbs = basis.GetParams().size();
    return 3 * sizeof(std::uint32_t) + limbs * sizeof(std::uint64_t) +
           polynomials * limbs * basis.GetRingDimension() * sizeof(std::uint64_t);
}

void write_block(Writer& writer, const std::vector<const DCRTPoly*>& polynomials) {
    const auto& basis = *polynomials.at(0)->GetParams();
    writer.number(basis.GetRingDimension());
    writer.number(static_cast<std::uint32_t>(polynomials.size()));
    writer.number(static_cast<std::uint32_t>(basis.GetParams().size()));
    for (const auto& limb : basis.GetParams()) {
        std::uint64_t modulus = limb->GetModulus().ConvertToInt();
        writer.bytes(&modulus, sizeof modulus);
    }
    for (const auto* polynomial : polynomials) {
        require(polynomial->GetFormat() == Format::EVALUATION, "a polynomial is not in evaluation format");
        for (const auto& limb : polynomial->GetAllElements())
            writer.bytes(&limb[0], limb.GetLength() * sizeof(std::uint64_t));
    }
}

void check_block_header(Reader& reader, const DCRTPoly::Params& basis, std::size_t polynomials) {
    require(reader.number() == basis.GetRingDimension(), "the data are for another ring dimension");
    require(reader.number() == polynomials, "damaged: wrong number of polynomials");
    require(reader.number() == basis.GetParams().size(), "damaged: wrong number of limbs");
    for (const auto& limb : basis.GetParams()) {
        std::uint64_t modulus = 0;
        std::memcpy(&modulus, reader.take(sizeof modulus), sizeof modulus);
        require(modulus == limb->GetModulus().ConvertToInt(), "the data are for other primes");
    }
}

// False when a residue is not below the prime. Residues are copied as they are.
bool read_limb(NativePoly& limb, const std::uint8_t* source) {
    const std::uint64_t modulus = limb.GetModulus().ConvertToInt();
    const std::size_t length    = limb.GetLength();
    std::memcpy(static_cast<void*>(&limb[0]), source, length * sizeof(std::uint64_t));
    bool valid = true;
    for (std::size_t i = 0; i < length; ++i)
        valid &= limb[i].ConvertToInt() < modulus;
    return valid;
}

DCRTPoly read_polynomial(Reader& reader, const std::shared_ptr<DCRTPoly::Params>& basis) {
    DCRTPoly polynomial(basis, Format::EVALUATION, true);
    auto& limbs             = polynomial.GetAllElements();
    const std::size_t bytes = basis->GetRingDimension() * sizeof(std::uint64_t);
    const auto* source      = reader.take(limbs.size() * bytes);
    std::atomic<bool> valid{true};
    parallel_for(limbs.size(), [&](std::size_t i) {
        if (!read_limb(limbs[i], source + i * bytes))
            valid = false;
    });
    require(valid, "damaged: a residue is not below its prime");
    return polynomial;
}

std::vector<DCRTPoly> read_block(Reader& reader, const std::shared_ptr<DCRTPoly::Params>& basis,
                                 std::size_t polynomials) {
    check_block_header(reader, *basis, polynomials);
    std::vector<DCRTPoly> result;
    for (std::size_t i = 0; i < polynomials; ++i)
        result.push_back(read_polynomial(reader, basis));
    return result;
}

std::vector<const DCRTPoly*> pointers_to(const std::vector<DCRTPoly>& polynomials) {
    std::vector<const DCRTPoly*> pointers;
    for (const auto& polynomial : polynomials)
        pointers.push_back(&polynomial);
    return pointers;
}

// OpenFHE's key from the main secret to the sparse one is over the first prime of Q and the first of P only.
std::shared_ptr<DCRTPoly::Params> encapsulation_basis(const Context& context) {
    const auto& q = context.bases.back()->GetParams()[0];
    const auto& p = context.parameters->GetParamsP()->GetParams()[0];
    return std::make_shared<DCRTPoly::Params>(
        context.cyclotomic_order(), std::vector<NativeInteger>{q->GetModulus(), p->GetModulus()},
        std::vector<NativeInteger>{q->GetRootOfUnity(), p->GetRootOfUnity()});
}

struct KeyShape {
    std::shared_ptr<DCRTPoly::Params> basis;
    std::size_t digits;
};

// What a key for ciphertexts of fewer limbs than Q has, read ahead from its block.
KeyShape key_shape(const Context& context, Reader ahead) {
    ahead.number();
    ahead.number();
    const std::size_t special = context.parameters->GetParamsP()->GetParams().size();
    const std::size_t limbs   = ahead.number();
    require(special < limbs && limbs <= context.limb_count() + special, "damaged: wrong number of limbs");
    const std::size_t kept  = limbs - special;
    const std::size_t width = context.parameters->GetNumPerPartQ();
    return {context.extended_bases[context.limb_count() - kept], (kept + width - 1) / width};
}

void check_key_id(const Context& context, std::uint32_t id) {
    auto order     = context.cyclotomic_order();
    bool is_odd    = id % 2 == 1 && id < order;
    bool is_sparse = id == order - 2 || id == order - 4;
    require(id == MULTIPLICATION_KEY || is_odd || is_sparse, "damaged: not the id of an evaluation key");
}

std::size_t evaluation_key_header_size() {
    return 2 * sizeof(std::uint32_t);
}

// The secret polynomial over a basis, in evaluation format.
DCRTPoly ternary_polynomial(const std::vector<std::int8_t>& coefficients,
                            const std::shared_ptr<DCRTPoly::Params>& basis) {
    DCRTPoly polynomial(basis, Format::COEFFICIENT, true);
    for (auto& limb : polynomial.GetAllElements()) {
        NativeInteger minus_one = limb.GetModulus() - NativeInteger(1);
        for (std::size_t i = 0; i < coefficients.size(); ++i) {
            if (coefficients[i] != 0)
                limb[i] = coefficients[i] > 0 ? NativeInteger(1) : minus_one;
        }
    }
    polynomial.SetFormat(Format::EVALUATION);
    return polynomial;
}

}  // namespace

std::size_t evaluation_key_size(const LooseKey& key) {
    const auto& a_halves = key.handle->GetAVector();
    return evaluation_key_header_size() + block_size(*a_halves.at(0).GetParams(), 2 * a_halves.size());
}

void export_evaluation_key_into(const LooseKey& key, rust::Slice<std::uint8_t> out) {
    auto all      = pointers_to(key.handle->GetAVector());
    auto b_halves = pointers_to(key.handle->GetBVector());
    all.insert(all.end(), b_halves.begin(), b_halves.end());
    Writer writer(out);
    writer.number(static_cast<std::uint32_t>(Magic::EvaluationKey));
    writer.number(key.id());
    write_block(writer, all);
    writer.finish();
}

std::unique_ptr<LooseKey> evaluation_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes) {
    Reader reader(bytes);
    reader.expect(Magic::EvaluationKey, "not an evaluation key");
    std::uint32_t id = reader.number();
    check_key_id(context, id);
    const bool encapsulation = id == context.cyclotomic_order() - 4;
    const KeyShape shape     = encapsulation ? KeyShape{encapsulation_basis(context), 1} : key_shape(context, reader);
    const std::size_t digits = shape.digits;
    auto a_halves            = read_block(reader, shape.basis, 2 * digits);
    reader.finish();

    std::vector<DCRTPoly> b_halves(std::make_move_iterator(a_halves.begin() + digits),
                                   std::make_move_iterator(a_halves.end()));
    a_halves.resize(digits);
    // OpenFHE's own key switch looks for the limbs of P where a key over all of Q has them.
    if (!encapsulation && !kernels::in_use()) {
        fill_up(a_halves, *context.parameters);
        fill_up(b_halves, *context.parameters);
    }
    auto key = std::make_shared<lbcrypto::EvalKeyRelinImpl<DCRTPoly>>(context.handle);
    key->SetAVector(std::move(a_halves));
    key->SetBVector(std::move(b_halves));
    return std::unique_ptr<LooseKey>(new LooseKey{std::move(key), id});
}

std::size_t public_key_size(const PublicKey& key) {
    const auto& parts = key.handle->GetPublicElements();
    return sizeof(std::uint32_t) + tag_size(key.handle->GetKeyTag()) +
           block_size(*parts.at(0).GetParams(), parts.size());
}

void export_public_key_into(const PublicKey& key, rust::Slice<std::uint8_t> out) {
    Writer writer(out);
    writer.number(static_cast<std::uint32_t>(Magic::PublicKey));
    writer.tag(key.handle->GetKeyTag());
    write_block(writer, pointers_to(key.handle->GetPublicElements()));
    writer.finish();
}

std::unique_ptr<PublicKey> public_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes) {
    Reader reader(bytes);
    reader.expect(Magic::PublicKey, "not a public key");
    auto tag   = reader.tag();
    auto parts = read_block(reader, context.parameters->GetParamsPK(), 2);
    reader.finish();
    auto key = std::make_shared<lbcrypto::PublicKeyImpl<DCRTPoly>>(context.handle, tag);
    key->SetPublicElements(std::move(parts));
    return std::unique_ptr<PublicKey>(new PublicKey{std::move(key)});
}

std::size_t secret_key_size(const SecretKey& key) {
    return 2 * sizeof(std::uint32_t) + tag_size(key.handle->GetKeyTag()) +
           key.handle->GetPrivateElement().GetRingDimension();
}

void export_secret_key_into(const SecretKey& key, rust::Slice<std::uint8_t> out) {
    Writer writer(out);
    auto secret = key.handle->GetPrivateElement().GetElementAtIndex(0);
    secret.SetFormat(Format::COEFFICIENT);
    writer.number(static_cast<std::uint32_t>(Magic::SecretKey));
    writer.tag(key.handle->GetKeyTag());
    writer.number(secret.GetLength());
    const std::uint64_t modulus = secret.GetModulus().ConvertToInt();
    bool ternary                = true;
    std::uint8_t* out_bytes     = writer.take(secret.GetLength());
    for (std::size_t i = 0; i < secret.GetLength(); ++i) {
        std::uint64_t residue = secret[i].ConvertToInt();
        ternary &= residue <= 1 || residue == modulus - 1;
        out_bytes[i] = static_cast<std::uint8_t>(residue <= 1 ? residue : 255);
    }
    explicit_bzero(&secret[0], secret.GetLength() * sizeof(std::uint64_t));
    require(ternary, "the secret key is not ternary");
    writer.finish();
}

std::unique_ptr<SecretKey> secret_key_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes) {
    Reader reader(bytes);
    reader.expect(Magic::SecretKey, "not a secret key");
    auto tag = reader.tag();
    require(reader.number() == context.ring_dimension(), "the data are for another ring dimension");
    const auto* source = reinterpret_cast<const std::int8_t*>(reader.take(context.ring_dimension()));
    reader.finish();
    std::vector<std::int8_t> coefficients(source, source + context.ring_dimension());
    bool ternary = true;
    for (auto coefficient : coefficients)
        ternary &= coefficient >= -1 && coefficient <= 1;
    require(ternary, "damaged: the secret key is not ternary");
    auto key = std::make_shared<lbcrypto::PrivateKeyImpl<DCRTPoly>>(context.handle);
    key->SetKeyTag(tag);
    key->SetPrivateElement(ternary_polynomial(coefficients, context.parameters->GetElementParams()));
    explicit_bzero(coefficients.data(), coefficients.size());
    return std::make_unique<SecretKey>(std::move(key));
}

std::size_t ciphertext_size(const Ciphertext& ciphertext, rust::Str tag) {
    const auto& parts = ciphertext.handle->GetElements();
    return 5 * sizeof(std::uint32_t) + sizeof(double) + tag_size(to_string(tag)) +
           block_size(*parts.at(0).GetParams(), parts.size());
}

void export_ciphertext_into(const Ciphertext& ciphertext, rust::Str tag, rust::Slice<std::uint8_t> out) {
    Writer writer(out);
    writer.number(static_cast<std::uint32_t>(Magic::Ciphertext));
    writer.tag(to_string(tag));
    writer.number(ciphertext.level());
    writer.number(ciphertext.slots());
    writer.number(ciphertext.noise_scale_degree());
    writer.number(ciphertext.part_count());
    writer.real(ciphertext.scaling_factor());
    write_block(writer, pointers_to(ciphertext.handle->GetElements()));
    writer.finish();
}

std::unique_ptr<Ciphertext> ciphertext_from_bytes(const Context& context, rust::Slice<const std::uint8_t> bytes) {
    Reader reader(bytes);
    reader.expect(Magic::Ciphertext, "not a ciphertext");
    auto tag    = reader.tag();
    auto level  = reader.number();
    auto slots  = reader.number();
    auto degree = reader.number();
    auto parts  = reader.number();
    auto factor = reader.real();
    require(level < context.limb_count(), "damaged: the level is beyond the last prime");
    require(slots != 0 && (slots & (slots - 1)) == 0 && slots <= context.ring_dimension() / 2,
            "damaged: not a possible slot count");
    require(degree <= 3, "damaged: not a possible noise scale degree");
    require(parts == 2 || parts == 3, "damaged: a ciphertext has two or three parts");
    require(std::isfinite(factor) && factor > 0, "damaged: not a possible scaling factor");
    auto elements = read_block(reader, context.bases[level], parts);
    reader.finish();

    auto handle = std::make_shared<lbcrypto::CiphertextImpl<DCRTPoly>>(context.handle, tag,
                                                                      lbcrypto::CKKS_PACKED_ENCODING);
    handle->SetElements(std::move(elements));
    handle->SetLevel(level);
    handle->SetSlots(slots);
    handle->SetNoiseScaleDeg(degree);
    handle->SetScalingFactor(factor);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace openfhe_shim
