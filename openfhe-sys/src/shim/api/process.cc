// Process-wide settings: allocator, threads, and OpenFHE's static maps.

#include "overrides/canary.h"
#include "rns/kernels.h"
#include "rns/limbs.h"
#include "rns/team.h"

#include "cryptocontextfactory.h"
#include "utils/parallel.h"
#include "version.h"

#include <cerrno>
#include <cstring>
#include <limits>
#include <malloc.h>
#include <new>
#include <omp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace openfhe_shim {

namespace {

// OpenFHE reads the thread count once, when the library is loaded, and passes it to its loops; the member has no
// setter. An explicit template instantiation may name a private member ([temp.spec.general]), and hands it out here.
template <int lbcrypto::ParallelControls::*Member>
struct ThreadCountAccess {
    friend int& thread_count_of(lbcrypto::ParallelControls& controls) { return controls.*Member; }
};
int& thread_count_of(lbcrypto::ParallelControls& controls);
template struct ThreadCountAccess<&lbcrypto::ParallelControls::machineThreads>;

int thread_limit = omp_get_max_threads();

}  // namespace

// Limbs come and go with every operation, and glibc by default maps and unmaps memory of their size. Measured at N = 2^16
// with 24 limbs and the AVX-512 kernels, CPU seconds of the least disturbed of 40 batches of rotations, products and
// rescales, and the peak: glibc 0.57 and 462 MiB, with these thresholds 0.43 and 525, jemalloc 0.41 and 599, mimalloc
// 0.40 and 512, lists of free limbs of our own 0.38 and 458. One tenth was not worth another allocator.
bool configure_allocator() noexcept {
    constexpr int MMAP_THRESHOLD = 32 << 20;  // the largest that glibc accepts
    constexpr int TRIM_THRESHOLD = std::numeric_limits<int>::max();
    return mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD) == 1 && mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD) == 1;
}

// A handler of crashes that the kernel pipes core dumps to ignores the limit, but not that the process is not dumpable.
void forbid_core_dumps() {
    const rlimit none{0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        fail(std::strerror(errno));
}

// Called by operator new, where there is nothing left to do but say so. What was written is without a name still.
void exit_when_out_of_memory() noexcept {
    std::set_new_handler([] {
        constexpr char MESSAGE[] = "error: out of memory\n";
        [[maybe_unused]] const auto written = write(STDERR_FILENO, MESSAGE, sizeof MESSAGE - 1);
        _exit(3);
    });
}

// Beside the team, OpenMP has one thread: its others would spin where the team's have work.
void set_threads(std::uint32_t count) {
    thread_limit     = static_cast<int>(std::clamp<std::uint32_t>(count, 1, 1024));
    const int beside = kernels::in_use() ? 1 : thread_limit;
    thread_count_of(lbcrypto::OpenFHEParallelControls) = beside;
    omp_set_num_threads(beside);
    set_team_size(static_cast<std::size_t>(thread_limit));
}

OpenMpThreads::OpenMpThreads() : before_(omp_get_max_threads()) {
    omp_set_num_threads(thread_limit);
}

OpenMpThreads::~OpenMpThreads() {
    omp_set_num_threads(before_);
}

std::uint32_t threads() noexcept {
    return static_cast<std::uint32_t>(thread_limit);
}

rust::String openfhe_version() {
    return OPENFHE_SHIM_VERSION;
}

#ifndef OPENFHE_SHIM_OVERRIDES
// The overrides belong to one version of OpenFHE, and this is another.
rust::String deaf_overrides() {
    return "all";
}
#endif

void clear_multiplication_keys() {
    ContextImpl::ClearEvalMultKeys();
}

void clear_rotation_keys() {
    ContextImpl::ClearEvalAutomorphismKeys();
    forget_automorphism_maps();
}

void release_contexts() {
    lbcrypto::CryptoContextFactory<DCRTPoly>::ReleaseAllContexts();
}

}  // namespace openfhe_shim
