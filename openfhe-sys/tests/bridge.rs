//! What crosses the bridge: no exception ends the process.

use std::fs;
use std::path::Path;

fn source(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path)).expect("a source file")
}

/// The declarations of the C++ functions, each in one line.
fn declarations() -> Vec<String> {
    let text = source("bridge.rs");
    let functions = text.split("unsafe extern \"C++\" {").nth(1).expect("the C++ side").split("\n    }").next();
    let lines = functions.expect("its end").lines().map(str::trim).filter(|line| !line.starts_with("///"));
    let joined = lines.collect::<Vec<_>>().join(" ");
    let declared =
        joined.split(';').map(str::trim).filter_map(|part| part.find("fn ").map(|start| part[start..].to_owned()));
    declared.collect()
}

#[test]
fn functions_that_return_no_result_are_noexcept() {
    let headers = ["shim/shim.h", "shim/overrides/canary.h"].map(source).concat();
    let mut without = 0;
    for declaration in declarations().iter().filter(|declaration| !declaration.contains("Result<")) {
        let name = declaration["fn ".len()..].split('(').next().expect("a name");
        let declared: Vec<&str> = headers.lines().filter(|line| line.contains(&format!(" {name}("))).collect();
        assert!(!declared.is_empty(), "{name} is not declared");
        assert!(declared.iter().all(|line| line.contains("noexcept")), "{name} returns no Result: {declared:?}");
        without += 1;
    }
    assert!(without > 10, "{without}");
}

/// OpenFHE asks the shim for its randomness, which is the system's.
#[test]
fn randomness_is_that_of_the_system() {
    use openfhe_sys::kernels::{Code, select};
    select(Code::OpenFhe).expect("OpenFHE's own code");
    let deaf = openfhe_sys::deaf_overrides().expect("a canary");
    assert!(!deaf.contains("randomness"), "{deaf}");
}
