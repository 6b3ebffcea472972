#include "rns/linear_transform.h"

#include "rns/basis.h"
#include "rns/limbs.h"
#include "rns/rotation_sum.h"

#include "ciphertext.h"
#include "key/evalkey.h"
#include "math/nbtheory.h"

#include <algorithm>
#include <array>
#include <mutex>

namespace openfhe_shim {

namespace {

using Basis    = std::shared_ptr<DCRTPoly::Params>;
using Pair     = std::array<DCRTPoly, 2>;
using Residues = std::vector<std::uint64_t>;

// So many coefficients of all babies stay in the second-level cache while every giant step reads them.
constexpr std::size_t BLOCK = 2048;

// Memory for the threads of a loop, each of which takes one piece and gives it back.
class Workspaces {
public:
    explicit Workspaces(std::size_t words) : words_(words) {}

    Residues take() {
        std::lock_guard<std::mutex> lock(mutex_);
        if (free_.empty())
            return Residues(words_);
        Residues workspace = std::move(free_.back());
        free_.pop_back();
        return workspace;
    }

    void give_back(Residues workspace) {
        std::lock_guard<std::mutex> lock(mutex_);
        free_.push_back(std::move(workspace));
    }

private:
    std::size_t words_;
    std::mutex mutex_;
    std::vector<Residues> free_;
};

rust::Slice<const std::uint64_t> part(rust::Slice<const std::uint64_t> residues, std::size_t start, std::size_t count) {
    return {residues.data() + start, count};
}

Pair empty_pair(const Basis& basis) {
    return {DCRTPoly(basis, Format::EVALUATION), DCRTPoly(basis, Format::EVALUATION)};
}

// A limb of a polynomial, made of zeros.
NativePoly& made(DCRTPoly& polynomial, std::size_t limb) {
    auto& made = polynomial.GetAllElements()[limb];
    made       = zero_limb(polynomial.GetParams()->GetParams()[limb], Format::EVALUATION);
    return made;
}

// The first step: what every giant step rotates.
class InnerSums {
public:
    InnerSums(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext, const LinearTransform& transform)
        : transform_(transform),
          parts_(ciphertext->GetElements()),
          p_(ckks_parameters(*ciphertext)->GetPModq()),
          digits_(decompose(parts_[1], *ciphertext)),
          length_(parts_[0].GetRingDimension()) {
        for (const auto* rotations : {&transform.babies, &transform.giants}) {
            for (const auto& rotation : *rotations) {
                if (rotation.moves())
                    check_key(*digits_, *rotation.key);
            }
        }
    }

    std::vector<Pair> run() {
        std::vector<Pair> sums;
        for (std::size_t i = 0; i < transform_.giants.size(); ++i)
            sums.push_back(empty_pair(basis()));
        // Two limbs a baby, two of its inner product, and P times both parts of the ciphertext.
        Workspaces workspaces((2 * transform_.babies.size() + 4) * length_);
        parallel_for(basis()->GetParams().size(), [&](std::size_t limb) {
            Residues workspace = workspaces.take();
            make_babies(workspace, limb);
            add_up(sums, workspace, limb);
            workspaces.give_back(std::move(workspace));
        });
        return sums;
    }

private:
    const Basis& basis() const { return digits_->at(0).GetParams(); }

    std::uint64_t modulus(std::size_t limb) const { return word(basis()->GetParams()[limb]->GetModulus()); }

    bool is_special(std::size_t limb) const { return limb >= parts_[0].GetNumOfElements(); }

    rust::Slice<std::uint64_t> piece(Residues& workspace, std::size_t index) const {
        return {workspace.data() + index * length_, length_};
    }

    rust::Slice<std::uint64_t> baby(Residues& workspace, std::size_t number, std::size_t part) const {
        return piece(workspace, 2 * number + part);
    }

    // P times one part of the ciphertext; over the primes of P it is zero.
    rust::Slice<std::uint64_t> lifted(Residues& workspace, std::size_t limb, std::size_t part) const {
        auto result      = piece(workspace, 2 * transform_.babies.size() + 2 + part);
        const auto input = words(parts_[part].GetElementAtIndex(limb));
        std::copy(input.begin(), input.end(), result.begin());
        kernels::multiply_scalar(result, word(p_[limb]), modulus(limb));
        return result;
    }

    void make_babies(Residues& workspace, std::size_t limb) const {
        rust::Slice<std::uint64_t> lifted_first;
        if (!is_special(limb))
            lifted_first = lifted(workspace, limb, 0);
        for (std::size_t number = 0; number < transform_.babies.size(); ++number) {
            const Rotation& rotation = transform_.babies[number];
            if (rotation.moves())
                rotate(workspace, limb, number, lifted_first);
            else if (!is_special(limb))
                copy_lifted(workspace, limb, number, lifted_first);
        }
    }

    void rotate(Residues& workspace, std::size_t limb, std::size_t number,
                rust::Slice<std::uint64_t> lifted_first) const {
        const Rotation& rotation = transform_.babies[number];
        auto first               = piece(workspace, 2 * transform_.babies.size());
        auto second              = piece(workspace, 2 * transform_.babies.size() + 1);
        digits_times_key(first, second, *digits_, *rotation.key, limb);
        if (!is_special(limb))
            kernels::add(first, {lifted_first.data(), length_}, modulus(limb));
        const rust::Slice<const std::uint32_t> map{rotation.map->data(), rotation.map->size()};
        kernels::permute(baby(workspace, number, 0), {first.data(), length_}, map);
        kernels::permute(baby(workspace, number, 1), {second.data(), length_}, map);
    }

    void copy_lifted(Residues& workspace, std::size_t limb, std::size_t number,
                     rust::Slice<std::uint64_t> lifted_first) const {
        const auto lifted_second = lifted(workspace, limb, 1);
        std::copy(lifted_first.begin(), lifted_first.end(), baby(workspace, number, 0).begin());
        std::copy(lifted_second.begin(), lifted_second.end(), baby(workspace, number, 1).begin());
    }

    void add_up(std::vector<Pair>& sums, Residues& workspace, std::size_t limb) const {
        for (auto& pair : sums) {
            made(pair[0], limb);
            made(pair[1], limb);
        }
        for (std::size_t start = 0; start < length_; start += BLOCK) {
            const std::size_t count = std::min(BLOCK, length_ - start);
            for (std::size_t giant = 0; giant < sums.size(); ++giant) {
                const auto terms = products(workspace, limb, giant, start, count);
                auto first       = mut_words(sums[giant][0].GetAllElements()[limb]);
                auto second      = mut_words(sums[giant][1].GetAllElements()[limb]);
                if (!terms.empty())
                    kernels::sums_of_products({first.data() + start, count}, {second.data() + start, count},
                                              {terms.data(), terms.size()}, modulus(limb));
            }
        }
    }

    std::vector<DigitProduct> products(Residues& workspace, std::size_t limb, std::size_t giant, std::size_t start,
                                       std::size_t count) const {
        std::vector<DigitProduct> terms;
        for (std::size_t number = 0; number < transform_.babies.size(); ++number) {
            const DCRTPoly* factor = transform_.factors[giant][number];
            const bool is_zero     = is_special(limb) && !transform_.babies[number].moves();
            if (factor == nullptr || is_zero)
                continue;
            const auto first  = baby(workspace, number, 0);
            const auto second = baby(workspace, number, 1);
            terms.push_back({part(words(factor->GetElementAtIndex(limb)), start, count),
                             {first.data() + start, count},
                             {second.data() + start, count}});
        }
        return terms;
    }

    const LinearTransform& transform_;
    const std::vector<DCRTPoly>& parts_;
    const std::vector<NativeInteger>& p_;
    Polynomials digits_;
    std::size_t length_;
};

// The second step. The first parts of the rotated sums meet in Q, where no key switch is theirs; the rest in Q * P.
class OuterSum {
public:
    OuterSum(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext) : ciphertext_(ciphertext) {}

    void add(Pair inner, const Rotation& rotation) {
        if (rotation.moves())
            add_rotated(std::move(inner), rotation);
        else
            add_unrotated(std::move(inner));
    }

    std::vector<DCRTPoly> finish() {
        if (extended_is_empty_)
            return {std::move(first_), DCRTPoly(q(), Format::EVALUATION, true)};
        std::vector<DCRTPoly> result;
        for (auto& part : extended_) {
            result.push_back(divide(part));
            part = DCRTPoly();
        }
        result[0] += first_;
        return result;
    }

private:
    const Basis& q() const { return ciphertext_->GetElements()[0].GetParams(); }

    DCRTPoly divide(const DCRTPoly& extended) const {
        return openfhe_shim::divide_by_p(extended, q(), *ckks_parameters(*ciphertext_));
    }

    void add_unrotated(Pair inner) {
        add_first(divide(inner[0]));
        inner[0].SetValuesToZero();
        if (extended_is_empty_)
            extended_ = std::move(inner);
        else
            extended_[1] += inner[1];
        extended_is_empty_ = false;
    }

    void add_rotated(Pair inner, const Rotation& rotation) {
        add_first(divide(inner[0]).AutomorphismTransform(rotation.index, *rotation.map));
        inner[0]          = DCRTPoly();
        const auto digits = decompose(divide(inner[1]), *ciphertext_);
        inner[1]          = DCRTPoly();
        if (extended_is_empty_)
            extended_ = empty_pair(digits->at(0).GetParams());
        openfhe_shim::add_rotated(extended_, *digits, rotation);
        extended_is_empty_ = false;
    }

    void add_first(DCRTPoly summand) {
        if (first_.GetNumOfElements() == 0)
            first_ = std::move(summand);
        else
            first_ += summand;
    }

    const lbcrypto::Ciphertext<DCRTPoly>& ciphertext_;
    DCRTPoly first_;
    Pair extended_;
    bool extended_is_empty_ = true;
};

}  // namespace

std::vector<Rotation> rotations(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext,
                                const std::vector<std::int32_t>& steps) {
    const auto context = ciphertext->GetCryptoContext();
    std::vector<Rotation> result(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i] == 0)
            continue;
        result[i].index = lbcrypto::FindAutomorphismIndex2nComplex(steps[i], context->GetCyclotomicOrder());
        result[i].key   = find_evaluation_key(ciphertext->GetKeyTag(), result[i].index);
    }
    parallel_for(steps.size(), [&](std::size_t i) {
        if (result[i].moves())
            result[i].map = automorphism_map(context->GetRingDimension(), result[i].index);
    });
    return result;
}

std::vector<DCRTPoly> apply_transform(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext,
                                      const LinearTransform& transform) {
    auto sums = InnerSums(ciphertext, transform).run();
    OuterSum outer(ciphertext);
    for (std::size_t i = 0; i < sums.size(); ++i)
        outer.add(std::move(sums[i]), transform.giants[i]);
    return outer.finish();
}

}  // namespace openfhe_shim
