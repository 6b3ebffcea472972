// Overrides of OpenFHE's arithmetic on RNS polynomials: what passes from one prime to others.

#include "basis.h"

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

using Integers = std::vector<NativeInteger>;
using Basis    = std::shared_ptr<DCRTPoly::Params>;

std::vector<const NativePoly*> first_limbs(const std::vector<NativePoly>& limbs, std::size_t count) {
    std::vector<const NativePoly*> pointers;
    for (std::size_t i = 0; i < count; ++i)
        pointers.push_back(&limbs[i]);
    return pointers;
}

std::vector<NativePoly*> all_limbs(std::vector<NativePoly>& limbs) {
    std::vector<NativePoly*> pointers;
    for (auto& limb : limbs)
        pointers.push_back(&limb);
    return pointers;
}

}  // namespace

template <>
DCRTPoly DCRTPoly::ApproxSwitchCRTBasis(const Basis& from, const Basis& to, const Integers& hat_inverse,
                                        const Integers& hat_inverse_shoup, const std::vector<Integers>& hat,
                                        const std::vector<DoubleNativeInt>& ratios) const {
    if (!kernels_can_run(*m_params) || !kernels_can_run(*to)) {
        static const auto original =
            stock<DCRTPoly(const DCRTPoly*, const Basis&, const Basis&, const Integers&, const Integers&,
                           const std::vector<Integers>&, const std::vector<DoubleNativeInt>&)>(symbols::CONVERT_BASIS);
        return original(this, from, to, hat_inverse, hat_inverse_shoup, hat, ratios);
    }
    DCRTPoly result(to, m_format);
    for_each_limb(result.m_vectors.size(),
                  [&](int i) { result.m_vectors[i] = zero_limb(to->GetParams()[i], m_format); });
    const std::size_t sources = std::min(m_vectors.size(), from->GetParams().size());
    convert_basis(first_limbs(m_vectors, sources), all_limbs(result.m_vectors), {hat_inverse, hat});
    return result;
}

// (x - [x mod P over Q]) / P: the limbs of P leave in coefficient format, come back over Q, and are subtracted.
template <>
DCRTPoly DCRTPoly::ApproxModDown(const Basis& q, const Basis& p, const Integers& p_inverse,
                                 const Integers& p_inverse_shoup, const Integers& p_hat_inverse,
                                 const Integers& p_hat_inverse_shoup, const std::vector<Integers>& p_hat,
                                 const std::vector<DoubleNativeInt>& ratios, const Integers& t_inverse,
                                 const Integers& t_inverse_shoup, const NativeInteger& t,
                                 const Integers& t_shoup) const {
    if (t > NativeInteger(0) || m_format != Format::EVALUATION || !kernels_can_run(*m_params)) {
        static const auto original =
            stock<DCRTPoly(const DCRTPoly*, const Basis&, const Basis&, const Integers&, const Integers&,
                           const Integers&, const Integers&, const std::vector<Integers>&,
                           const std::vector<DoubleNativeInt>&, const Integers&, const Integers&,
                           const NativeInteger&, const Integers&)>(symbols::DIVIDE_BY_P);
        return original(this, q, p, p_inverse, p_inverse_shoup, p_hat_inverse, p_hat_inverse_shoup, p_hat, ratios,
                        t_inverse, t_inverse_shoup, t, t_shoup);
    }
    const std::size_t special = p->GetParams().size();
    const std::size_t kept    = m_vectors.size() - special;
    std::vector<NativePoly> above(special);
    for_each_limb(special, [&](int j) {
        above[j] = m_vectors[kept + j];
        above[j].SetFormat(Format::COEFFICIENT);
    });
    DCRTPoly result(q, Format::EVALUATION);
    if (q->GetParams().size() > kept)
        result.DropLastElements(q->GetParams().size() - kept);
    for_each_limb(kept, [&](int i) {
        result.m_vectors[i] = zero_limb(result.m_params->GetParams()[i], Format::COEFFICIENT);
    });
    convert_basis(first_limbs(above, special), all_limbs(result.m_vectors), {p_hat_inverse, p_hat});
    for_each_limb(kept, [&](int i) {
        auto& limb            = result.m_vectors[i];
        const std::uint64_t m = word(limb.GetModulus());
        limb.SetFormat(Format::EVALUATION);
        kernels::subtract_and_scale(mut_words(limb), words(m_vectors[i]), m - word(p_inverse[i]), m);
    });
    return result;
}

// x / q_l, rounded: the last limb, centred and times factors of its own, is added over each other prime.
template <>
void DCRTPoly::DropLastElementAndScale(const Integers& last_factors, const Integers& last_inverse) {
    if (m_format != Format::EVALUATION || m_vectors.size() < 2 || !kernels_can_run(*m_params)) {
        static const auto original = stock<void(DCRTPoly*, const Integers&, const Integers&)>(symbols::RESCALE);
        return original(this, last_factors, last_inverse);
    }
    NativePoly last = std::move(m_vectors.back());
    last.SetFormat(Format::COEFFICIENT);
    DropLastElement();
    for_each_limb(m_vectors.size(), [&](int i) {
        auto& limb             = m_vectors[i];
        const std::uint64_t to = word(limb.GetModulus());
        NativePoly carried     = zero_limb(limb.GetParams(), Format::COEFFICIENT);
        kernels::switch_modulus_and_scale(mut_words(carried), words(last), word(last_factors[i]),
                                          word(last.GetModulus()), to);
        carried.SetFormat(Format::EVALUATION);
        kernels::scale_and_add(mut_words(limb), word(last_inverse[i]), words(carried), to);
    });
}

template <>
NativePoly NativePoly::AutomorphismTransform(std::uint32_t index, const std::vector<std::uint32_t>& map) const {
    const std::size_t length = GetLength();
    if (m_format != Format::EVALUATION || index % 2 == 0 || map.size() != length ||
        !kernels_can_run(GetModulus(), length)) {
        static const auto original =
            stock<NativePoly(const NativePoly*, std::uint32_t, const std::vector<std::uint32_t>&)>(symbols::AUTOMORPHISM);
        return original(this, index, map);
    }
    NativePoly result(m_params, m_format, true);
    kernels::permute(mut_words(result), words(*this), {map.data(), map.size()});
    return result;
}

}  // namespace lbcrypto

void openfhe_shim::link_polynomial_overrides() {}
