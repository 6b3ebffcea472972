//! The program takes the place of the functions of OpenFHE that are listed, and of no other that computes on limbs.
//!
//! A C++ file that calls a template of OpenFHE's headers may compile a copy into the program, which then runs in place
//! of the library's, and with it everything that it calls: results stay right, but slow ones replace the kernels.

use std::collections::BTreeSet;
use std::error::Error;

use object::{Object, ObjectSymbol};
use openfhe_sys as fhe;

/// Mangled names up to a method's own: those of the transforms and of the arithmetic of one limb.
const TRANSFORMS: [&str; 2] = [
    "6intnat27NumberTheoreticTransformNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE",
    "6intnat31ChineseRemainderTransformFTTNatINS_13NativeVectorTINS_14NativeIntegerTImEEEEE",
];
const LIMB: &str = "6intnat13NativeVectorTINS_14NativeIntegerTImEEE";
const LIMB_ARITHMETIC: [&str; 4] = ["Mod", "Mult", "Switch", "LazySwitch"];

/// The string constants of the header, each joined from its lines.
fn listed() -> BTreeSet<String> {
    let header = include_str!("../src/shim/overrides/symbols.h");
    let constants = header.split("constexpr char ").skip(1).filter_map(|rest| rest.split_once(';'));
    constants.map(|(constant, _)| constant.split('"').skip(1).step_by(2).collect()).collect()
}

/// The functions that this program defines for itself and the shared libraries.
fn defined() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let program = std::fs::read(std::env::current_exe()?)?;
    let file = object::File::parse(&*program)?;
    let symbols = file.dynamic_symbols().filter(|symbol| symbol.is_definition());
    Ok(symbols.map(|symbol| Ok(symbol.name()?.to_owned())).collect::<object::Result<_>>()?)
}

fn computes_on_limbs(symbol: &str) -> bool {
    let Some(member) = symbol.strip_prefix("_ZNK").or_else(|| symbol.strip_prefix("_ZN")) else { return false };
    let method =
        |class: &str| member.strip_prefix(class).map(|name| name.trim_start_matches(|c: char| c.is_ascii_digit()));
    TRANSFORMS.iter().any(|class| method(class).is_some())
        || method(LIMB).is_some_and(|name| LIMB_ARITHMETIC.iter().any(|start| name.starts_with(start)))
}

#[test]
fn the_program_overrides_what_is_listed_and_nothing_else_on_limbs() -> Result<(), Box<dyn Error>> {
    assert!(!fhe::openfhe_version().unwrap().is_empty(), "the libraries are linked");
    let (listed, defined) = (listed(), defined()?);
    assert!(
        listed.iter().filter(|symbol| computes_on_limbs(symbol)).count() >= 10,
        "the names are those of the header"
    );
    let missing: Vec<_> = listed.difference(&defined).collect();
    assert!(missing.is_empty(), "listed, but not in the program: {missing:#?}");
    let others: Vec<_> = defined.difference(&listed).filter(|symbol| computes_on_limbs(symbol)).collect();
    assert!(others.is_empty(), "in the program without being listed; `extern template` keeps them out: {others:#?}");
    Ok(())
}
