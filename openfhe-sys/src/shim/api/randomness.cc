// The randomness of all keys, encryptions and decryptions.
//
// Each thread of OpenFHE has a generator, BLAKE2Xb in counter mode, which OpenFHE makes by calling createEngineInstance. Its own
// definition seeds it with std::random_device, which is the CPU's 32-bit RDSEED alone with libstdc++, and with clock, thread and
// addresses. Ours, which OpenFHE calls in its place, is the documented way to bring another generator (prng.h): the same BLAKE2Xb
// under seeds of the operating system.

#include "internal.h"
#include "math/distributiongenerator.h"

#include "utils/prng/blake2engine.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

namespace openfhe_shim {

namespace {

// Whether OpenFHE has asked us for a generator.
std::atomic<bool> system_randomness_in_use{false};

using Seed = default_prng::Blake2Engine::blake2_seed_array_t;

// Forks that this process is the child of: a generator that was made before one must not go on as the parent's does.
std::atomic<std::uint64_t> forks{0};

void count_forks() {
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1); });
    if (registered != 0)
        fail("forks cannot be noticed, and would repeat the randomness of their parents");
}

// Without randomness there is no key, and callers are inside of loops that no exception leaves.
Seed seed_of_system() {
    Seed seed;
    std::size_t filled = 0;
    while (filled < sizeof seed) {
        const ssize_t got = getrandom(reinterpret_cast<char*>(seed.data()) + filled, sizeof seed - filled, 0);
        if (got > 0) {
            filled += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            std::fprintf(stderr, "error: the system gives no randomness: %s\n", std::strerror(errno));
            _exit(3);
        }
    }
    return seed;
}

class SystemSeeded final : public PRNG {
public:
    result_type operator()() override {
        if (left_ == 0 || forks_ != forks.load(std::memory_order_relaxed))
            reseed();
        --left_;
        return generator_->operator()();
    }

private:
    // After so many numbers: 64 MiB of them.
    static constexpr std::uint64_t INTERVAL = 1 << 24;

    void reseed() {
        Seed seed = seed_of_system();
        generator_.emplace(seed, 0);
        explicit_bzero(seed.data(), sizeof seed);
        forks_ = forks.load();
        left_  = INTERVAL;
    }

    std::optional<default_prng::Blake2Engine> generator_;
    std::uint64_t forks_ = 0;
    std::uint64_t left_  = 0;
};

}  // namespace

void require_system_randomness() {
    lbcrypto::PseudoRandomNumberGenerator::GetPRNG();
    require(system_randomness_in_use,
            "OpenFHE has not asked this program for randomness; were its libraries loaded before the program's code?");
}

}  // namespace openfhe_shim

// In the place of OpenFHE's own.
extern "C" __attribute__((visibility("default"))) PRNG* createEngineInstance() {
    openfhe_shim::count_forks();
    openfhe_shim::system_randomness_in_use = true;
    return new openfhe_shim::SystemSeeded();
}
