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
    for file in ["shim/api/keys.cc", "shim/api/encryption.cc", "shim/rns/key_generation.cc"] {
        let text = source(file);
        assert!(text.contains("require_system_randomness();"), "{file} asks for none");
    }
    // It throws otherwise.
    let context = openfhe_sys::create_context(&openfhe_sys::ContextParameters {
        ring_dimension: 1 << 10,
        slots: 512,
        multiplicative_depth: 1,
        scaling_mod_bits: 40,
        first_mod_bits: 50,
        digits: 1,
        scaling_technique: openfhe_sys::ScalingTechnique::FlexibleAuto,
        secret_key_distribution: openfhe_sys::SecretKeyDistribution::UniformTernary,
        security_level: openfhe_sys::SecurityLevel::NotSet,
    });
    openfhe_sys::generate_key_pair(&context.expect("a context")).expect("keys of the system's randomness");
}
