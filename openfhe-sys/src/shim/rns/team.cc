#include "rns/team.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <omp.h>
#include <system_error>
#include <thread>
#include <vector>

namespace openfhe_shim {

namespace {

// A wake-up costs about as much as this.
constexpr auto SPIN = std::chrono::microseconds(50);

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

// Waits for a condition without sleeping; false when it did not come true in time.
template <typename Condition>
bool spin_until(Condition condition) {
    constexpr int LOOKS = 64;
    const auto end      = std::chrono::steady_clock::now() + SPIN;
    do {
        for (int look = 0; look < LOOKS; ++look) {
            if (condition())
                return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

// One loop after another. The state of the loop is one word, so that joining an open loop is one exchange: its number
// in the high half, whether it is closed, and how many threads beside the caller are in it.
class Team {
public:
    explicit Team(std::size_t helpers) {
        // Where the system gives no more threads, those that there are do the work.
        try {
            for (std::size_t i = 0; i < helpers; ++i)
                threads_.emplace_back([this] { help(); });
        } catch (const std::system_error&) {
        }
    }

    ~Team() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
        }
        work_or_end_.notify_all();
        for (auto& thread : threads_)
            thread.join();
    }

    void run(std::size_t count, void (*function)(void*, std::size_t), void* context) {
        count_    = count;
        function_ = function;
        context_  = context;
        next_.store(0, std::memory_order_relaxed);
        const std::uint64_t number = (state_.load() >> NUMBER_SHIFT) + 1;
        state_.store(number << NUMBER_SHIFT);
        if (sleepers_.load() > 0) {
            // A helper that is about to sleep holds the mutex until it does.
            { std::lock_guard<std::mutex> lock(mutex_); }
            work_or_end_.notify_all();
        }
        take_items();
        state_.fetch_or(CLOSED);
        const auto empty = [this] { return (state_.load() & MEMBERS) == 0; };
        while (!spin_until(empty))
            std::this_thread::yield();
    }

private:
    static constexpr int NUMBER_SHIFT       = 32;
    static constexpr std::uint64_t CLOSED  = std::uint64_t(1) << 31;
    static constexpr std::uint64_t MEMBERS = CLOSED - 1;

    void take_items() {
        for (;;) {
            const std::size_t item = next_.fetch_add(1, std::memory_order_relaxed);
            if (item >= count_)
                return;
            function_(context_, item);
        }
    }

    bool is_open(std::uint64_t last) const {
        const std::uint64_t state = state_.load();
        return (state & CLOSED) == 0 && state >> NUMBER_SHIFT != last;
    }

    // The number of the loop that was joined, or the last one again.
    std::uint64_t join_once(std::uint64_t last) {
        std::uint64_t state = state_.load();
        while ((state & CLOSED) == 0 && state >> NUMBER_SHIFT != last) {
            if (!state_.compare_exchange_weak(state, state + 1))
                continue;
            take_items();
            state_.fetch_sub(1);
            return state >> NUMBER_SHIFT;
        }
        return last;
    }

    void help() {
        std::uint64_t last = 0;
        for (;;) {
            if (!spin_until([&] { return is_open(last); })) {
                std::unique_lock<std::mutex> lock(mutex_);
                sleepers_.fetch_add(1);
                work_or_end_.wait(lock, [&] { return stopping_ || is_open(last); });
                sleepers_.fetch_sub(1);
                if (stopping_)
                    return;
            }
            last = join_once(last);
        }
    }

    // Loop 0 never was: helpers wait for loop 1.
    std::atomic<std::uint64_t> state_{CLOSED};
    std::atomic<std::size_t> next_{0};
    std::size_t count_                     = 0;
    void (*function_)(void*, std::size_t) = nullptr;
    void* context_                         = nullptr;

    std::mutex mutex_;
    std::condition_variable work_or_end_;
    std::atomic<int> sleepers_{0};
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

// Locked by the thread that runs a loop or changes the team.
std::mutex team_mutex;
std::size_t team_size = 1;
std::unique_ptr<Team> team;

thread_local bool in_loop = false;

}  // namespace

void set_team_size(std::size_t threads) {
    std::lock_guard<std::mutex> lock(team_mutex);
    if (threads == team_size)
        return;
    team.reset();
    team_size = threads;
}

void run_loop(std::size_t count, void (*function)(void*, std::size_t), void* context) {
    const auto alone = [&] {
        for (std::size_t item = 0; item < count; ++item)
            function(context, item);
    };
    if (count < 2 || in_loop || omp_in_parallel())
        return alone();
    std::unique_lock<std::mutex> lock(team_mutex, std::try_to_lock);
    if (!lock.owns_lock() || team_size < 2)
        return alone();
    if (!team)
        team.reset(new Team(team_size - 1));
    in_loop = true;
    team->run(count, function, context);
    in_loop = false;
}

}  // namespace openfhe_shim
