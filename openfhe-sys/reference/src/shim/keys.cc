// OpenFHE's own generation of evaluation keys.

#include "openfhe-reference/src/shim/reference.h"

#include "rns/team.h"

namespace openfhe_shim {

void generate_multiplication_key(const SecretKey& key) {
    key.handle->GetCryptoContext()->EvalMultKeyGen(key.handle);
}

void generate_rotation_keys(const SecretKey& key, rust::Slice<const std::int32_t> steps) {
    if (steps.empty())
        return;
    const OpenMpThreads threads;
    key.handle->GetCryptoContext()->EvalAtIndexKeyGen(key.handle, {steps.begin(), steps.end()});
}

void generate_bootstrap_keys(const SecretKey& key, std::uint32_t slots) {
    bootstrap_steps(key.handle->GetCryptoContext(), slots);
    const OpenMpThreads threads;
    key.handle->GetCryptoContext()->EvalBootstrapKeyGen(key.handle, slots);
}

rust::Vec<std::int32_t> bootstrap_rotation_steps(const Context& context, std::uint32_t slots) {
    rust::Vec<std::int32_t> steps;
    for (auto step : bootstrap_steps(context.handle, slots))
        steps.push_back(step);
    return steps;
}

}  // namespace openfhe_shim
