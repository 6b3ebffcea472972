//! Which code does the arithmetic on limbs: OpenFHE's own or the project's kernels.
//!
//! The overrides in the shim ask [`in_use`] at every call and hand over to OpenFHE's code where it says no. Both give
//! the same residues, so the choice may change at any time between two operations.
//!
//! Whether OpenFHE calls the overrides at all depends on how the program was linked and on what was loaded before it. A
//! canary finds out, before kernels are first used: it has OpenFHE do one small operation for each file of overrides and
//! sees whether ours run. Where one does not, no kernels are used.

use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

use paf_kernels::{Embedding, Kernels, Modulus, Roots, Variant};

use crate::bridge::ffi::{self, DigitProduct, Limb, LimbMut, LimbProduct};

/// The variable that forces a choice: `openfhe`, `portable`, `avx2` or `avx512`.
pub const VARIABLE: &str = "PAF_KERNELS";

/// The version of OpenFHE whose functions the overrides replace.
const CHECKED_VERSION: &str = "1.4.2";

/// What does the arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// OpenFHE's own functions.
    OpenFhe,
    /// The project's kernels.
    Kernels(Variant),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::OpenFhe => f.write_str("openfhe"),
            Code::Kernels(variant) => variant.fmt(f),
        }
    }
}

impl FromStr for Code {
    type Err = Unavailable;

    fn from_str(text: &str) -> Result<Self, Unavailable> {
        if text == Code::OpenFhe.to_string() {
            return Ok(Code::OpenFhe);
        }
        text.parse().map(Code::Kernels).map_err(|_| Unavailable::Unknown(text.to_owned()))
    }
}

/// Why some code cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// No code has this name.
    Unknown(String),
    /// The processor lacks instructions.
    Instructions(Variant),
    /// The overrides are not compiled in: they belong to another version of OpenFHE.
    Version(String),
    /// OpenFHE does not call the overrides of these files.
    NotCalled(String),
    /// The system gives no threads.
    Threads(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unavailable::Unknown(text) => {
                write!(f, "`{text}` names no kernels; known are openfhe, portable, avx2 and avx512")
            }
            Unavailable::Instructions(variant) => write!(f, "this processor lacks the instructions of `{variant}`"),
            Unavailable::Version(version) => {
                write!(f, "the kernels were checked with OpenFHE {CHECKED_VERSION}, and this is {version}")
            }
            Unavailable::Threads(problem) => write!(f, "threads cannot be started: {problem}"),
            Unavailable::NotCalled(files) => write!(
                f,
                "OpenFHE's libraries do not call the kernels ({files}); were they loaded before this program's code, or \
                 linked without the list of its overrides?"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

/// The code in use and the reason for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeInUse {
    /// The code in use.
    pub code: Code,
    /// Why it is this one, as part of a sentence.
    pub reason: String,
    /// Why no kernels are used, where nobody asked for OpenFHE's own code.
    pub refused: Option<Unavailable>,
}

/// The codes that this process can use, slowest first.
pub fn available() -> Vec<Code> {
    let kernels = Variant::available().map(Code::Kernels).filter(|_| overrides().is_ok());
    std::iter::once(Code::OpenFhe).chain(kernels).collect()
}

/// Uses some code from now on.
///
/// # Errors
/// If this process cannot use it.
pub fn select(code: Code) -> Result<(), Unavailable> {
    check(code)?;
    STATE.store(encode(code), Ordering::Relaxed);
    // Which loops get the threads depends on the code.
    ffi::set_threads(ffi::threads()).map_err(|problem| Unavailable::Threads(problem.to_string()))
}

/// What [`VARIABLE`] asks for, or else the fastest code that this process can use. Call it early: without it the first
/// operation does the same and takes OpenFHE's code where the variable cannot be followed.
///
/// # Errors
/// If the variable names code that this process cannot use.
pub fn select_from_environment() -> Result<CodeInUse, Unavailable> {
    let selection = wanted()?;
    select(selection.code)?;
    Ok(selection)
}

fn wanted() -> Result<CodeInUse, Unavailable> {
    let code = match env::var(VARIABLE) {
        Ok(text) => text.parse()?,
        Err(env::VarError::NotPresent) => return Ok(fastest()),
        Err(env::VarError::NotUnicode(text)) => return Err(Unavailable::Unknown(text.to_string_lossy().into_owned())),
    };
    check(code)?;
    Ok(CodeInUse { code, reason: format!("{VARIABLE} asks for it"), refused: None })
}

fn check(code: Code) -> Result<(), Unavailable> {
    let Code::Kernels(variant) = code else { return Ok(()) };
    overrides()?;
    Kernels::new(variant).map(drop).ok_or(Unavailable::Instructions(variant))
}

/// The code in use.
pub fn selected() -> Code {
    decode(STATE.load(Ordering::Relaxed)).unwrap_or_else(|| {
        let code = wanted().map_or(Code::OpenFhe, |selection| selection.code);
        STATE.store(encode(code), Ordering::Relaxed);
        code
    })
}

fn fastest() -> CodeInUse {
    match overrides() {
        Ok(()) => {
            let code = Code::Kernels(Kernels::best().variant());
            CodeInUse { code, reason: "the fastest that this processor has".to_owned(), refused: None }
        }
        Err(error) => CodeInUse { code: Code::OpenFhe, reason: error.to_string(), refused: Some(error) },
    }
}

fn overrides() -> Result<(), Unavailable> {
    static FOUND: OnceLock<Result<(), Unavailable>> = OnceLock::new();
    FOUND.get_or_init(find_overrides).clone()
}

/// While the canary runs OpenFHE's code does, so that the overrides do not ask for the selection that waits for it.
fn find_overrides() -> Result<(), Unavailable> {
    let version = ffi::openfhe_version().map_err(|problem| Unavailable::NotCalled(problem.to_string()))?;
    if version != CHECKED_VERSION {
        return Err(Unavailable::Version(version));
    }
    let before = STATE.swap(encode(Code::OpenFhe), Ordering::Relaxed);
    let deaf = ffi::deaf_overrides().unwrap_or_else(|problem| problem.to_string());
    let _ = STATE.compare_exchange(encode(Code::OpenFhe), before, Ordering::Relaxed, Ordering::Relaxed);
    if deaf.is_empty() { Ok(()) } else { Err(Unavailable::NotCalled(deaf)) }
}

/// The selected code, 0 before the first use.
static STATE: AtomicU8 = AtomicU8::new(0);

const CODES: [Code; 4] =
    [Code::OpenFhe, Code::Kernels(Variant::Portable), Code::Kernels(Variant::Avx2), Code::Kernels(Variant::Avx512)];

fn encode(code: Code) -> u8 {
    CODES.iter().position(|known| *known == code).map_or(0, |index| index as u8 + 1)
}

fn decode(state: u8) -> Option<Code> {
    CODES.get(usize::from(state).checked_sub(1)?).copied()
}

/// The kernels to run: for what the shim computes beside OpenFHE's code, the portable ones.
fn kernels() -> Kernels {
    match selected() {
        Code::Kernels(variant) => Kernels::new(variant),
        Code::OpenFhe => Kernels::new(Variant::Portable),
    }
    .unwrap_or_else(Kernels::best)
}

pub(crate) fn in_use() -> bool {
    matches!(selected(), Code::Kernels(_))
}

pub(crate) fn ntt_forward(values: &mut [u64], modulus: u64, roots: &[u64], shoup: &[u64]) {
    kernels().ntt_forward(values, Modulus::new(modulus), Roots { roots, shoup });
}

pub(crate) fn ntt_inverse(
    values: &mut [u64],
    modulus: u64,
    roots: &[u64],
    shoup: &[u64],
    n_inverse: u64,
    n_inverse_shoup: u64,
) {
    kernels().ntt_inverse(values, Modulus::new(modulus), Roots { roots, shoup }, n_inverse, n_inverse_shoup);
}

pub(crate) fn add(sum: &mut [u64], other: &[u64], modulus: u64) {
    kernels().add_assign(sum, other, Modulus::new(modulus));
}

pub(crate) fn subtract(difference: &mut [u64], other: &[u64], modulus: u64) {
    kernels().sub_assign(difference, other, Modulus::new(modulus));
}

pub(crate) fn multiply(product: &mut [u64], other: &[u64], modulus: u64) {
    kernels().mul_assign(product, other, Modulus::new(modulus));
}

pub(crate) fn multiply_scalar(product: &mut [u64], factor: u64, modulus: u64) {
    kernels().mul_scalar_assign(product, factor, Modulus::new(modulus));
}

pub(crate) fn add_scalar(sum: &mut [u64], addend: u64, modulus: u64) {
    kernels().add_scalar_assign(sum, addend, Modulus::new(modulus));
}

pub(crate) fn subtract_scalar(difference: &mut [u64], subtrahend: u64, modulus: u64) {
    kernels().sub_scalar_assign(difference, subtrahend, Modulus::new(modulus));
}

pub(crate) fn multiply_accumulate(sum: &mut [u64], left: &[u64], right: &[u64], modulus: u64) {
    kernels().multiply_accumulate(sum, left, right, Modulus::new(modulus));
}

pub(crate) fn sum_of_products(sum: &mut [u64], terms: &[LimbProduct<'_>], modulus: u64) {
    let terms: Vec<_> = terms.iter().map(|term| (term.left, term.right)).collect();
    kernels().sum_of_products(sum, &terms, Modulus::new(modulus));
}

pub(crate) fn sums_of_products(first: &mut [u64], second: &mut [u64], terms: &[DigitProduct<'_>], modulus: u64) {
    let terms: Vec<_> = terms.iter().map(|term| (term.digit, term.first, term.second)).collect();
    kernels().sum_of_products_pair(first, second, &terms, Modulus::new(modulus));
}

pub(crate) fn sums_of_repeated_products(
    first: &mut [u64],
    second: &mut [u64],
    terms: &[DigitProduct<'_>],
    log_repeats: usize,
    modulus: u64,
) {
    let terms: Vec<_> = terms.iter().map(|term| (term.digit, term.first, term.second)).collect();
    kernels().sum_of_repeated_products_pair(first, second, &terms, log_repeats as u32, Modulus::new(modulus));
}

/// The tables by slots, each made once.
static EMBEDDINGS: [OnceLock<Embedding>; usize::BITS as usize] = [const { OnceLock::new() }; usize::BITS as usize];

/// The power of two by which the results are to be multiplied, or −1 if a coefficient is not finite.
pub(crate) fn real_coefficients(
    first: &[f64],
    second: &[f64],
    scale: f64,
    first_result: &mut [i64],
    second_result: &mut [i64],
) -> i32 {
    let slots = first_result.len();
    let embedding = EMBEDDINGS[slots.ilog2() as usize].get_or_init(|| Embedding::new(slots));
    let shift = kernels().real_coefficients(embedding, [first, second], scale, [first_result, second_result]);
    shift.map_or(-1, |shift| shift as i32)
}

/// Residues in evaluation form of a polynomial whose second half of coefficients is that of real slots.
pub(crate) fn encode_limb(
    limb: &mut [u64],
    coefficients: &[i64],
    power_of_two: u32,
    modulus: u64,
    roots: &[u64],
    shoup: &[u64],
) {
    let (kernels, q) = (kernels(), Modulus::new(modulus));
    let (low, high) = limb.split_at_mut(coefficients.len());
    kernels.reduce_signed(low, coefficients, q);
    high[0] = 0;
    high[1..].iter_mut().zip(low[1..].iter().rev()).for_each(|(high, &low)| *high = low);
    kernels.negate(high, q);
    if power_of_two > 0 {
        let factor = (0..power_of_two).fold(1, |power, _| power * 2 % modulus);
        kernels.mul_scalar_assign(limb, factor, q);
    }
    kernels.ntt_forward(limb, q, Roots { roots, shoup });
}

pub(crate) fn permute(result: &mut [u64], values: &[u64], indices: &[u32]) {
    kernels().permute(result, values, indices);
}

pub(crate) fn switch_modulus_and_scale(result: &mut [u64], values: &[u64], factor: u64, from: u64, to: u64) {
    kernels().switch_modulus_mul_scalar(result, values, factor, Modulus::new(from), Modulus::new(to));
}

pub(crate) fn subtract_and_scale(values: &mut [u64], subtrahend: &[u64], factor: u64, modulus: u64) {
    kernels().sub_mul_scalar_assign(values, subtrahend, factor, Modulus::new(modulus));
}

pub(crate) fn scale_and_add(values: &mut [u64], factor: u64, addend: &[u64], modulus: u64) {
    kernels().mul_scalar_add_assign(values, factor, addend, Modulus::new(modulus));
}

pub(crate) fn convert_basis(
    results: &mut [LimbMut<'_>],
    inputs: &[Limb<'_>],
    sources: &[u64],
    targets: &[u64],
    hat_inverse: &[u64],
    hat: &[Limb<'_>],
) {
    let mut results: Vec<&mut [u64]> = results.iter_mut().map(|limb| &mut *limb.words).collect();
    let inputs: Vec<&[u64]> = inputs.iter().map(|limb| limb.words).collect();
    let hat: Vec<&[u64]> = hat.iter().map(|limb| limb.words).collect();
    let moduli = |values: &[u64]| -> Vec<Modulus> { values.iter().copied().map(Modulus::new).collect() };
    kernels().base_convert(&mut results, &inputs, &moduli(sources), &moduli(targets), hat_inverse, &hat);
}
