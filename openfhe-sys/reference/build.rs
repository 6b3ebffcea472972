//! Compiles the calls of OpenFHE that only tests and benchmarks need, against the headers of `openfhe-sys` and of the
//! OpenFHE that it found.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src");
    match build() {
        Some(()) => ExitCode::SUCCESS,
        None => {
            eprintln!("error: the build script of openfhe-sys has not said where OpenFHE is");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Option<()> {
    let mut build = cxx_build::bridge("src/bridge.rs");
    for directory in env::split_paths(&env::var_os("DEP_OPENFHE_INCLUDES")?) {
        build.flag("-isystem").flag(directory);
    }
    if env::var("DEP_OPENFHE_OVERRIDES").ok()? == "1" {
        build.define("OPENFHE_SHIM_OVERRIDES", None);
    }
    build
        .files(["keys", "limbs", "operations", "series"].map(|name| format!("src/shim/{name}.cc")))
        .include(env::var_os("DEP_OPENFHE_SHIM")?)
        .std("c++17")
        .flag("-fopenmp")
        .opt_level(2)
        .debug(false)
        .define("PARALLEL", None)
        .compile("openfhe_reference");
    // For the example that is a shared library. The programs of this package export the overrides with it or without, if
    // they have any.
    let map = env::var("DEP_OPENFHE_OVERRIDES_MAP").ok()?;
    println!("cargo:rustc-link-arg=-Wl,--undefined-version,--version-script={map}");
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", env::var("DEP_OPENFHE_RPATH").ok()?);
    Some(())
}
