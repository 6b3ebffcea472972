//! Loads the example `embedded` into this process, as an interpreter loads a module.

#![allow(unsafe_code, reason = "it loads a shared library and calls its C functions")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::PathBuf;

/// All symbols now, visible to this library alone: what `dlopen` of Python's `import` asks for.
const RTLD_NOW: c_int = 2;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

/// The library, which stays loaded.
pub(crate) struct Embedded(*mut c_void);

impl Embedded {
    pub(crate) fn load() -> Self {
        let test = std::env::current_exe().expect("this program has a path");
        let path: PathBuf = test.ancestors().nth(2).expect("target/release").join("examples/libembedded.so");
        let file = CString::new(path.to_string_lossy().as_bytes()).expect("a path without zeros");
        // SAFETY: the text ends with a zero; the library's constructors are those of OpenFHE and of Rust's standard library.
        let library = unsafe { dlopen(file.as_ptr(), RTLD_NOW) };
        assert!(!library.is_null(), "{}; `cargo build --release --examples` builds it", last_error());
        Embedded(library)
    }

    /// What does the arithmetic, and why.
    pub(crate) fn selection(&self) -> String {
        self.text(c"selection")
    }

    /// Why the library makes no key; empty where it does.
    pub(crate) fn refusal_of_a_key(&self) -> String {
        self.text(c"refusal_of_a_key")
    }

    fn text(&self, name: &CStr) -> String {
        let function: extern "C" fn() -> *const c_char = unsafe {
            // SAFETY: the functions that tests name have this signature in the example.
            std::mem::transmute(self.symbol(name))
        };
        // SAFETY: the function returns a text that ends with a zero and is never freed.
        unsafe { CStr::from_ptr(function()) }.to_string_lossy().into_owned()
    }

    /// Limbs of a key that was asked for with one, in a context of three.
    pub(crate) fn limbs_of_a_key_for_one(&self) -> u32 {
        let function: extern "C" fn() -> u32 = unsafe {
            // SAFETY: the function has this signature in the example.
            std::mem::transmute(self.symbol(c"limbs_of_a_key_for_one"))
        };
        function()
    }

    fn symbol(&self, name: &CStr) -> *mut c_void {
        // SAFETY: the library is loaded and the name ends with a zero.
        let address = unsafe { dlsym(self.0, name.as_ptr()) };
        assert!(!address.is_null(), "{}", last_error());
        address
    }
}

fn last_error() -> String {
    // SAFETY: the text that it returns, if any, is valid until the next call of this thread.
    let text = unsafe { dlerror() };
    // SAFETY: as above.
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}
