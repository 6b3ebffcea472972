//! What each ciphertext operation takes and gives.

use paf_ir::IrError;
use paf_ir::ckks::CkksProgram;

/// Values of every type: %0 at rest, %1 product of two parts, %2 of three, %3 at rest with three, %4 at level 0,
/// %5 of two ciphertexts, %6 at rest at a lower level.
const VALUES: &str = "\
slots 8
const @0 f64[1, 9] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
map #0 \"join\" = {dense @0 left=1 right=1} scale=1.0 inputs=9 from layout period=8 ciphertexts=2 gaps=zero first=0 \
digits=[9, 1] to layout period=1 ciphertexts=1 gaps=zero first=0 digits=[] plan modulus=8 folds=[] giants {}
map #1 \"same\" = {} scale=1.0 inputs=1 from layout period=1 ciphertexts=1 gaps=zero first=0 digits=[] \
to layout period=1 ciphertexts=1 gaps=zero first=0 digits=[] plan modulus=1 folds=[] giants {0: [0]}
input \"x\" shape=[1] scale=1.0 range=[0.0, 1.0] layout period=1 ciphertexts=1 gaps=zero first=0 digits=[]
input \"wide\" shape=[9] scale=1.0 range=[0.0, 1.0] layout period=8 ciphertexts=2 gaps=zero first=0 digits=[9, 1]
%0 \"rest\" = input port=0 level=3 : ct<1, level 3, 2 parts, rest>
%1 \"product\" = mul_constant by=0.5 level=3 %0 : ct<1, level 3, 2 parts, product>
%2 \"long product\" = mul %0, %0 : ct<1, level 3, 3 parts, product>
%3 \"long rest\" = rescale %2 : ct<1, level 2, 3 parts, rest>
%4 \"lowest\" = drop level=0 %0 : ct<1, level 0, 2 parts, rest>
%5 \"wide\" = input port=1 level=3 : ct<2, level 3, 2 parts, rest>
%6 \"low\" = drop level=2 %0 : ct<1, level 2, 2 parts, rest>
";

/// The type of one more value, or why there is none.
fn infer(operation: &str) -> Result<String, String> {
    // Without its type a value's line is read as far as the type; the error names the inferred one.
    match CkksProgram::from_text(&format!("{VALUES}%7 \"\" = {operation} : ?")) {
        Err(IrError::Parse { message, .. }) => match message.strip_prefix("the type must be ") {
            Some(ty) => Ok(ty.to_owned()),
            None => Err(message),
        },
        other => panic!("{operation}: {other:?}"),
    }
}

#[track_caller]
fn gives(table: &[(&str, &str)]) {
    for (operation, expected) in table {
        assert_eq!(infer(operation).as_deref(), Ok(*expected), "{operation}");
    }
}

#[track_caller]
fn refuses(table: &[(&str, &str)]) {
    for (operation, expected) in table {
        let error = infer(operation).expect_err(operation);
        assert!(error.contains(expected), "{operation}: {error}");
    }
}

#[test]
fn inputs_take_the_ciphertexts_of_their_port() {
    gives(&[
        ("input port=0 level=9", "ct<1, level 9, 2 parts, rest>"),
        ("input port=1 level=0", "ct<2, level 0, 2 parts, rest>"),
    ]);
    refuses(&[("input port=2 level=1", "there is no such port")]);
}

#[test]
fn sums_need_equal_levels_and_kinds() {
    gives(&[
        ("add %0, %0", "ct<1, level 3, 2 parts, rest>"),
        ("sub %5, %5", "ct<2, level 3, 2 parts, rest>"),
        ("add %1, %2", "ct<1, level 3, 3 parts, product>"),
        ("sub %2, %1", "ct<1, level 3, 3 parts, product>"),
        ("add %3, %6", "ct<1, level 2, 3 parts, rest>"),
    ]);
    refuses(&[
        ("add %0, %1", "operands are ct<1, level 3, 2 parts, rest> and ct<1, level 3, 2 parts, product>"),
        ("sub %0, %6", "sub: operands are ct<1, level 3, 2 parts, rest> and ct<1, level 2"),
        ("add %0, %5", "operands are ct<1, level 3, 2 parts, rest> and ct<2, level 3"),
    ]);
}

#[test]
fn products_take_two_values_at_rest() {
    gives(&[("mul %0, %0", "ct<1, level 3, 3 parts, product>"), ("mul %5, %5", "ct<2, level 3, 3 parts, product>")]);
    refuses(&[
        ("mul %0, %1", "needs an operand of two parts at rest, got ct<1, level 3, 2 parts, product>"),
        ("mul %3, %6", "needs an operand of two parts at rest, got ct<1, level 2, 3 parts, rest>"),
        ("mul %0, %6", "need one level above 0"),
        ("mul %4, %4", "need one level above 0"),
        ("mul %0, %5", "need one level above 0"),
    ]);
}

#[test]
fn constants_multiply_at_any_level_below() {
    gives(&[
        ("mul_constant by=2.0 level=3 %0", "ct<1, level 3, 2 parts, product>"),
        ("mul_constant by=-0.0 level=1 %5", "ct<2, level 1, 2 parts, product>"),
    ]);
    refuses(&[
        ("mul_constant by=2.0 level=4 %0", "does not fit ct<1, level 3"),
        ("mul_constant by=2.0 level=0 %0", "does not fit"),
        ("mul_constant by=2.0 level=3 %1", "needs an operand of two parts at rest"),
        ("mul_constant by=inf level=3 %0", "constant inf"),
    ]);
}

#[test]
fn constants_add_to_anything() {
    gives(&[
        ("add_constant by=2.0 %0", "ct<1, level 3, 2 parts, rest>"),
        ("add_constant by=2.0 %2", "ct<1, level 3, 3 parts, product>"),
        ("add_constant by=2.0 %5", "ct<2, level 3, 2 parts, rest>"),
    ]);
    refuses(&[("add_constant by=NaN %0", "constant NaN")]);
}

#[test]
fn relinearization_takes_three_parts() {
    gives(&[
        ("relinearize %2", "ct<1, level 3, 2 parts, product>"),
        ("relinearize %3", "ct<1, level 2, 2 parts, rest>"),
    ]);
    refuses(&[
        ("relinearize %0", "needs three parts, got ct<1, level 3, 2 parts, rest>"),
        ("relinearize %1", "needs three parts"),
    ]);
}

#[test]
fn rescales_take_products() {
    gives(&[("rescale %1", "ct<1, level 2, 2 parts, rest>"), ("rescale %2", "ct<1, level 2, 3 parts, rest>")]);
    refuses(&[("rescale %0", "needs a product above level 0, got ct<1, level 3, 2 parts, rest>")]);
}

#[test]
fn drops_go_down_and_bootstraps_up() {
    gives(&[
        ("drop level=2 %0", "ct<1, level 2, 2 parts, rest>"),
        ("drop level=0 %5", "ct<2, level 0, 2 parts, rest>"),
        ("bootstrap slots=8 level=4 %0", "ct<1, level 4, 2 parts, rest>"),
        ("bootstrap slots=4 level=9 %5", "ct<2, level 9, 2 parts, rest>"),
    ]);
    refuses(&[
        ("drop level=3 %0", "does not fit"),
        ("drop level=4 %0", "does not fit"),
        ("drop level=1 %1", "needs an operand of two parts at rest"),
        ("bootstrap slots=8 level=3 %0", "does not fit"),
        ("bootstrap slots=8 level=9 %4", "does not fit ct<1, level 0"),
        ("bootstrap slots=8 level=9 %3", "needs an operand of two parts at rest"),
        ("bootstrap slots=6 level=9 %0", "of 6 slots in a program of 8"),
        ("bootstrap slots=16 level=9 %0", "of 16 slots in a program of 8"),
    ]);
}

#[test]
fn rotations_take_two_parts_at_rest() {
    gives(&[
        ("rotate steps=-7 %0", "ct<1, level 3, 2 parts, rest>"),
        ("rotate steps=0 %5", "ct<2, level 3, 2 parts, rest>"),
    ]);
    refuses(&[
        ("rotate steps=1 %1", "needs an operand of two parts at rest"),
        ("rotate steps=1 %3", "needs an operand of two parts at rest"),
    ]);
}

#[test]
fn linear_maps_take_their_ciphertexts_and_a_level() {
    gives(&[
        ("linear #0 level=2 %5", "ct<1, level 2, 2 parts, rest>"),
        ("linear #1 level=0 %0", "ct<1, level 0, 2 parts, rest>"),
    ]);
    refuses(&[
        ("linear #0 level=2 %0", "to level 2 from ct<1, level 3, 2 parts, rest>"),
        ("linear #1 level=2 %5", "to level 2 from ct<2, level 3"),
        ("linear #1 level=3 %0", "to level 3 from"),
        ("linear #1 level=0 %4", "to level 0 from"),
        ("linear #1 level=0 %1", "needs an operand of two parts at rest"),
        ("linear #2 level=0 %0", "no map #2"),
    ]);
}

#[test]
fn operands_come_before() {
    refuses(&[("relinearize %7", "operand %7 does not come before"), ("add %0, %4294967295", "does not come before")]);
}

#[test]
fn values_live_until_their_last_reader() {
    let program = CkksProgram::from_text(include_str!("data/ckks.txt")).unwrap();
    assert_eq!(program.last_uses(), [1, 9, 4, 4, 5, 6, 7, 8, 10, 10, 11, 12]);
}
