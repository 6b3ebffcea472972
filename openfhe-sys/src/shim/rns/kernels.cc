#include "rns/kernels.h"

namespace openfhe_shim {

bool kernels_can_run(const NativeInteger& modulus, std::size_t length) {
    constexpr std::size_t SHORTEST   = 8;
    constexpr std::uint64_t TOO_LONG = std::uint64_t(1) << 60;
    const auto value = modulus.ConvertToInt<std::uint64_t>();
    return value % 2 == 1 && value > 2 && value < TOO_LONG && length >= SHORTEST && kernels::in_use();
}

}  // namespace openfhe_shim
