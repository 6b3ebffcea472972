//! The tests that every engine must pass, and the small programs that they run.
//!
//! [`engine_tests!`](crate::engine_tests) makes a test of each function here for an engine. What an operation must compute
//! comes from arithmetic on plain numbers, written down with each program in [`cases`], and not from another engine. Every
//! function panics where an engine breaks the contract, with what it did.

#![allow(clippy::missing_panics_doc, reason = "to panic is how these functions say that an engine is wrong")]

mod bytes;
pub mod cases;
mod interpret;
mod keys;
mod operations;

pub use bytes::{damaged_bytes_are_errors, keys_and_ciphertexts_pass_through_bytes};
pub use keys::{
    keys_come_and_go, keys_serve_the_levels_they_are_made_for, other_keys_are_told_apart, sets_do_not_know_each_other,
};
pub use operations::{bootstraps_refresh, operations_compute_what_they_say, preparing_changes_nothing};

/// What a comparison with plain numbers allows.
#[derive(Debug, Clone, Copy)]
pub enum Agreement {
    /// The same real numbers, computed in another order.
    Exact,
    /// Rounding errors at the scale 2^45 and N = 2^11, and what a few products make of them.
    Encrypted,
}

impl Agreement {
    fn least_bits(self) -> f64 {
        match self {
            Agreement::Exact => 40.0,
            Agreement::Encrypted => 28.0,
        }
    }

    /// After bootstraps at these parameters.
    fn least_bits_of_bootstraps(self) -> f64 {
        match self {
            Agreement::Exact => 40.0,
            Agreement::Encrypted => 8.0,
        }
    }
}

/// The tests of an engine: `engine_tests!(MyEngine, Agreement::Encrypted);` in a test file.
#[macro_export]
macro_rules! engine_tests {
    ($engine:ty, $agreement:expr) => {
        $crate::engine_tests! { $engine; ($agreement);
            operations_compute_what_they_say, preparing_changes_nothing, bootstraps_refresh
        }
        $crate::engine_tests! { $engine; ();
            keys_and_ciphertexts_pass_through_bytes, damaged_bytes_are_errors, keys_come_and_go,
            keys_serve_the_levels_they_are_made_for, other_keys_are_told_apart, sets_do_not_know_each_other
        }
    };
    ($engine:ty; $arguments:tt; $($test:ident),*) => {
        $(
            #[test]
            fn $test() {
                $crate::suite::$test::<$engine> $arguments;
            }
        )*
    };
}
