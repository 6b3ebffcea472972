#include "kernels.h"

#include <algorithm>
#include <dlfcn.h>
#include <iterator>

namespace openfhe_shim {

void* stock_definition(const char* symbol) {
    void* address = dlsym(RTLD_NEXT, symbol);
    if (address == nullptr)
        fail(std::string("OpenFHE's libraries do not define ") + symbol);
    return address;
}

// The program's definitions are in force where a search from the program on finds others than OpenFHE's.
bool overrides_take_precedence() {
#ifdef OPENFHE_SHIM_OVERRIDES
    link_limb_overrides();
    link_polynomial_overrides();
    link_key_switch_overrides();
    link_bootstrap_overrides();
    const auto overridden = [](const char* symbol) {
        return dlsym(RTLD_DEFAULT, symbol) != stock_definition(symbol);
    };
    return std::all_of(std::begin(symbols::ALL), std::end(symbols::ALL), overridden);
#else
    return false;
#endif
}

bool kernels_can_run(const NativeInteger& modulus, std::size_t length) {
    constexpr std::size_t SHORTEST   = 8;
    constexpr std::uint64_t TOO_LONG = std::uint64_t(1) << 60;
    const auto value = modulus.ConvertToInt<std::uint64_t>();
    return value % 2 == 1 && value > 2 && value < TOO_LONG && length >= SHORTEST && kernels::in_use();
}

}  // namespace openfhe_shim
