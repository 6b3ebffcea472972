//! A library with OpenFHE inside, in a program that has loaded OpenFHE's libraries before: they stay bound to what was
//! there first, so the canary of the second does not hear its overrides,
//! and it makes no keys: their randomness would be that of a stranger.

mod common;

use common::Embedded;
use openfhe_reference::kernels::{Code, available};

#[test]
fn a_second_copy_sees_that_openfhe_does_not_call_it() {
    assert!(available().iter().any(|code| *code != Code::OpenFhe), "OpenFHE calls the overrides of the program");
    let library = Embedded::load();
    let selection = library.selection();
    assert!(selection.starts_with("openfhe: OpenFHE's libraries do not call the kernels"), "{selection}");
    assert!(selection.contains("limbs, polynomials, key switch, bootstrap"), "{selection}");
    let refusal = library.refusal_of_a_key();
    assert!(refusal.contains("OpenFHE has not asked this program for randomness"), "{refusal}");
    assert_eq!(library.limbs_of_a_key_for_one(), 0, "no key of randomness that is not known to be the system's");
}
