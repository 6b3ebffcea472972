// How overrides reach the code of OpenFHE that they replace.
//
// OpenFHE's limb arithmetic is in weak symbols of its shared libraries, and its hybrid key switch in ordinary exported
// ones. The dynamic linker takes a definition in the program before either, so those in this folder are the ones that
// the libraries call (System V ABI, "Shared Object Dependencies": the program comes first in the search order). Each
// gives the residues that OpenFHE's gives, to the bit; where the kernels are off it hands over to OpenFHE's.
#pragma once

#include "overrides/symbols.h"

namespace openfhe_shim {

// The address of OpenFHE's own definition of a symbol that the program overrides, by its mangled name.
void* stock_definition(const char* symbol);

// OpenFHE's own definition of a member function: the Itanium C++ ABI passes the object as the first argument.
template <const char* SYMBOL, typename Function>
Function* stock() {
    static Function* const definition = reinterpret_cast<Function*>(stock_definition(SYMBOL));
    return definition;
}

}  // namespace openfhe_shim
