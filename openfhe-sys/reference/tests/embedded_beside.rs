//! A library with OpenFHE inside, in a program that has loaded OpenFHE's libraries before: they stay bound to what was
//! there first, so the canary of the second does not hear its overrides.

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
    assert_eq!(library.limbs_of_a_key_for_one(), 3, "keys are whole where the kernels are not in use");
}
