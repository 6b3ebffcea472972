// Whether OpenFHE calls the overrides: a canary has it do one operation for every file of this folder, and sees.
//
// That a definition of ours is the first one a search finds says little: libraries that were loaded before, by a program
// with definitions of its own or none, call what they were bound to then.
#pragma once

#include "rust/cxx.h"

namespace openfhe_shim {


// Whether one override of each file has been called on this thread. They are defined in the files that they tell of,
// because the linker takes a file out of a static library only where something in it is needed.
extern thread_local bool limb_overrides_called;
extern thread_local bool polynomial_overrides_called;
extern thread_local bool key_switch_overrides_called;
extern thread_local bool bootstrap_overrides_called;

// The names of the files whose override OpenFHE does not call, separated by commas: none where all is well. The kernels
// must be off meanwhile.
rust::String deaf_overrides();

}  // namespace openfhe_shim
