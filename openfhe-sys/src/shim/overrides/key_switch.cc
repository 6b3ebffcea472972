// Overrides of OpenFHE's hybrid key switching: decomposition and inner product on all threads and without temporaries.

#include "overrides/canary.h"
#include "overrides/stock.h"
#include "rns/basis.h"
#include "rns/key_switch.h"

#include "key/evalkey.h"
#include "keyswitch/keyswitch-hybrid.h"
#include "schemerns/rns-cryptoparameters.h"

using openfhe_shim::convert_basis;
using openfhe_shim::for_each_limb;
using openfhe_shim::kernels_can_run;
using openfhe_shim::mut_words;
using openfhe_shim::stock;
using openfhe_shim::zero_limb;

namespace kernels = openfhe_shim::kernels;
namespace symbols = openfhe_shim::symbols;

namespace lbcrypto {

namespace {

using Polynomials = std::shared_ptr<std::vector<DCRTPoly>>;
using Basis       = std::shared_ptr<DCRTPoly::Params>;

// The limbs of one digit among those of Q.
struct Digit {
    std::size_t start;
    std::size_t end;

    bool holds(std::size_t limb) const { return start <= limb && limb < end; }
    std::size_t size() const { return end - start; }
};

std::vector<Digit> digits_of(std::size_t limbs, const CryptoParametersRNS& parameters) {
    const std::size_t width = parameters.GetNumPerPartQ();
    const std::size_t count =
        std::min<std::size_t>((limbs + width - 1) / width, parameters.GetNumberOfQPartitions());
    std::vector<Digit> digits;
    for (std::size_t digit = 0; digit < count; ++digit)
        digits.push_back({digit * width, digit + 1 == count ? limbs : (digit + 1) * width});
    return digits;
}

// Raises the limbs of one digit, in coefficient format, to the whole basis: every limb that is not the digit's own.
void raise(DCRTPoly& raised, const std::vector<NativePoly>& coefficients, const Digit& digit, std::size_t number,
           const CryptoParametersRNS& parameters) {
    std::vector<const NativePoly*> own;
    for (std::size_t limb = digit.start; limb < digit.end; ++limb)
        own.push_back(&coefficients[limb]);
    std::vector<NativePoly*> others;
    auto& limbs = raised.GetAllElements();
    for (std::size_t limb = 0; limb < limbs.size(); ++limb) {
        if (!digit.holds(limb))
            others.push_back(&limbs[limb]);
    }
    convert_basis(own, others,
                  {parameters.GetPartQlHatInvModq(number, digit.size() - 1),
                   parameters.GetPartQlHatModp(coefficients.size() - 1, number)});
}

}  // namespace

Polynomials KeySwitchHYBRID::EvalKeySwitchPrecomputeCore(
    const DCRTPoly& polynomial, std::shared_ptr<CryptoParametersBase<DCRTPoly>> parameters_base) const {
    const auto parameters = std::dynamic_pointer_cast<CryptoParametersRNS>(parameters_base);
    const Basis extended  = polynomial.GetExtendedCRTBasis(parameters->GetParamsP());
    if (polynomial.GetFormat() != Format::EVALUATION || !kernels_can_run(*extended)) {
        using Original = Polynomials(const KeySwitchHYBRID*, const DCRTPoly&,
                                     std::shared_ptr<CryptoParametersBase<DCRTPoly>>);
        return stock<symbols::DECOMPOSE, Original>()(this, polynomial, parameters_base);
    }
    const auto& limbs = polynomial.GetAllElements();
    std::vector<NativePoly> coefficients(limbs.size());
    for_each_limb(limbs.size(), [&](int i) {
        coefficients[i] = limbs[i];
        coefficients[i].SetFormat(Format::COEFFICIENT);
    });
    const auto digits = digits_of(limbs.size(), *parameters);
    const auto& basis = extended->GetParams();
    auto result       = std::make_shared<std::vector<DCRTPoly>>();
    for (std::size_t digit = 0; digit < digits.size(); ++digit) {
        result->emplace_back(extended, Format::EVALUATION);
        auto& raised = result->back().GetAllElements();
        for_each_limb(raised.size(), [&](int i) {
            raised[i] = digits[digit].holds(i) ? limbs[i] : zero_limb(basis[i], Format::COEFFICIENT);
        });
        raise(result->back(), coefficients, digits[digit], digit, *parameters);
        for_each_limb(raised.size(), [&](int i) { raised[i].SetFormat(Format::EVALUATION); });
    }
    return result;
}

Polynomials KeySwitchHYBRID::EvalFastKeySwitchCoreExt(const Polynomials digits, const EvalKey<DCRTPoly> key,
                                                      const Basis q) const {
    openfhe_shim::key_switch_overrides_called = true;
    openfhe_shim::check_key(*digits, *key);
    const auto& basis = digits->at(0).GetParams();
    if (!kernels_can_run(*basis)) {
        using Original = Polynomials(const KeySwitchHYBRID*, const Polynomials, const EvalKey<DCRTPoly>,
                                     const Basis);
        return stock<symbols::INNER_PRODUCT, Original>()(this, digits, openfhe_shim::filled_up(key), q);
    }
    DCRTPoly first(basis, Format::EVALUATION);
    DCRTPoly second(basis, Format::EVALUATION);
    for_each_limb(basis->GetParams().size(), [&](int i) {
        auto& one = first.GetAllElements()[i];
        auto& two = second.GetAllElements()[i];
        one       = zero_limb(basis->GetParams()[i], Format::EVALUATION);
        two       = zero_limb(basis->GetParams()[i], Format::EVALUATION);
        openfhe_shim::digits_times_key(mut_words(one), mut_words(two), *digits, *key, i);
    });
    auto result = std::make_shared<std::vector<DCRTPoly>>();
    result->push_back(std::move(first));
    result->push_back(std::move(second));
    return result;
}

Polynomials KeySwitchHYBRID::EvalFastKeySwitchCore(const Polynomials digits, const EvalKey<DCRTPoly> key,
                                                   const Basis q) const {
    const auto parameters = std::dynamic_pointer_cast<CryptoParametersRNS>(key->GetCryptoParameters());
    const auto extended   = EvalFastKeySwitchCoreExt(digits, key, q);
    auto result           = std::make_shared<std::vector<DCRTPoly>>();
    for (auto& part : *extended) {
        result->push_back(openfhe_shim::divide_by_p(part, q, *parameters));
        part = DCRTPoly();
    }
    return result;
}

}  // namespace lbcrypto

thread_local bool openfhe_shim::key_switch_overrides_called = false;
