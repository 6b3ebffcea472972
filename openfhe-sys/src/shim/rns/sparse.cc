// Plaintexts kept as elements of a subring, and sums of their products with the rotations of a ciphertext.

#include "rns/basis.h"
#include "rns/encoding.h"
#include "rns/key_switch.h"
#include "rns/linear_transform.h"

#include "ciphertext.h"

#include <algorithm>
#include <atomic>

namespace openfhe_shim {

namespace {

// Words of a limb that one item of a loop multiplies: so many that two threads end together.
constexpr std::size_t PIECE = 8192;

rust::Slice<const std::uint64_t> part(rust::Slice<const std::uint64_t> words, std::size_t start, std::size_t count) {
    return {words.data() + start, count};
}

rust::Slice<std::uint64_t> part(rust::Slice<std::uint64_t> words, std::size_t start, std::size_t count) {
    return {words.data() + start, count};
}

const lbcrypto::Ciphertext<DCRTPoly>& ciphertext_of(const SparseTerm& term) {
    return term.rotations.handles.at(term.rotation);
}

void check(const SparseTerm& term, const SparseTerm& head) {
    const auto& ciphertext = ciphertext_of(term);
    require(term.plaintext < term.plaintexts.limbs.size(), "there are fewer plaintexts");
    require(term.plaintexts.limb_count == ciphertext->GetElements()[0].GetNumOfElements(),
            "the ciphertext and the plaintexts have different levels");
    require(term.plaintexts.limb_count == head.plaintexts.limb_count &&
                term.plaintexts.log_repeats == head.plaintexts.log_repeats,
            "the plaintexts have different levels or slots");
    require(ciphertext->GetKeyTag() == ciphertext_of(head)->GetKeyTag(), "the ciphertexts belong to different keys");
}

std::vector<DigitProduct> products(rust::Slice<const SparseTerm> terms, std::size_t limb, std::size_t start,
                                   std::size_t count) {
    std::vector<DigitProduct> result;
    for (const auto& term : terms) {
        const auto& plaintexts = term.plaintexts;
        const auto& parts      = ciphertext_of(term)->GetElements();
        const std::size_t from = limb * plaintexts.length + (start >> plaintexts.log_repeats);
        result.push_back({{plaintexts.limbs[term.plaintext].data() + from, count >> plaintexts.log_repeats},
                          part(words(parts[0].GetElementAtIndex(limb)), start, count),
                          part(words(parts[1].GetElementAtIndex(limb)), start, count)});
    }
    return result;
}

std::vector<std::uint64_t> all_limbs(const Residues& residues, const Coefficients& coefficients) {
    std::vector<std::uint64_t> limbs(residues.limbs() * residues.length());
    for (std::size_t limb = 0; limb < residues.limbs(); ++limb)
        residues.write({limbs.data() + limb * residues.length(), residues.length()}, coefficients, limb);
    return limbs;
}

}  // namespace

std::size_t SparsePlaintexts::byte_size() const noexcept {
    return limbs.size() * limb_count * length * sizeof(std::uint64_t);
}

std::unique_ptr<SparsePlaintexts> encode_sparse(const Context& context, rust::Slice<const SlotValues> vectors,
                                                std::uint32_t slots, std::uint32_t level, double scale) {
    check_encoding(context, slots, level, scale);
    for (const auto& vector : vectors)
        check_values(vector.values, slots);
    const Encoding encoding = encoding_of(slots, scale);
    const Residues residues(*context.bases[level], encoding);
    auto result         = std::make_unique<SparsePlaintexts>();
    result->limb_count  = residues.limbs();
    result->length      = residues.length();
    result->log_repeats = residues.log_repeats();
    result->scale       = scale;
    result->limbs.resize(vectors.size());
    const auto values = [&](std::size_t i) {
        return i < vectors.size() ? vectors[i].values : rust::Slice<const double>();
    };
    std::atomic<bool> finite{true};
    parallel_for((vectors.size() + 1) / 2, [&](std::size_t pair) {
        Coefficients one;
        Coefficients other;
        if (!coefficients_of(encoding, slots, values(2 * pair), values(2 * pair + 1), one, other)) {
            finite = false;
            return;
        }
        result->limbs[2 * pair] = all_limbs(residues, one);
        if (2 * pair + 1 < vectors.size())
            result->limbs[2 * pair + 1] = all_limbs(residues, other);
    });
    require(finite, "a value times the scale is not finite");
    return result;
}

std::unique_ptr<HoistedRotations> rotate_all(const Ciphertext& ciphertext, rust::Slice<const std::int32_t> steps) {
    require(ciphertext.part_count() == 2, "relinearize the ciphertext before a rotation");
    const auto all = rotations(ciphertext.handle, {steps.begin(), steps.end()});
    Polynomials digits;
    if (std::any_of(all.begin(), all.end(), [](const Rotation& rotation) { return rotation.moves(); }))
        digits = decompose(ciphertext.handle->GetElements()[1], *ciphertext.handle);
    for (const auto& rotation : all) {
        if (rotation.moves())
            check_key(*digits, *rotation.key);
    }
    auto result = std::make_unique<HoistedRotations>();
    result->handles.resize(all.size(), ciphertext.handle);
    parallel_for(all.size(), [&](std::size_t i) {
        if (!all[i].moves())
            return;
        auto parts = switch_key(ciphertext, digits, all[i].key);
        parts[0] += ciphertext.handle->GetElements()[0];
        auto handle = ciphertext.handle->CloneEmpty();
        handle->SetElements({parts[0].AutomorphismTransform(all[i].index, *all[i].map),
                             parts[1].AutomorphismTransform(all[i].index, *all[i].map)});
        result->handles[i] = std::move(handle);
    });
    return result;
}

std::unique_ptr<Ciphertext> sum_of_sparse_products(rust::Slice<const SparseTerm> terms) {
    require(!terms.empty(), "a sum needs at least one term");
    for (const auto& term : terms)
        check(term, terms[0]);
    const auto& basis = ciphertext_of(terms[0])->GetElements()[0].GetParams();
    const std::size_t log_repeats = terms[0].plaintexts.log_repeats;
    const std::size_t dimension   = basis->GetRingDimension();
    const std::size_t piece       = std::min(dimension, std::max(PIECE, std::size_t(8) << log_repeats));
    const std::size_t pieces      = dimension / piece;
    DCRTPoly first(basis, Format::EVALUATION, true);
    DCRTPoly second(basis, Format::EVALUATION, true);
    parallel_for(basis->GetParams().size() * pieces, [&](std::size_t item) {
        const std::size_t limb  = item / pieces;
        const std::size_t start = item % pieces * piece;
        const auto factors      = products(terms, limb, start, piece);
        kernels::sums_of_repeated_products(part(mut_words(first.GetAllElements()[limb]), start, piece),
                                           part(mut_words(second.GetAllElements()[limb]), start, piece),
                                           {factors.data(), factors.size()}, log_repeats,
                                           word(basis->GetParams()[limb]->GetModulus()));
    });
    auto handle = ciphertext_of(terms[0])->CloneEmpty();
    handle->SetElements({std::move(first), std::move(second)});
    handle->SetNoiseScaleDeg(handle->GetNoiseScaleDeg() + 1);
    handle->SetScalingFactor(handle->GetScalingFactor() * terms[0].plaintexts.scale);
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(handle)});
}

}  // namespace openfhe_shim
