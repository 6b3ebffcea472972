//! A library with OpenFHE inside, in a program that has none: OpenFHE calls the library's overrides.

mod common;

use common::Embedded;

#[test]
fn openfhe_calls_the_overrides_of_the_library() {
    let library = Embedded::load();
    let selection = library.selection();
    assert!(!selection.starts_with("openfhe") && !selection.starts_with("error"), "{selection}");
    assert_eq!(library.limbs_of_a_key_for_one(), 1, "{}", library.refusal_of_a_key());
}
