// Linear transforms in baby steps and giant steps over the extended basis Q * P, limb by limb.
//
// y = sum over giants i of rot_i( sum over babies j of d_ij * rot_j(x) ), with double hoisting (Bossuat, Mouchet,
// Troncoso-Pastoriza, Hubaux, "Efficient bootstrapping for approximate homomorphic encryption with non-sparse keys",
// 2021, section 4). All babies of one limb are made, used by every giant step and forgotten before the next limb: they
// never exist as polynomials.
#pragma once

#include "rns/key_switch.h"

namespace openfhe_shim {

// A rotation of slots: the automorphism, its key, and where each residue comes from. Index 1 is no rotation.
struct Rotation {
    std::uint32_t index = 1;
    EvaluationKey key;
    std::shared_ptr<const std::vector<std::uint32_t>> map;

    bool moves() const { return index != 1; }
};

struct LinearTransform {
    std::vector<Rotation> babies;
    std::vector<Rotation> giants;
    // By giant, then baby: polynomials over Q_level * P in evaluation format, or null.
    std::vector<std::vector<const DCRTPoly*>> factors;
};

// The rotations by these steps, with keys of the ciphertext's secret; throws where one is missing.
std::vector<Rotation> rotations(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext,
                                const std::vector<std::int32_t>& steps);

// Both parts of the transform of a ciphertext, over Q_level; its scale is the product of the scales.
std::vector<DCRTPoly> apply_transform(const lbcrypto::Ciphertext<DCRTPoly>& ciphertext,
                                      const LinearTransform& transform);

}  // namespace openfhe_shim
