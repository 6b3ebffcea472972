//! Gives the binaries and tests of this package the rpath to the OpenFHE libraries, which cargo does not pass on from the
//! package that links them: beside the program, in `../lib` of it, and where the build found them. `--disable-new-dtags`
//! makes it hold for the libraries' own dependencies too.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(rpath) = std::env::var_os("DEP_OPENFHE_RPATH") {
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{}", rpath.to_string_lossy());
    }
}
