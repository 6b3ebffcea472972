// Overrides of OpenFHE's hybrid key switching: decomposition and inner product on all threads and without temporaries.

#include "basis.h"

#include "key/evalkey.h"
#include "keyswitch/keyswitch-hybrid.h"
#include "schemerns/rns-cryptoparameters.h"

using openfhe_shim::convert_basis;
using openfhe_shim::for_each_limb;
using openfhe_shim::kernels_can_run;
using openfhe_shim::mut_words;
using openfhe_shim::stock;
using openfhe_shim::word;
using openfhe_shim::words;
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

// A key is over all of Q * P: at a lower level its limbs of Q are the first ones, those of P follow the unused ones.
Polynomials KeySwitchHYBRID::EvalFastKeySwitchCoreExt(const Polynomials digits, const EvalKey<DCRTPoly> key,
                                                      const Basis q) const {
    const auto& basis = digits->at(0).GetParams();
    if (!kernels_can_run(*basis)) {
        using Original = Polynomials(const KeySwitchHYBRID*, const Polynomials, const EvalKey<DCRTPoly>,
                                     const Basis);
        return stock<symbols::INNER_PRODUCT, Original>()(this, digits, key, q);
    }
    const auto parameters    = std::dynamic_pointer_cast<CryptoParametersRNS>(key->GetCryptoParameters());
    const std::size_t used   = q->GetParams().size();
    const std::size_t unused = parameters->GetElementParams()->GetParams().size() - used;
    const auto& first_key    = key->GetBVector();
    const auto& second_key   = key->GetAVector();
    DCRTPoly first(basis, Format::EVALUATION);
    DCRTPoly second(basis, Format::EVALUATION);
    for_each_limb(basis->GetParams().size(), [&](int i) {
        const auto& limb           = basis->GetParams()[i];
        const std::size_t key_limb = static_cast<std::size_t>(i) < used ? i : i + unused;
        std::vector<openfhe_shim::DigitProduct> terms;
        for (std::size_t digit = 0; digit < digits->size(); ++digit)
            terms.push_back({words((*digits)[digit].GetElementAtIndex(i)),
                             words(first_key[digit].GetElementAtIndex(key_limb)),
                             words(second_key[digit].GetElementAtIndex(key_limb))});
        auto& one = first.GetAllElements()[i];
        auto& two = second.GetAllElements()[i];
        one       = zero_limb(limb, Format::EVALUATION);
        two       = zero_limb(limb, Format::EVALUATION);
        kernels::sums_of_products(mut_words(one), mut_words(two), {terms.data(), terms.size()},
                                  word(limb->GetModulus()));
    });
    auto result = std::make_shared<std::vector<DCRTPoly>>();
    result->push_back(std::move(first));
    result->push_back(std::move(second));
    return result;
}

Polynomials KeySwitchHYBRID::EvalFastKeySwitchCore(const Polynomials digits, const EvalKey<DCRTPoly> key,
                                                   const Basis q) const {
    const auto parameters = std::dynamic_pointer_cast<CryptoParametersRNS>(key->GetCryptoParameters());
    const NativeInteger t = parameters->GetNoiseScale() == 1 ? 0 : parameters->GetPlaintextModulus();
    const auto divide     = [&](const DCRTPoly& extended) {
        return extended.ApproxModDown(q, parameters->GetParamsP(), parameters->GetPInvModq(),
                                      parameters->GetPInvModqPrecon(), parameters->GetPHatInvModp(),
                                      parameters->GetPHatInvModpPrecon(), parameters->GetPHatModq(),
                                      parameters->GetModqBarrettMu(), parameters->GettInvModp(),
                                      parameters->GettInvModpPrecon(), t, parameters->GettModqPrecon());
    };
    const auto extended = EvalFastKeySwitchCoreExt(digits, key, q);
    auto result         = std::make_shared<std::vector<DCRTPoly>>();
    for (auto& part : *extended) {
        result->push_back(divide(part));
        part = DCRTPoly();
    }
    return result;
}

}  // namespace lbcrypto

void openfhe_shim::link_key_switch_overrides() {}
