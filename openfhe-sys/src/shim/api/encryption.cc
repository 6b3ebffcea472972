// Encryption and decryption.

#include "internal.h"

#include "ciphertext.h"
#include "encoding/ckkspackedencoding.h"
#include "key/privatekey.h"
#include "key/publickey.h"

#include <algorithm>
#include <cmath>

namespace openfhe_shim {

namespace {

// Under a public or a secret key. OpenFHE is told of the ciphertext what its own encoding would have told it.
template <typename Key>
std::unique_ptr<Ciphertext> encrypt_under(const Key& key, const Plaintext& plaintext) {
    auto handle = key->GetCryptoContext()->GetScheme()->Encrypt(plaintext.element, key);
    handle->SetEncodingType(lbcrypto::CKKS_PACKED_ENCODING);
    handle->SetSlots(plaintext.slots);
    handle->SetLevel(plaintext.level);
    handle->SetNoiseScaleDeg(1);
    handle->SetScalingFactor(plaintext.scale);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace

std::unique_ptr<Ciphertext> encrypt(const PublicKey& key, const Plaintext& plaintext) {
    require_system_randomness();
    return encrypt_under(key.handle, plaintext);
}

std::unique_ptr<Ciphertext> encrypt_with_secret_key(const SecretKey& key, const Plaintext& plaintext) {
    require_system_randomness();
    return encrypt_under(key.handle, plaintext);
}

// OpenFHE decodes a FLEXIBLEAUTO ciphertext at the scaling factor in its metadata and a FIXEDMANUAL one at a power of
// its fixed scale; the result is corrected for the latter.
rust::Vec<double> decrypt(const SecretKey& key, const Ciphertext& ciphertext, double scale) {
    require_system_randomness();
    require(std::isfinite(scale) && scale > 0, "the scale must be positive and finite");
    require(key.handle->GetKeyTag() == ciphertext.handle->GetKeyTag(), "the ciphertext belongs to another key");
    require(ciphertext.part_count() == 2 || ciphertext.part_count() == 3, "a ciphertext has two or three parts");
    auto parameters = ckks_parameters(*ciphertext.handle);
    auto copy       = ciphertext.handle->Clone();
    copy->SetScalingFactor(scale);
    double correction = 1;
    if (parameters->GetScalingTechnique() == lbcrypto::FIXEDMANUAL) {
        std::size_t degree = ciphertext.limb_count() == 1 ? 1 : std::max<std::size_t>(1, copy->GetNoiseScaleDeg());
        copy->SetNoiseScaleDeg(degree);
        correction = std::pow(parameters->GetScalingFactorReal(0), static_cast<double>(degree)) / scale;
    }
    lbcrypto::Plaintext decrypted;
    auto result = key.handle->GetCryptoContext()->Decrypt(copy, key.handle, &decrypted);
    require(result.isValid, "decryption failed");

    rust::Vec<double> values;
    values.reserve(ciphertext.slots());
    for (const auto& value : decrypted->GetCKKSPackedValue())
        values.push_back(value.real() * correction);
    return values;
}

}  // namespace openfhe_shim
