// Overrides of OpenFHE's arithmetic on RNS polynomials: loops over limbs, and what passes from one prime to others.

#include "overrides/canary.h"
#include "overrides/stock.h"
#include "rns/basis.h"

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

bool same_limbs(const DCRTPoly& left, const DCRTPoly& right) {
    return left.GetFormat() == right.GetFormat() && left.GetNumOfElements() == right.GetNumOfElements();
}

}  // namespace

template <>
NativePoly NativePoly::AutomorphismTransform(std::uint32_t index, const std::vector<std::uint32_t>& map) const {
    const std::size_t length = GetLength();
    if (m_format != Format::EVALUATION || index % 2 == 0 || map.size() != length ||
        !kernels_can_run(GetModulus(), length)) {
        using Original = NativePoly(const NativePoly*, std::uint32_t, const std::vector<std::uint32_t>&);
        return stock<symbols::AUTOMORPHISM, Original>()(this, index, map);
    }
    NativePoly result(m_params, m_format, true);
    kernels::permute(mut_words(result), words(*this), {map.data(), map.size()});
    return result;
}

template <>
DCRTPoly::DCRTPolyImpl(const DCRTPoly& other) noexcept {
    *this = other;
}

template <>
DCRTPoly& DCRTPoly::operator=(const DCRTPoly& other) noexcept {
    if (this != &other) {
        m_params = other.m_params;
        m_format = other.m_format;
        m_vectors.resize(other.m_vectors.size());
        for_each_limb(m_vectors.size(), [&](int i) { m_vectors[i] = other.m_vectors[i]; });
    }
    return *this;
}

template <>
DCRTPoly::DCRTPolyImpl(const Basis& basis, Format format, bool zero) noexcept : m_params(basis), m_format(format) {
    const auto& limbs = basis->GetParams();
    m_vectors.reserve(limbs.size());
    for (const auto& limb : limbs)
        m_vectors.emplace_back(limb, format, false);
    if (zero)
        for_each_limb(limbs.size(), [&](int i) { m_vectors[i].SetValuesToZero(); });
}

template <>
DCRTPoly DCRTPoly::Plus(const DCRTPoly& other) const {
    if (!kernels::in_use() || !same_limbs(*this, other)) {
        return stock<symbols::POLYNOMIAL_PLUS, DCRTPoly(const DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    DCRTPoly sum(m_params, m_format);
    for_each_limb(m_vectors.size(), [&](int i) { sum.m_vectors[i] = m_vectors[i].Plus(other.m_vectors[i]); });
    return sum;
}

template <>
DCRTPoly DCRTPoly::Minus(const DCRTPoly& other) const {
    if (!kernels::in_use() || !same_limbs(*this, other)) {
        return stock<symbols::POLYNOMIAL_MINUS, DCRTPoly(const DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    DCRTPoly difference(m_params, m_format);
    for_each_limb(m_vectors.size(), [&](int i) { difference.m_vectors[i] = m_vectors[i].Minus(other.m_vectors[i]); });
    return difference;
}

template <>
DCRTPoly DCRTPoly::Times(const DCRTPoly& other) const {
    if (!kernels::in_use() || !same_limbs(*this, other) || m_format != Format::EVALUATION) {
        return stock<symbols::POLYNOMIAL_TIMES, DCRTPoly(const DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    DCRTPoly product(m_params, m_format);
    for_each_limb(m_vectors.size(), [&](int i) { product.m_vectors[i] = m_vectors[i].Times(other.m_vectors[i]); });
    return product;
}

template <>
DCRTPoly DCRTPoly::Times(const Integers& factors) const {
    if (!kernels::in_use() || m_vectors.size() != factors.size()) {
        return stock<symbols::POLYNOMIAL_TIMES_SCALARS, DCRTPoly(const DCRTPoly*, const Integers&)>()(this, factors);
    }
    DCRTPoly product(m_params, m_format);
    for_each_limb(m_vectors.size(), [&](int i) { product.m_vectors[i] = m_vectors[i].Times(factors[i]); });
    return product;
}

template <>
DCRTPoly DCRTPoly::TimesNoCheck(const Integers& factors) const {
    if (!kernels::in_use()) {
        using Original = DCRTPoly(const DCRTPoly*, const Integers&);
        return stock<symbols::POLYNOMIAL_TIMES_FIRST_SCALARS, Original>()(this, factors);
    }
    DCRTPoly product(m_params, m_format);
    for_each_limb(std::min(m_vectors.size(), factors.size()),
                  [&](int i) { product.m_vectors[i] = m_vectors[i].Times(factors[i]); });
    return product;
}

template <>
DCRTPoly& DCRTPoly::operator+=(const DCRTPoly& other) {
    if (!kernels::in_use() || !same_limbs(*this, other)) {
        return stock<symbols::POLYNOMIAL_ADD_IN_PLACE, DCRTPoly&(DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    for_each_limb(m_vectors.size(), [&](int i) { m_vectors[i] += other.m_vectors[i]; });
    return *this;
}

template <>
DCRTPoly& DCRTPoly::operator-=(const DCRTPoly& other) {
    if (!kernels::in_use() || !same_limbs(*this, other)) {
        return stock<symbols::POLYNOMIAL_SUBTRACT_IN_PLACE, DCRTPoly&(DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    for_each_limb(m_vectors.size(), [&](int i) { m_vectors[i] -= other.m_vectors[i]; });
    return *this;
}

template <>
DCRTPoly& DCRTPoly::operator*=(const DCRTPoly& other) {
    if (!kernels::in_use() || !same_limbs(*this, other) || m_format != Format::EVALUATION) {
        return stock<symbols::POLYNOMIAL_MULTIPLY_IN_PLACE, DCRTPoly&(DCRTPoly*, const DCRTPoly&)>()(this, other);
    }
    for_each_limb(m_vectors.size(), [&](int i) { m_vectors[i] *= other.m_vectors[i]; });
    return *this;
}

template <>
void DCRTPoly::SwitchFormat() {
    if (!kernels::in_use()) {
        return stock<symbols::SWITCH_FORMAT, void(DCRTPoly*)>()(this);
    }
    m_format = m_format == Format::COEFFICIENT ? Format::EVALUATION : Format::COEFFICIENT;
    for_each_limb(m_vectors.size(), [&](int i) { m_vectors[i].SwitchFormat(); });
}

template <>
DCRTPoly DCRTPoly::AutomorphismTransform(std::uint32_t index, const std::vector<std::uint32_t>& map) const {
    if (!kernels::in_use() || m_format != Format::EVALUATION || index % 2 == 0) {
        using Original = DCRTPoly(const DCRTPoly*, std::uint32_t, const std::vector<std::uint32_t>&);
        return stock<symbols::POLYNOMIAL_AUTOMORPHISM, Original>()(this, index, map);
    }
    DCRTPoly result(m_params, m_format);
    for_each_limb(m_vectors.size(),
                  [&](int i) { result.m_vectors[i] = m_vectors[i].AutomorphismTransform(index, map); });
    return result;
}

template <>
DCRTPoly DCRTPoly::ApproxSwitchCRTBasis(const Basis& from, const Basis& to, const Integers& hat_inverse,
                                        const Integers& hat_inverse_shoup, const std::vector<Integers>& hat,
                                        const std::vector<DoubleNativeInt>& ratios) const {
    if (!kernels_can_run(*m_params) || !kernels_can_run(*to)) {
        using Original = DCRTPoly(const DCRTPoly*, const Basis&, const Basis&, const Integers&, const Integers&,
                                  const std::vector<Integers>&, const std::vector<DoubleNativeInt>&);
        return stock<symbols::CONVERT_BASIS, Original>()(this, from, to, hat_inverse, hat_inverse_shoup, hat,
                                                         ratios);
    }
    DCRTPoly result(to, m_format);
    for_each_limb(result.m_vectors.size(),
                  [&](int i) { result.m_vectors[i] = zero_limb(to->GetParams()[i], m_format); });
    const std::size_t sources = std::min(m_vectors.size(), from->GetParams().size());
    convert_basis(first_limbs(m_vectors, sources), all_limbs(result.m_vectors), {hat_inverse, hat});
    return result;
}

namespace {

// What a quotient by P lacks on average, in every coefficient. The conversion from the k primes of P is approximate: it gives
// x mod P and so many times P as the parts x_i/p_i of the residues add up to, k/2 in the mean with what rounding down takes.
// Left alone, that is an error alike in all coefficients, which times the secret is a large one in the slots whose roots are
// near 1: some bits in the slots of sparse packings. So (k/2)·P is added before the division: a half of P for an odd k, which
// has residues over P too, and then whole ones, which have none.
struct Missing {
    explicit Missing(const Basis& p) : basis(p), half(p->GetParams().size() % 2 == 1) {}

    std::uint64_t whole() const { return basis->GetParams().size() / 2; }

    // (P - 1)/2 modulo a prime of P, where P is 0.
    static std::uint64_t half_over_p(std::uint64_t prime) { return (prime - 1) / 2; }

    // whole·P, with (P - 1)/2 if there is a half, modulo a prime of Q.
    NativeInteger over_q(const NativeInteger& prime, bool with_whole) const {
        NativeInteger product(1), sum(0);
        for (const auto& factor : basis->GetParams())
            product = product.ModMul(factor->GetModulus().Mod(prime), prime);
        if (half)
            sum = product.ModSub(NativeInteger(1), prime).ModMul(NativeInteger((word(prime) + 1) / 2), prime);
        return with_whole ? sum.ModAdd(product.ModMul(NativeInteger(whole()), prime), prime) : sum;
    }

    const Basis& basis;
    const bool half;
};

// A polynomial with one number in every coefficient, of which a function gives the residue for each prime.
template <typename Residue>
void add_to_coefficients(DCRTPoly& polynomial, Residue residue) {
    DCRTPoly constant(polynomial.GetParams(), Format::COEFFICIENT, true);
    std::vector<NativePoly> limbs = constant.GetAllElements();
    for (std::size_t i = 0; i < limbs.size(); ++i) {
        for (auto& coefficient : mut_words(limbs[i]))
            coefficient = residue(i, limbs[i].GetModulus());
        constant.SetElementAtIndex(i, limbs[i]);
    }
    constant.SetFormat(polynomial.GetFormat());
    polynomial += constant;
}

}  // namespace

// (x - [x mod P over Q]) / P: the limbs of P leave in coefficient format, come back over Q, and are subtracted; what is
// missing on average is added before.
template <>
DCRTPoly DCRTPoly::ApproxModDown(const Basis& q, const Basis& p, const Integers& p_inverse,
                                 const Integers& p_inverse_shoup, const Integers& p_hat_inverse,
                                 const Integers& p_hat_inverse_shoup, const std::vector<Integers>& p_hat,
                                 const std::vector<DoubleNativeInt>& ratios, const Integers& t_inverse,
                                 const Integers& t_inverse_shoup, const NativeInteger& t,
                                 const Integers& t_shoup) const {
    const Missing missing(p);
    if (t > NativeInteger(0) || m_format != Format::EVALUATION || !kernels_can_run(*m_params)) {
        using Original = DCRTPoly(const DCRTPoly*, const Basis&, const Basis&, const Integers&, const Integers&,
                                  const Integers&, const Integers&, const std::vector<Integers>&,
                                  const std::vector<DoubleNativeInt>&, const Integers&, const Integers&,
                                  const NativeInteger&, const Integers&);
        // Where plaintexts are integers modulo t, what is added would have to be a multiple of it.
        if (t > NativeInteger(0))
            return stock<symbols::DIVIDE_BY_P, Original>()(this, q, p, p_inverse, p_inverse_shoup, p_hat_inverse,
                                                           p_hat_inverse_shoup, p_hat, ratios, t_inverse,
                                                           t_inverse_shoup, t, t_shoup);
        DCRTPoly extended(*this);
        const std::size_t of_q = extended.GetNumOfElements() - p->GetParams().size();
        if (missing.half)
            add_to_coefficients(extended, [&](std::size_t i, const NativeInteger& prime) {
                return i < of_q ? word(missing.over_q(prime, false)) : Missing::half_over_p(word(prime));
            });
        DCRTPoly quotient = stock<symbols::DIVIDE_BY_P, Original>()(
            &extended, q, p, p_inverse, p_inverse_shoup, p_hat_inverse, p_hat_inverse_shoup, p_hat, ratios, t_inverse,
            t_inverse_shoup, t, t_shoup);
        add_to_coefficients(quotient, [&](std::size_t, const NativeInteger&) { return missing.whole(); });
        return quotient;
    }
    const std::size_t special = p->GetParams().size();
    const std::size_t kept    = m_vectors.size() - special;
    std::vector<NativePoly> above(special);
    for_each_limb(special, [&](int j) {
        above[j] = m_vectors[kept + j];
        above[j].SetFormat(Format::COEFFICIENT);
        const std::uint64_t prime = word(above[j].GetModulus());
        if (missing.half)
            kernels::add_scalar(mut_words(above[j]), Missing::half_over_p(prime), prime);
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
        kernels::subtract_scalar(mut_words(limb), word(missing.over_q(limb.GetModulus(), true)), m);
        limb.SetFormat(Format::EVALUATION);
        kernels::subtract_and_scale(mut_words(limb), words(m_vectors[i]), m - word(p_inverse[i]), m);
    });
    return result;
}

// x / q_l, rounded: the last limb, centred and times factors of its own, is added over each other prime.
template <>
void DCRTPoly::DropLastElementAndScale(const Integers& last_factors, const Integers& last_inverse) {
    openfhe_shim::polynomial_overrides_called = true;
    if (m_format != Format::EVALUATION || m_vectors.size() < 2 || !kernels_can_run(*m_params)) {
        using Original = void(DCRTPoly*, const Integers&, const Integers&);
        return stock<symbols::RESCALE, Original>()(this, last_factors, last_inverse);
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

}  // namespace lbcrypto

thread_local bool openfhe_shim::polynomial_overrides_called = false;
