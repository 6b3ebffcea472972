// The overrides of OpenFHE's functions: when they run the project's kernels, and how they reach OpenFHE's own code.
//
// OpenFHE's limb arithmetic is in weak symbols of its shared libraries, and its hybrid key switch in ordinary exported
// ones. The dynamic linker takes a definition in the program before either, so those in override_*.cc are the ones that
// the libraries call (System V ABI, "Shared Object Dependencies": the program comes first in the search order). Each
// gives the residues that OpenFHE's gives, to the bit; where the kernels are off it hands over to OpenFHE's.
#pragma once

#include "internal.h"
#include "symbols.h"

#include "openfhe-sys/src/bridge.rs.h"

#include <cstdint>

namespace openfhe_shim {

// Do nothing: the linker takes a file of overrides into the program only where something in it is called.
void link_limb_overrides();
void link_polynomial_overrides();
void link_key_switch_overrides();
void link_bootstrap_overrides();

// Whether the kernels are on and take limbs of this modulus and length.
bool kernels_can_run(const NativeInteger& modulus, std::size_t length);

// The residues of a limb, to read and to write.
inline rust::Slice<const std::uint64_t> words(const NativeVector& limb) {
    return {reinterpret_cast<const std::uint64_t*>(&limb[0]), limb.GetLength()};
}

inline rust::Slice<std::uint64_t> mut_words(NativeVector& limb) {
    return {reinterpret_cast<std::uint64_t*>(&limb[0]), limb.GetLength()};
}

inline rust::Slice<const std::uint64_t> words(const NativePoly& limb) {
    return {reinterpret_cast<const std::uint64_t*>(&limb[0]), limb.GetLength()};
}

inline rust::Slice<std::uint64_t> mut_words(NativePoly& limb) {
    return {reinterpret_cast<std::uint64_t*>(&limb[0]), limb.GetLength()};
}

inline std::uint64_t word(const NativeInteger& number) {
    return number.ConvertToInt<std::uint64_t>();
}

// The address of OpenFHE's own definition of a symbol that the program overrides, by its mangled name.
void* stock_definition(const char* symbol);

// OpenFHE's own definition of a member function: the Itanium C++ ABI passes the object as the first argument.
template <const char* SYMBOL, typename Function>
Function* stock() {
    static Function* const definition = reinterpret_cast<Function*>(stock_definition(SYMBOL));
    return definition;
}

}  // namespace openfhe_shim
