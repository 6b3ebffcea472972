// The kernels as the shim calls them: on the residues of a limb, where they take its modulus and length.
#pragma once

#include "internal.h"

#include "openfhe-sys/src/bridge.rs.h"

#include <cstdint>

namespace openfhe_shim {

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

}  // namespace openfhe_shim
