#include "rns/rotation_sum.h"

#include "rns/basis.h"

#include "ciphertext.h"

namespace openfhe_shim {

namespace {

using Words = rust::Slice<std::uint64_t>;

NativePoly& made(DCRTPoly& polynomial, std::size_t limb) {
    auto& made = polynomial.GetAllElements()[limb];
    if (made.IsEmpty())
        made = zero_limb(polynomial.GetParams()->GetParams()[limb], Format::EVALUATION);
    return made;
}

// sum += the automorphism of the values, through memory for one limb.
void add_permuted(NativePoly& sum, rust::Slice<const std::uint64_t> values, const Rotation& rotation, Words rotated) {
    kernels::permute(rotated, values, {rotation.map->data(), rotation.map->size()});
    kernels::add(mut_words(sum), {rotated.data(), rotated.size()}, word(sum.GetModulus()));
}

std::vector<Rotation> rotations_of(rust::Slice<const RotationTerm> terms) {
    std::vector<std::int32_t> steps;
    for (const auto& term : terms) {
        require(term.ciphertext.part_count() == 2, "relinearize the ciphertext before a rotation");
        steps.push_back(term.step);
    }
    return rotations(terms[0].ciphertext.handle, steps);
}

// Makes the sums of the first term's level, or throws if the terms are not of one level.
void prepare(RotationSum& sum, rust::Slice<const RotationTerm> terms) {
    if (!sum.head) {
        const auto& handle = terms[0].ciphertext.handle;
        const auto& q      = handle->GetElements()[0].GetParams();
        sum.head           = handle->CloneEmpty();
        sum.parts          = {DCRTPoly(q, Format::EVALUATION, true), DCRTPoly(q, Format::EVALUATION, true)};
    }
    for (const auto& term : terms) {
        require(term.ciphertext.handle->GetKeyTag() == sum.head->GetKeyTag(),
                "the ciphertexts belong to different keys");
        require(term.ciphertext.limb_count() == sum.parts[0].GetNumOfElements(),
                "the ciphertexts have different levels");
    }
}

// One term at a time on all threads, or as many terms as there are threads side by side.
std::vector<Polynomials> decompose_all(rust::Slice<const RotationTerm> terms, const std::vector<Rotation>& all) {
    std::vector<Polynomials> digits(terms.size());
    parallel_for(terms.size(), [&](std::size_t i) {
        const auto& handle = terms[i].ciphertext.handle;
        if (all[i].moves())
            digits[i] = decompose(handle->GetElements()[1], *handle);
    });
    return digits;
}

void add(RotationSum& sum, const std::vector<DCRTPoly>& parts, const Polynomials& digits, const Rotation& rotation) {
    if (!rotation.moves()) {
        sum.parts[0] += parts[0];
        sum.parts[1] += parts[1];
        return;
    }
    check_key(*digits, *rotation.key);
    if (sum.extended[0].GetNumOfElements() == 0) {
        const auto& basis = digits->at(0).GetParams();
        sum.extended      = {DCRTPoly(basis, Format::EVALUATION), DCRTPoly(basis, Format::EVALUATION)};
    }
    sum.parts[0] += parts[0].AutomorphismTransform(rotation.index, *rotation.map);
    add_rotated(sum.extended, *digits, rotation);
}

}  // namespace

void add_rotated(std::array<DCRTPoly, 2>& extended, const std::vector<DCRTPoly>& digits, const Rotation& rotation) {
    const auto& basis        = *digits[0].GetParams();
    const std::size_t length = basis.GetRingDimension();
    parallel_for(basis.GetParams().size(), [&](std::size_t limb) {
        std::vector<std::uint64_t> workspace(3 * length);
        const Words first{workspace.data(), length};
        const Words second{workspace.data() + length, length};
        const Words rotated{workspace.data() + 2 * length, length};
        digits_times_key(first, second, digits, *rotation.key, limb);
        add_permuted(made(extended[0], limb), {first.data(), length}, rotation, rotated);
        add_permuted(made(extended[1], limb), {second.data(), length}, rotation, rotated);
    });
}

std::unique_ptr<RotationSum> start_rotation_sum() {
    return std::make_unique<RotationSum>();
}

void add_rotations(RotationSum& sum, rust::Slice<const RotationTerm> terms) {
    if (terms.empty())
        return;
    const auto all = rotations_of(terms);
    prepare(sum, terms);
    auto digits = decompose_all(terms, all);
    for (std::size_t i = 0; i < terms.size(); ++i) {
        add(sum, terms[i].ciphertext.handle->GetElements(), digits[i], all[i]);
        digits[i].reset();
    }
}

std::unique_ptr<Ciphertext> finish_rotation_sum(RotationSum& sum) {
    require(sum.head != nullptr, "a sum needs at least one term");
    if (sum.extended[0].GetNumOfElements() > 0) {
        const auto& q = sum.parts[0].GetParams();
        for (std::size_t part = 0; part < 2; ++part) {
            sum.parts[part] += divide_by_p(sum.extended[part], q, *ckks_parameters(*sum.head));
            sum.extended[part] = DCRTPoly();
        }
    }
    sum.head->SetElements({std::move(sum.parts[0]), std::move(sum.parts[1])});
    return std::unique_ptr<Ciphertext>(new Ciphertext{std::move(sum.head)});
}

}  // namespace openfhe_shim
