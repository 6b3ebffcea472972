//! Finds OpenFHE, compiles the shim and links both. The places to look are the lines of [`find_prefix`].
//!
//! Shared libraries are found again at run time by an rpath: this script sets it for the tests of this package and
//! hands it to the build scripts of dependents as `DEP_OPENFHE_RPATH` (cargo does not pass link arguments on). For
//! packages without such a script, `cargo run` and `cargo test` look into the link directory in `OUT_DIR`. The libraries
//! also lie beside the programs, so that both can be copied to another place.
//!
//! A crate that becomes a shared library has to export the overrides, or OpenFHE does not see them: rustc keeps all C++
//! symbols local there. Its build script passes `-Wl,--version-script=` with the file `DEP_OPENFHE_OVERRIDES_MAP`, which
//! lld, Rust's linker on this platform, adds to rustc's own.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Result<T> = std::result::Result<T, String>;

const VERSION: &str = "1.4.2";
const SUPPORTED: &str = "1.4.";
const LIBRARIES: [&str; 3] = ["OPENFHEpke", "OPENFHEbinfhe", "OPENFHEcore"];

/// The official shared libraries, and the headers that belong to them: pip refuses anything but these bytes.
const WHEELS: &str = "\
openfhe==1.4.2.0.22.4 --hash=sha256:36fc605e929790cb2c12ad6696d632fa478499b83b75ea6772774a0daf055e75
heir_py==2026.6.1 --hash=sha256:704ac3b4a0ba84d976fb7761027899bb620b10e3ef94590ed754ec693ed5e70f
";

/// What the libraries of the wheel were built with; the header in the other wheel was generated for another build.
const CONFIG_CORE: &str = "\
#ifndef __CMAKE_GENERATED_CONFIG_CORE_H__
#define __CMAKE_GENERATED_CONFIG_CORE_H__
#define WITH_BE2
#define WITH_BE4
#define WITH_OPENMP
#define CKKS_M_FACTOR 1
#define HAVE_INT128 TRUE
#define HAVE_INT64 TRUE
#define MATHBACKEND 4
#define NATIVEINT 64
#endif
";

/// Unpacks the members of the wheels in argv[1] that belong to an OpenFHE installation into the prefix argv[2]. They
/// keep their dates: files newer than the start of this script would make cargo run it again.
const UNPACK: &str = r#"
import glob, os, sys, time, zipfile
places = {
    "openfhe/lib/": "lib/",
    "heir/openfhe+/src/core/include/": "include/openfhe/core/",
    "heir/openfhe+/src/pke/include/": "include/openfhe/pke/",
    "heir/openfhe+/src/binfhe/include/": "include/openfhe/binfhe/",
    "heir/cereal+/include/": "include/openfhe/",
}
for wheel in glob.glob(os.path.join(sys.argv[1], "*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            for start, place in places.items():
                if member.filename.startswith(start) and not member.is_dir():
                    target = os.path.join(sys.argv[2], place + member.filename[len(start):])
                    os.makedirs(os.path.dirname(target), exist_ok=True)
                    with open(target, "wb") as file:
                        file.write(archive.read(member))
                    packed = time.mktime(member.date_time + (0, 0, -1))
                    os.utime(target, (packed, packed))
"#;

fn main() -> ExitCode {
    for path in ["build.rs", "src/bridge.rs", "src/shim"] {
        println!("cargo:rerun-if-changed={path}");
    }
    for variable in ["OPENFHE_DIR", "PIP_INDEX_URL", "PIP_FIND_LINKS"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; run cargo")?);
    let prefix = find_prefix(&out_dir)?;
    let version = check_version(&prefix)?;
    check_configuration(&prefix)?;
    compile_shim(&prefix, &version)?;
    write_overrides_map(&out_dir)?;
    link(&prefix, &out_dir)
}

fn find_prefix(out_dir: &Path) -> Result<PathBuf> {
    if let Some(directory) = env::var_os("OPENFHE_DIR") {
        return from_variable(PathBuf::from(directory));
    }
    if env::var_os("CARGO_FEATURE_FETCH").is_some() {
        return fetch(&cache_directory(out_dir));
    }
    Err(format!(
        "OPENFHE_DIR is not set and the feature `fetch` is off\n\
         hint: set it to the prefix of an OpenFHE {VERSION} installation (/usr/local, for example), or build with the feature"
    ))
}

fn from_variable(prefix: PathBuf) -> Result<PathBuf> {
    if is_prefix(&prefix) {
        return Ok(prefix);
    }
    Err(format!(
        "OPENFHE_DIR is {}, which has no include/openfhe/pke/cryptocontext.h or no libOPENFHEpke.so\n\
         hint: set it to the prefix that OpenFHE was installed into (cmake's CMAKE_INSTALL_PREFIX)",
        prefix.display()
    ))
}

fn is_prefix(prefix: &Path) -> bool {
    prefix.join("include/openfhe/pke/cryptocontext.h").is_file()
        && library_directory(prefix).is_some_and(|directory| shared_library(&directory, LIBRARIES[0]).is_some())
}

fn library_directory(prefix: &Path) -> Option<PathBuf> {
    let names = ["lib", "lib64", "lib/x86_64-linux-gnu"];
    let has_library = |directory: &PathBuf| shared_library(directory, LIBRARIES[0]).is_some();
    names.iter().map(|name| prefix.join(name)).find(has_library)
}

fn shared_library(directory: &Path, name: &str) -> Option<PathBuf> {
    let candidates = [format!("lib{name}.so"), format!("lib{name}.so.1")];
    candidates.iter().map(|file| directory.join(file)).find(|path| path.exists())
}

/// `target/openfhe-1.4.2`, which all profiles share; `OUT_DIR` itself where cargo's layout is not the known one.
fn cache_directory(out_dir: &Path) -> PathBuf {
    let name = format!("openfhe-{VERSION}");
    match program_directory(out_dir).and_then(Path::parent) {
        Some(target) => target.join(name),
        None => out_dir.join(name),
    }
}

/// Downloads and unpacks into a directory of its own and renames it, so that the cache is complete or absent.
fn fetch(cache: &Path) -> Result<PathBuf> {
    if is_prefix(cache) {
        return Ok(cache.to_owned());
    }
    let work = cache.with_file_name(format!("openfhe-{VERSION}-part-{}", std::process::id()));
    let prefix = work.join("prefix");
    fs::create_dir_all(&prefix).map_err(|error| io_message("create", &prefix, &error))?;
    let unpacked = download(&work).and_then(|()| unpack(&work, &prefix)).and_then(|()| complete(&prefix));
    let moved = unpacked.and_then(|()| replace(&prefix, cache));
    let _ = fs::remove_dir_all(&work);
    moved.map(|()| cache.to_owned())
}

fn replace(prefix: &Path, cache: &Path) -> Result<()> {
    if cache.exists() && !is_prefix(cache) {
        fs::remove_dir_all(cache).map_err(|error| io_message("remove", cache, &error))?;
    }
    match fs::rename(prefix, cache) {
        Err(error) if !is_prefix(cache) => Err(io_message("create", cache, &error)),
        _ => Ok(()),
    }
}

fn download(work: &Path) -> Result<()> {
    let requirements = work.join("requirements.txt");
    write(&requirements, WHEELS)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"])
        .args(["--python-version", "3.11", "--implementation", "cp", "--abi", "abi3", "--abi", "none"])
        .args(["--platform", "manylinux_2_28_x86_64"])
        .arg("--dest")
        .arg(work)
        .arg("--requirement")
        .arg(&requirements);
    run(&mut pip, "download OpenFHE from PyPI")
}

fn unpack(work: &Path, prefix: &Path) -> Result<()> {
    let mut python = Command::new("python3");
    python.args(["-c", UNPACK]).arg(work).arg(prefix);
    run(&mut python, "unpack the OpenFHE wheels")
}

/// What an installation has and the wheels have not.
fn complete(prefix: &Path) -> Result<()> {
    let library = |name: &str| prefix.join("lib").join(name);
    write(&prefix.join("include/openfhe/core/config_core.h"), CONFIG_CORE)?;
    fs::create_dir_all(library("OpenFHE")).map_err(|error| io_message("create", &library("OpenFHE"), &error))?;
    let version_file = library("OpenFHE").join("OpenFHEConfigVersion.cmake");
    write(&version_file, &format!("set(PACKAGE_VERSION \"{VERSION}\")\n"))?;
    for name in LIBRARIES {
        let file = format!("lib{name}.so");
        symlink(Path::new(&format!("{file}.1")), &library(&file))?;
    }
    symlink(Path::new("libgomp.so"), &library("libgomp.so.1"))
}

fn run(command: &mut Command, purpose: &str) -> Result<()> {
    let hint = format!(
        "hint: python3 with pip and a network are needed once; or install OpenFHE {VERSION} and set OPENFHE_DIR"
    );
    let output = command.output().map_err(|error| format!("cannot {purpose}: python3: {error}\n{hint}"))?;
    if output.status.success() {
        return Ok(());
    }
    let details = String::from_utf8_lossy(&output.stderr);
    Err(format!("cannot {purpose}: {}\n{details}{hint}", output.status))
}

fn check_version(prefix: &Path) -> Result<String> {
    let version = installed_version(prefix)
        .ok_or_else(|| format!("{} does not say its version in OpenFHEConfigVersion.cmake", prefix.display()))?;
    if version.starts_with(SUPPORTED) {
        return Ok(version);
    }
    Err(format!(
        "{} holds OpenFHE {version}, this crate needs {SUPPORTED}x\n\
         hint: set OPENFHE_DIR to an OpenFHE {VERSION} installation",
        prefix.display()
    ))
}

fn installed_version(prefix: &Path) -> Option<String> {
    let directory = library_directory(prefix)?;
    let places = ["OpenFHE", "cmake/OpenFHE"];
    let files = places.map(|place| directory.join(place).join("OpenFHEConfigVersion.cmake"));
    let text = files.iter().find_map(|file| fs::read_to_string(file).ok())?;
    let start = text.find("PACKAGE_VERSION \"")? + "PACKAGE_VERSION \"".len();
    text[start..].split('"').next().map(str::to_owned)
}

/// The shim handles residues as 64-bit words and runs OpenMP loops.
fn check_configuration(prefix: &Path) -> Result<()> {
    let path = prefix.join("include/openfhe/core/config_core.h");
    let text = fs::read_to_string(&path).map_err(|error| io_message("read", &path, &error))?;
    for setting in ["#define NATIVEINT 64", "#define WITH_OPENMP"] {
        if !text.lines().any(|line| line.trim() == setting) {
            return Err(format!("{} lacks `{setting}`; build OpenFHE with NATIVE_SIZE=64 and OpenMP", path.display()));
        }
    }
    Ok(())
}

/// Where the headers lie that the shim and dependents include.
fn include_directories(prefix: &Path) -> Vec<PathBuf> {
    let include = prefix.join("include/openfhe");
    let directories = ["", "core", "pke", "binfhe", "third-party/include"].map(|name| include.join(name));
    directories.into_iter().filter(|directory| directory.is_dir()).collect()
}

fn compile_shim(prefix: &Path, version: &str) -> Result<()> {
    let overrides = version == VERSION;
    let mut build = cxx_build::bridge("src/bridge.rs");
    for directory in include_directories(prefix) {
        build.flag("-isystem").flag(directory);
    }
    for room in ["api", "rns", "overrides"] {
        if room != "overrides" || overrides {
            build.files(sources(&Path::new("src/shim").join(room))?);
        }
    }
    if overrides {
        build.define("OPENFHE_SHIM_OVERRIDES", None);
    }
    build
        .include("src/shim")
        .std("c++17")
        .flag("-fopenmp")
        .flag("-fstack-protector-strong")
        .flag("-fstack-clash-protection")
        .define("_GLIBCXX_ASSERTIONS", None)
        .flag("-U_FORTIFY_SOURCE")
        .define("_FORTIFY_SOURCE", "2")
        .opt_level(2)
        .debug(false)
        .define("PARALLEL", None)
        .define("OPENFHE_SHIM_VERSION", format!("\"{version}\"").as_str())
        .compile("openfhe_shim");
    tell_dependents(prefix, overrides)
}

/// The C++ files of a folder, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| io_message("read", folder, &error))?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cc"));
    paths.sort();
    Ok(paths)
}

/// What the build script of a crate needs whose C++ code includes the shim's headers.
fn tell_dependents(prefix: &Path, overrides: bool) -> Result<()> {
    let shim = env::current_dir().map_err(|error| io_message("find", Path::new("."), &error))?.join("src/shim");
    let directories = env::join_paths(include_directories(prefix)).map_err(|error| error.to_string())?;
    println!("cargo:shim={}", shim.display());
    println!("cargo:includes={}", directories.to_string_lossy());
    println!("cargo:overrides={}", u8::from(overrides));
    Ok(())
}

/// Writes the names of the overrides as a version script.
fn write_overrides_map(out_dir: &Path) -> Result<()> {
    let header = Path::new("src/shim/overrides/symbols.h");
    let text = fs::read_to_string(header).map_err(|error| io_message("read", header, &error))?;
    let constants = text.split("constexpr char ").skip(1).filter_map(|rest| rest.split_once(';'));
    let names = constants.map(|(constant, _)| constant.split('"').skip(1).step_by(2).collect::<String>());
    // A constructor has two names, and callers of complete objects use the other one.
    let all = names.flat_map(|name| [name.replace("C2E", "C1E"), name]);
    let map = out_dir.join("overrides.map");
    write(&map, &format!("{{ global: {} }};\n", all.map(|name| name + "; ").collect::<String>()))?;
    println!("cargo:overrides_map={}", map.display());
    Ok(())
}

fn link(prefix: &Path, out_dir: &Path) -> Result<()> {
    let installed = library_directory(prefix).ok_or("the OpenFHE libraries have disappeared")?;
    let links = out_dir.join("lib");
    let _ = fs::remove_dir_all(&links);
    fs::create_dir_all(&links).map_err(|error| io_message("create", &links, &error))?;
    for name in LIBRARIES.into_iter().chain(["gomp"]) {
        let library = shared_library(&installed, name);
        if let Some(library) = &library {
            symlink(library, &links.join(format!("lib{name}.so")))?;
            symlink(library, &links.join(format!("lib{name}.so.1")))?;
            println!("cargo:rerun-if-changed={}", library.display());
        }
        if let Some(programs) = program_directory(out_dir) {
            place(library.as_deref(), &programs.join(format!("lib{name}.so.1")))?;
        }
        println!("cargo:rustc-link-lib=dylib={name}");
    }
    let rpath = format!("$ORIGIN:$ORIGIN/../lib:{}", installed.display());
    println!("cargo:rustc-link-search=native={}", links.display());
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{rpath}");
    println!("cargo:rpath={rpath}");
    Ok(())
}

/// `target/release` or its like, where cargo puts the programs.
fn program_directory(out_dir: &Path) -> Option<&Path> {
    let build = out_dir.ancestors().nth(2).filter(|path| path.ends_with("build"));
    build.and_then(Path::parent)
}

/// Puts a library beside the programs, in place of the one that an earlier build put there.
fn place(library: Option<&Path>, target: &Path) -> Result<()> {
    let _ = fs::remove_file(target);
    let Some(library) = library else { return Ok(()) };
    let library = fs::canonicalize(library).map_err(|error| io_message("find", library, &error))?;
    match fs::hard_link(&library, target) {
        Ok(()) => Ok(()),
        // Another file system, or one without hard links.
        Err(_) => fs::copy(&library, target).map(drop).map_err(|error| io_message("write", target, &error)),
    }
}

fn symlink(target: &Path, link: &Path) -> Result<()> {
    std::os::unix::fs::symlink(target, link).map_err(|error| io_message("create", link, &error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| io_message("write", path, &error))
}

fn io_message(verb: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}
