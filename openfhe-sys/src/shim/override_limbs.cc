// Overrides of OpenFHE's arithmetic on one limb: the transforms and the pointwise operations of NativeVector.

#include "kernels.h"

#include "math/math-hal.h"

using openfhe_shim::kernels_can_run;
using openfhe_shim::mut_words;
using openfhe_shim::stock;
using openfhe_shim::word;
using openfhe_shim::words;

namespace kernels = openfhe_shim::kernels;
namespace symbols = openfhe_shim::symbols;

namespace intnat {

using Integer   = lbcrypto::NativeInteger;
using Vector    = lbcrypto::NativeVector;
using Transform = NumberTheoreticTransformNat<Vector>;

namespace {

// OpenFHE takes any scalar and reduces it first.
std::uint64_t residue(const Integer& scalar, const Integer& modulus) {
    return word(scalar) % word(modulus);
}

bool same_basis(const Vector& left, const Vector& right) {
    return left.GetLength() == right.GetLength() && left.GetModulus() == right.GetModulus();
}

bool can_run(const Vector& limb) {
    return kernels_can_run(limb.GetModulus(), limb.GetLength());
}

// Not on one object as both operands: the kernels' borrow rules exclude it.
bool can_run(const Vector& left, const Vector& right) {
    return &left != &right && same_basis(left, right) && can_run(left);
}

}  // namespace

template <>
void Transform::ForwardTransformToBitReverseInPlace(const Vector& roots, const Vector& shoup, Vector* limb) {
    if (can_run(*limb))
        return kernels::ntt_forward(mut_words(*limb), word(limb->GetModulus()), words(roots), words(shoup));
    static const auto original = stock<void(Transform*, const Vector&, const Vector&, Vector*)>(symbols::NTT_FORWARD);
    original(this, roots, shoup, limb);
}

template <>
void Transform::InverseTransformFromBitReverseInPlace(const Vector& roots, const Vector& shoup,
                                                      const Integer& n_inverse, const Integer& n_inverse_shoup,
                                                      Vector* limb) {
    if (can_run(*limb))
        return kernels::ntt_inverse(mut_words(*limb), word(limb->GetModulus()), words(roots), words(shoup),
                                    word(n_inverse), word(n_inverse_shoup));
    static const auto original =
        stock<void(Transform*, const Vector&, const Vector&, const Integer&, const Integer&, Vector*)>(symbols::NTT_INVERSE);
    original(this, roots, shoup, n_inverse, n_inverse_shoup, limb);
}

template <>
Vector& Vector::ModAddNoCheckEq(const Vector& other) {
    if (can_run(*this, other)) {
        kernels::add(mut_words(*this), words(other), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Vector&)>(symbols::ADD_NO_CHECK);
    return original(this, other);
}

template <>
Vector& Vector::ModAddEq(const Vector& other) {
    if (can_run(*this, other)) {
        kernels::add(mut_words(*this), words(other), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Vector&)>(symbols::ADD_IN_PLACE);
    return original(this, other);
}

template <>
Vector Vector::ModAdd(const Vector& other) const {
    if (can_run(*this, other)) {
        Vector sum(*this);
        kernels::add(mut_words(sum), words(other), word(m_modulus));
        return sum;
    }
    static const auto original = stock<Vector(const Vector*, const Vector&)>(symbols::ADD);
    return original(this, other);
}

template <>
Vector& Vector::ModSubEq(const Vector& other) {
    if (can_run(*this, other)) {
        kernels::subtract(mut_words(*this), words(other), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Vector&)>(symbols::SUBTRACT_IN_PLACE);
    return original(this, other);
}

template <>
Vector Vector::ModSub(const Vector& other) const {
    if (can_run(*this, other)) {
        Vector difference(*this);
        kernels::subtract(mut_words(difference), words(other), word(m_modulus));
        return difference;
    }
    static const auto original = stock<Vector(const Vector*, const Vector&)>(symbols::SUBTRACT);
    return original(this, other);
}

template <>
Vector& Vector::ModMulNoCheckEq(const Vector& other) {
    if (can_run(*this, other)) {
        kernels::multiply(mut_words(*this), words(other), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Vector&)>(symbols::MULTIPLY_NO_CHECK);
    return original(this, other);
}

template <>
Vector& Vector::ModMulEq(const Vector& other) {
    if (can_run(*this, other)) {
        kernels::multiply(mut_words(*this), words(other), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Vector&)>(symbols::MULTIPLY_IN_PLACE);
    return original(this, other);
}

template <>
Vector Vector::ModMul(const Vector& other) const {
    if (can_run(*this, other)) {
        Vector product(*this);
        kernels::multiply(mut_words(product), words(other), word(m_modulus));
        return product;
    }
    static const auto original = stock<Vector(const Vector*, const Vector&)>(symbols::MULTIPLY);
    return original(this, other);
}

template <>
Vector& Vector::ModMulEq(const Integer& factor) {
    if (can_run(*this)) {
        kernels::multiply_scalar(mut_words(*this), residue(factor, m_modulus), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Integer&)>(symbols::MULTIPLY_SCALAR_IN_PLACE);
    return original(this, factor);
}

template <>
Vector Vector::ModMul(const Integer& factor) const {
    if (can_run(*this)) {
        Vector product(*this);
        kernels::multiply_scalar(mut_words(product), residue(factor, m_modulus), word(m_modulus));
        return product;
    }
    static const auto original = stock<Vector(const Vector*, const Integer&)>(symbols::MULTIPLY_SCALAR);
    return original(this, factor);
}

template <>
Vector Vector::ModAdd(const Integer& addend) const {
    if (can_run(*this)) {
        Vector sum(*this);
        kernels::add_scalar(mut_words(sum), residue(addend, m_modulus), word(m_modulus));
        return sum;
    }
    static const auto original = stock<Vector(const Vector*, const Integer&)>(symbols::ADD_SCALAR);
    return original(this, addend);
}

template <>
Vector& Vector::ModSubEq(const Integer& subtrahend) {
    if (can_run(*this)) {
        kernels::subtract_scalar(mut_words(*this), residue(subtrahend, m_modulus), word(m_modulus));
        return *this;
    }
    static const auto original = stock<Vector&(Vector*, const Integer&)>(symbols::SUBTRACT_SCALAR_IN_PLACE);
    return original(this, subtrahend);
}

}  // namespace intnat

void openfhe_shim::link_limb_overrides() {}
