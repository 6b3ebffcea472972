#include "rns/basis.h"

namespace openfhe_shim {

namespace {

// Enough blocks that two threads end together, each far longer than the kernel's own blocks.
constexpr std::size_t BLOCKS = 8;

std::vector<std::uint64_t> moduli(const std::vector<const NativePoly*>& limbs) {
    std::vector<std::uint64_t> values;
    for (const auto* limb : limbs)
        values.push_back(word(limb->GetModulus()));
    return values;
}

rust::Slice<const std::uint64_t> words(const std::vector<NativeInteger>& numbers, std::size_t count) {
    return {reinterpret_cast<const std::uint64_t*>(numbers.data()), count};
}

template <typename Word>
rust::Slice<Word> part(rust::Slice<Word> all, std::size_t start, std::size_t count) {
    return {all.data() + start, count};
}

}  // namespace

NativePoly zero_limb(const std::shared_ptr<lbcrypto::ILNativeParams>& parameters, Format format) {
    return NativePoly(parameters, format, true);
}

bool kernels_can_run(const DCRTPoly::Params& basis) {
    const std::size_t length = basis.GetRingDimension();
    const auto& limbs        = basis.GetParams();
    return std::all_of(limbs.begin(), limbs.end(),
                       [&](const auto& limb) { return kernels_can_run(limb->GetModulus(), length); });
}

void convert_basis(const std::vector<const NativePoly*>& inputs, const std::vector<NativePoly*>& results,
                   const ConversionFactors& factors) {
    const auto sources = moduli(inputs);
    const auto targets = moduli({results.begin(), results.end()});
    std::vector<Limb> hat;
    for (std::size_t i = 0; i < inputs.size(); ++i)
        hat.push_back({words(factors.hat[i], results.size())});
    const auto hat_inverse   = words(factors.hat_inverse, inputs.size());
    const std::size_t length = inputs[0]->GetLength();
    const std::size_t blocks = length % BLOCKS == 0 ? BLOCKS : 1;
    const std::size_t count  = length / blocks;
    parallel_for(blocks, [&](std::size_t block) {
        const std::size_t start = block * count;
        std::vector<Limb> from;
        for (const auto* limb : inputs)
            from.push_back({part(openfhe_shim::words(*limb), start, count)});
        std::vector<LimbMut> to;
        for (auto* limb : results)
            to.push_back({part(mut_words(*limb), start, count)});
        kernels::convert_basis({to.data(), to.size()}, {from.data(), from.size()}, {sources.data(), sources.size()},
                               {targets.data(), targets.size()}, hat_inverse, {hat.data(), hat.size()});
    });
}

}  // namespace openfhe_shim
