// OpenFHE's own binary serialization. Its readers check little: the bytes must be known to be undamaged.

#include "internal.h"

#include "ciphertext-ser.h"
#include "cryptocontext-ser.h"
#include "key/key-ser.h"
#include "scheme/ckksrns/ckksrns-ser.h"

#include <sstream>

namespace openfhe_shim {

namespace {

template <typename T>
std::unique_ptr<std::string> serialize(const T& object) {
    std::ostringstream stream;
    lbcrypto::Serial::Serialize(object, stream, lbcrypto::SerType::BINARY);
    return std::make_unique<std::string>(stream.str());
}

// Reads all bytes into the object, which must not be null afterwards.
template <typename T>
T deserialize(rust::Slice<const std::uint8_t> bytes) {
    std::istringstream stream(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    T object;
    lbcrypto::Serial::Deserialize(object, stream, lbcrypto::SerType::BINARY);
    require(object != nullptr, "damaged: an empty object");
    require(stream.peek() == std::istringstream::traits_type::eof(), "damaged: the data are too long");
    return object;
}

}  // namespace

std::unique_ptr<std::string> serialize_context(const Context& context) {
    return serialize(context.handle);
}

std::unique_ptr<std::string> serialize_public_key(const PublicKey& key) {
    return serialize(key.handle);
}

std::unique_ptr<std::string> serialize_secret_key(const SecretKey& key) {
    return serialize(key.handle);
}

std::unique_ptr<std::string> serialize_ciphertext(const Ciphertext& ciphertext) {
    return serialize(ciphertext.handle);
}

std::unique_ptr<std::string> serialize_evaluation_key(rust::Str tag, std::uint32_t id) {
    return serialize(find_evaluation_key(to_string(tag), id));
}

std::unique_ptr<Context> deserialize_context(rust::Slice<const std::uint8_t> bytes) {
    return std::make_unique<Context>(deserialize<lbcrypto::CryptoContext<DCRTPoly>>(bytes));
}

std::unique_ptr<PublicKey> deserialize_public_key(rust::Slice<const std::uint8_t> bytes) {
    return std::unique_ptr<PublicKey>(new PublicKey{deserialize<lbcrypto::PublicKey<DCRTPoly>>(bytes)});
}

std::unique_ptr<SecretKey> deserialize_secret_key(rust::Slice<const std::uint8_t> bytes) {
    return std::make_unique<SecretKey>(deserialize<lbcrypto::PrivateKey<DCRTPoly>>(bytes));
}

std::unique_ptr<Ciphertext> deserialize_ciphertext(rust::Slice<const std::uint8_t> bytes) {
    return std::unique_ptr<Ciphertext>(new Ciphertext{deserialize<lbcrypto::Ciphertext<DCRTPoly>>(bytes)});
}

}  // namespace openfhe_shim
