// Slot values to residues: the part of encoding that all kinds of plaintexts share.
//
// The polynomial of n repeated slots is one in X^(N/2n): as an element of the ring of dimension 2n it has the same values,
// which in evaluation format are those of the large ring, each N/2n times side by side.
#pragma once

#include "rns/kernels.h"

#include <vector>

namespace openfhe_shim {

// The first n coefficients of a polynomial with n real slots, times two to the power; the others follow from symmetry.
struct Coefficients {
    std::vector<std::int64_t> half;
    std::uint32_t power_of_two = 0;
};

// What the values of slots are encoded at.
struct Encoding {
    // Slots of the small ring: those of the message, or the least number that the kernels take.
    std::size_t width;
    double scale;
};

Encoding encoding_of(std::uint32_t slots, double scale);

// The coefficients of two vectors, each of no more values than slots; false if one is not finite.
bool coefficients_of(const Encoding& encoding, std::uint32_t slots, rust::Slice<const double> first,
                     rust::Slice<const double> second, Coefficients& first_result, Coefficients& second_result);

// Values of the small ring's polynomial modulo the primes of a basis.
class Residues {
public:
    Residues(const DCRTPoly::Params& basis, const Encoding& encoding);

    std::size_t limbs() const { return primes_.size(); }
    // Words of a limb.
    std::size_t length() const { return length_; }
    // How often the large ring repeats each of them, as a power of two.
    std::uint32_t log_repeats() const { return log_repeats_; }

    // Writes one limb.
    void write(rust::Slice<std::uint64_t> limb, const Coefficients& coefficients, std::size_t number) const;

private:
    struct Prime {
        std::uint64_t modulus;
        rust::Slice<const std::uint64_t> roots;
        rust::Slice<const std::uint64_t> shoup;
    };
    std::vector<Prime> primes_;
    std::size_t length_;
    std::uint32_t log_repeats_ = 0;
};

// Throws unless vectors can be encoded at this level and scale.
void check_encoding(const Context& context, std::uint32_t slots, std::uint32_t level, double scale);
void check_values(rust::Slice<const double> values, std::uint32_t slots);

}  // namespace openfhe_shim
