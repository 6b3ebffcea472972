// Overrides of the linear transforms of OpenFHE's bootstrap: CoeffsToSlots and SlotsToCoeffs without temporaries.

#include "overrides/canary.h"
#include "overrides/stock.h"
#include "rns/basis.h"
#include "rns/linear_transform.h"

#include "ciphertext.h"
#include "scheme/ckksrns/ckksrns-fhe.h"
#include "scheme/ckksrns/ckksrns-utils.h"

using openfhe_shim::LinearTransform;
using openfhe_shim::kernels_can_run;
using openfhe_shim::stock;

namespace symbols = openfhe_shim::symbols;

namespace lbcrypto {

namespace {

using Matrices = std::vector<std::vector<ReadOnlyPlaintext>>;
using Original = Ciphertext<DCRTPoly>(const FHECKKSRNS*, const Matrices&, ConstCiphertext<DCRTPoly>&);

// One collapsed group of layers of the homomorphic DFT: diagonals at equal distances, of which number i*babies + j is
// giant step i and baby step j (Han, Ki, "Better bootstrapping for approximate homomorphic encryption", 2020).
struct Stage {
    std::size_t matrix;     // index among the precomputed matrices
    std::int32_t distance;  // between neighbouring diagonals, in slots
    std::int32_t diagonals;
    std::int32_t babies;
    std::int32_t giants;
};

// The stages in the order of encoding; the one of the remaining layers, if any, has the closest diagonals. OpenFHE
// calls the number of babies the giant step, that of giants the baby step.
std::vector<Stage> stages_of(const std::vector<std::int32_t>& parameters, bool decoding) {
    const std::int32_t count     = parameters[CKKS_BOOT_PARAMS::LEVEL_BUDGET];
    const std::int32_t collapsed = parameters[CKKS_BOOT_PARAMS::LAYERS_COLL];
    const std::int32_t remaining = parameters[CKKS_BOOT_PARAMS::LAYERS_REM];
    std::vector<Stage> stages;
    for (std::int32_t i = 0; i < count; ++i) {
        const bool is_last = i + 1 == count && remaining != 0;
        const auto value   = [&](int full, int rest) { return parameters[is_last ? rest : full]; };
        const std::int32_t matrix = decoding ? i : count - 1 - i;
        std::int32_t layer        = i * collapsed;
        if (!decoding)
            layer = remaining == 0 ? matrix * collapsed : is_last ? 0 : (matrix - 1) * collapsed + remaining;
        stages.push_back({static_cast<std::size_t>(matrix), 1 << layer,
                          value(CKKS_BOOT_PARAMS::NUM_ROTATIONS, CKKS_BOOT_PARAMS::NUM_ROTATIONS_REM),
                          value(CKKS_BOOT_PARAMS::GIANT_STEP, CKKS_BOOT_PARAMS::GIANT_STEP_REM),
                          value(CKKS_BOOT_PARAMS::BABY_STEP, CKKS_BOOT_PARAMS::BABY_STEP_REM)});
    }
    return stages;
}

// The transform of one stage; babies turn within `period` slots, giants within all.
LinearTransform transform_of(const Stage& stage, const std::vector<ReadOnlyPlaintext>& matrix,
                             const Ciphertext<DCRTPoly>& ciphertext, std::uint32_t period) {
    const std::uint32_t slots  = ciphertext->GetCryptoContext()->GetCyclotomicOrder() / 4;
    const std::int32_t lowest  = 1 - (stage.diagonals + 1) / 2;
    std::vector<std::int32_t> babies;
    std::vector<std::int32_t> giants;
    for (std::int32_t j = 0; j < stage.babies; ++j)
        babies.push_back(ReduceRotation((lowest + j) * stage.distance, period));
    for (std::int32_t i = 0; i < stage.giants; ++i)
        giants.push_back(ReduceRotation(i * stage.babies * stage.distance, slots));
    LinearTransform transform;
    for (std::int32_t i = 0; i < stage.giants; ++i) {
        std::vector<const DCRTPoly*> row;
        for (std::int32_t j = 0; j < stage.babies; ++j) {
            const std::int32_t number = i * stage.babies + j;
            row.push_back(number < stage.diagonals ? &matrix[number]->GetElement<DCRTPoly>() : nullptr);
        }
        transform.factors.push_back(std::move(row));
    }
    transform.babies = openfhe_shim::rotations(ciphertext, babies);
    transform.giants = openfhe_shim::rotations(ciphertext, giants);
    return transform;
}

Ciphertext<DCRTPoly> apply_stages(const std::vector<Stage>& stages, const Matrices& matrices,
                                  ConstCiphertext<DCRTPoly>& ciphertext, std::uint32_t period) {
    const auto scheme = ciphertext->GetCryptoContext()->GetScheme();
    auto result       = ciphertext->Clone();
    for (const auto& stage : stages) {
        if (&stage != &stages.front())
            scheme->ModReduceInternalInPlace(result, 1);
        const auto& matrix = matrices[stage.matrix];
        auto parts = openfhe_shim::apply_transform(result, transform_of(stage, matrix, result, period));
        result->SetElements(std::move(parts));
        result->SetNoiseScaleDeg(result->GetNoiseScaleDeg() + matrix[0]->GetNoiseScaleDeg());
        result->SetScalingFactor(result->GetScalingFactor() * matrix[0]->GetScalingFactor());
    }
    return result;
}

bool is_in_evaluation_format(const Matrices& matrices) {
    for (const auto& matrix : matrices) {
        for (const auto& plaintext : matrix) {
            if (plaintext->GetElement<DCRTPoly>().GetFormat() != Format::EVALUATION)
                return false;
        }
    }
    return true;
}

bool can_run(const Matrices& matrices, ConstCiphertext<DCRTPoly>& ciphertext) {
    const auto parameters = std::dynamic_pointer_cast<CryptoParametersCKKSRNS>(ciphertext->GetCryptoParameters());
    const auto& p         = *parameters->GetParamsP();
    return parameters->GetCompositeDegree() == 1 && openfhe_shim::kernels_can_run(*parameters->GetElementParams()) &&
           openfhe_shim::kernels_can_run(p) && is_in_evaluation_format(matrices);
}

}  // namespace

Ciphertext<DCRTPoly> FHECKKSRNS::EvalCoeffsToSlots(const Matrices& matrices,
                                                   ConstCiphertext<DCRTPoly>& ciphertext) const {
    if (!can_run(matrices, ciphertext))
        return stock<symbols::COEFFS_TO_SLOTS, Original>()(this, matrices, ciphertext);
    const std::uint32_t slots = ciphertext->GetSlots();
    return apply_stages(stages_of(GetBootPrecom(slots).m_paramsEnc, false), matrices, ciphertext, slots);
}

Ciphertext<DCRTPoly> FHECKKSRNS::EvalSlotsToCoeffs(const Matrices& matrices,
                                                   ConstCiphertext<DCRTPoly>& ciphertext) const {
    openfhe_shim::bootstrap_overrides_called = true;
    if (!can_run(matrices, ciphertext))
        return stock<symbols::SLOTS_TO_COEFFS, Original>()(this, matrices, ciphertext);
    const auto& parameters     = GetBootPrecom(ciphertext->GetSlots()).m_paramsDec;
    const std::uint32_t period = ciphertext->GetCryptoContext()->GetCyclotomicOrder() / 4;
    return apply_stages(stages_of(parameters, true), matrices, ciphertext, period);
}

}  // namespace lbcrypto

thread_local bool openfhe_shim::bootstrap_overrides_called = false;
