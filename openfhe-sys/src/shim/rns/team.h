// The threads of the overrides: loops over limbs and blocks of coefficients.
//
// OpenMP's threads spin for milliseconds at the end of every loop, and a loop waits for all of them: on a machine that
// does other work too, each of the thousands of loops of an evaluation can lose a time slice. These threads spin for
// microseconds and then sleep, take one item of a loop after another, and a loop does not wait for a thread that never
// came to take one.
#pragma once

#include <cstddef>

namespace openfhe_shim {

// How many threads a loop may use, its caller included.
void set_team_size(std::size_t threads);

// Calls function(context, i) for every i below count. One loop at a time: a loop inside another one, inside a parallel
// region of OpenMP, or beside one of another thread, runs on its caller alone. The function must not throw.
void run_loop(std::size_t count, void (*function)(void* context, std::size_t item), void* context);

// Calls function(i) for every i below count.
template <typename Function>
void parallel_for(std::size_t count, Function function) {
    run_loop(count, [](void* context, std::size_t item) { (*static_cast<Function*>(context))(item); }, &function);
}

// All threads for OpenMP while it lives: for the generation of many keys, where OpenFHE's loop is around whole keys.
class OpenMpThreads {
public:
    OpenMpThreads();
    ~OpenMpThreads();
    OpenMpThreads(const OpenMpThreads&)            = delete;
    OpenMpThreads& operator=(const OpenMpThreads&) = delete;

private:
    int before_;
};

}  // namespace openfhe_shim
