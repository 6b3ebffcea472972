//! Gives the binaries and tests of this package an rpath to the OpenFHE libraries, which cargo does not pass on from
//! the package that links them. `--disable-new-dtags` makes it hold for the libraries' own dependencies too.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Some(directory) = std::env::var_os("DEP_OPENFHE_LIB_DIR") {
        let directory = directory.to_string_lossy();
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{directory}");
    }
}
