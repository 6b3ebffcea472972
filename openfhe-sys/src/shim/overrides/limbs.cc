// Overrides of OpenFHE's arithmetic on one limb: the transforms and the pointwise operations of NativeVector.

#include "overrides/canary.h"
#include "overrides/stock.h"
#include "rns/kernels.h"

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

using InPlace       = Vector&(Vector*, const Vector&);
using Copying       = Vector(const Vector*, const Vector&);
using ScalarInPlace = Vector&(Vector*, const Integer&);
using ScalarCopying = Vector(const Vector*, const Integer&);

bool can_run(const Vector& limb) {
    return kernels_can_run(limb.GetModulus(), limb.GetLength());
}

// Runs a kernel on two limbs over the same prime, if it can. Not on one object as both operands: the kernels' borrow
// rules exclude it.
bool run(void (*kernel)(rust::Slice<std::uint64_t>, rust::Slice<const std::uint64_t>, std::uint64_t), Vector& target,
         const Vector& other) {
    const bool can = &target != &other && target.GetLength() == other.GetLength() &&
                     target.GetModulus() == other.GetModulus() && can_run(target);
    if (can)
        kernel(mut_words(target), words(other), word(target.GetModulus()));
    return can;
}

// Runs a kernel on a limb and a scalar, which OpenFHE takes unreduced, if it can.
bool run(void (*kernel)(rust::Slice<std::uint64_t>, std::uint64_t, std::uint64_t), Vector& target,
         const Integer& scalar) {
    const bool can = can_run(target);
    if (can)
        kernel(mut_words(target), word(scalar) % word(target.GetModulus()), word(target.GetModulus()));
    return can;
}

}  // namespace

template <>
void Transform::ForwardTransformToBitReverseInPlace(const Vector& roots, const Vector& shoup, Vector* limb) {
    openfhe_shim::limb_overrides_called = true;
    if (can_run(*limb))
        return kernels::ntt_forward(mut_words(*limb), word(limb->GetModulus()), words(roots), words(shoup));
    using Original = void(Transform*, const Vector&, const Vector&, Vector*);
    stock<symbols::NTT_FORWARD, Original>()(this, roots, shoup, limb);
}

template <>
void Transform::InverseTransformFromBitReverseInPlace(const Vector& roots, const Vector& shoup,
                                                      const Integer& n_inverse, const Integer& n_inverse_shoup,
                                                      Vector* limb) {
    if (can_run(*limb))
        return kernels::ntt_inverse(mut_words(*limb), word(limb->GetModulus()), words(roots), words(shoup),
                                    word(n_inverse), word(n_inverse_shoup));
    using Original = void(Transform*, const Vector&, const Vector&, const Integer&, const Integer&, Vector*);
    stock<symbols::NTT_INVERSE, Original>()(this, roots, shoup, n_inverse, n_inverse_shoup, limb);
}

template <>
Vector& Vector::ModAddNoCheckEq(const Vector& other) {
    return run(kernels::add, *this, other) ? *this : stock<symbols::ADD_NO_CHECK, InPlace>()(this, other);
}

template <>
Vector& Vector::ModAddEq(const Vector& other) {
    return run(kernels::add, *this, other) ? *this : stock<symbols::ADD_IN_PLACE, InPlace>()(this, other);
}

template <>
Vector Vector::ModAdd(const Vector& other) const {
    if (!can_run(*this))
        return stock<symbols::ADD, Copying>()(this, other);
    Vector sum(*this);
    return run(kernels::add, sum, other) ? std::move(sum) : stock<symbols::ADD, Copying>()(this, other);
}

template <>
Vector& Vector::ModSubEq(const Vector& other) {
    return run(kernels::subtract, *this, other) ? *this : stock<symbols::SUBTRACT_IN_PLACE, InPlace>()(this, other);
}

template <>
Vector Vector::ModSub(const Vector& other) const {
    if (!can_run(*this))
        return stock<symbols::SUBTRACT, Copying>()(this, other);
    Vector difference(*this);
    return run(kernels::subtract, difference, other) ? std::move(difference) : stock<symbols::SUBTRACT, Copying>()(this, other);
}

template <>
Vector& Vector::ModMulNoCheckEq(const Vector& other) {
    return run(kernels::multiply, *this, other) ? *this : stock<symbols::MULTIPLY_NO_CHECK, InPlace>()(this, other);
}

template <>
Vector& Vector::ModMulEq(const Vector& other) {
    return run(kernels::multiply, *this, other) ? *this : stock<symbols::MULTIPLY_IN_PLACE, InPlace>()(this, other);
}

template <>
Vector Vector::ModMul(const Vector& other) const {
    if (!can_run(*this))
        return stock<symbols::MULTIPLY, Copying>()(this, other);
    Vector product(*this);
    return run(kernels::multiply, product, other) ? std::move(product) : stock<symbols::MULTIPLY, Copying>()(this, other);
}

template <>
Vector& Vector::ModMulEq(const Integer& factor) {
    return run(kernels::multiply_scalar, *this, factor)
               ? *this
               : stock<symbols::MULTIPLY_SCALAR_IN_PLACE, ScalarInPlace>()(this, factor);
}

template <>
Vector Vector::ModMul(const Integer& factor) const {
    if (!can_run(*this))
        return stock<symbols::MULTIPLY_SCALAR, ScalarCopying>()(this, factor);
    Vector product(*this);
    return run(kernels::multiply_scalar, product, factor) ? std::move(product) : stock<symbols::MULTIPLY_SCALAR, ScalarCopying>()(this, factor);
}

template <>
Vector Vector::ModAdd(const Integer& addend) const {
    if (!can_run(*this))
        return stock<symbols::ADD_SCALAR, ScalarCopying>()(this, addend);
    Vector sum(*this);
    return run(kernels::add_scalar, sum, addend) ? std::move(sum) : stock<symbols::ADD_SCALAR, ScalarCopying>()(this, addend);
}

template <>
Vector& Vector::ModSubEq(const Integer& subtrahend) {
    return run(kernels::subtract_scalar, *this, subtrahend)
               ? *this
               : stock<symbols::SUBTRACT_SCALAR_IN_PLACE, ScalarInPlace>()(this, subtrahend);
}

}  // namespace intnat

thread_local bool openfhe_shim::limb_overrides_called = false;
