#include "overrides/stock.h"

#include "internal.h"

#include <dlfcn.h>

namespace openfhe_shim {

void* stock_definition(const char* symbol) {
    void* address = dlsym(RTLD_NEXT, symbol);
    if (address == nullptr)
        fail(std::string("OpenFHE's libraries do not define ") + symbol);
    return address;
}

}  // namespace openfhe_shim
