// OpenFHE's own evaluations of a polynomial, which adjust levels and scales themselves: what circuits are compared with.

#include "openfhe-reference/src/shim/reference.h"

namespace openfhe_shim {

namespace {

std::vector<double> checked(rust::Slice<const double> coefficients) {
    require(coefficients.size() >= 2, "a polynomial of degree 1 or more is needed");
    return {coefficients.begin(), coefficients.end()};
}

}  // namespace

std::unique_ptr<Ciphertext> evaluate_polynomial(const Ciphertext& x, rust::Slice<const double> coefficients) {
    auto context = x.handle->GetCryptoContext();
    return std::unique_ptr<Ciphertext>(new Ciphertext{context->EvalPoly(x.handle, checked(coefficients))});
}

std::unique_ptr<Ciphertext> evaluate_chebyshev_series(const Ciphertext& x, rust::Slice<const double> coefficients) {
    auto context = x.handle->GetCryptoContext();
    auto result  = context->EvalChebyshevSeries(x.handle, checked(coefficients), -1.0, 1.0);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(result)});
}

}  // namespace openfhe_shim
