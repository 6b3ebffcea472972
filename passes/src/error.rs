//! Why a pass refuses a network; what is wrong with a PAF is said in `paf`.

use paf_ir::IrError;

/// Why a pass could not transform a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PassError {
    /// A pass built an invalid IR: a bug of ours, not of the user's model.
    #[error(transparent)]
    Ir(#[from] IrError),
    /// A PAF name is unknown or its coefficients are unusable.
    #[error(transparent)]
    Paf(#[from] crate::paf::NoSuchPaf),
    /// A PAF or a scale is given to a node that is no ReLU or MaxPool.
    #[error("there is no ReLU or MaxPool named `{node}`; the model has: {}", known.join(", "))]
    NoSuchNode {
        /// The name given.
        node: String,
        /// Names that would work.
        known: Vec<String>,
    },
    /// Calibration data do not fit the model.
    #[error("calibration data: {0}")]
    Calibration(String),
    /// A node sees NaN or infinity on the calibration data.
    #[error("node `{node}` sees a value that is not finite on the calibration data")]
    NotFinite {
        /// Name of the node.
        node: String,
    },
    /// The PAF leaves its range on the calibration data: inputs beyond the scale of a node.
    #[error(
        "node `{node}`: calibration inputs reach {reached:.4}, beyond its scale {scale:.4}; a larger margin would hold \
         them, or a PAF with more room outside its range"
    )]
    OutOfRange {
        /// Name of the node.
        node: String,
        /// Largest magnitude seen.
        reached: f64,
        /// The node's scale.
        scale: f64,
    },
    /// A scale that was given for a node cannot be one.
    #[error(
        "node `{node}`: a static scale is one positive number, or one for each of its {channels} channels; {given} given"
    )]
    BadScale {
        /// Name of the node.
        node: String,
        /// How many numbers were given.
        given: usize,
        /// Channels of the node.
        channels: usize,
    },
    /// A function meets values at which it is not defined.
    #[error(
        "node `{node}`: {function} is not defined on the range [{low:.4}, {high:.4}] that reaches it; calibration data, \
         or a range of the inputs, that keep it on one side of zero would help"
    )]
    OutsideDomain {
        /// Name of the node.
        node: String,
        /// Name of the function.
        function: &'static str,
        /// Smallest value seen.
        low: f64,
        /// Largest value seen.
        high: f64,
    },
    /// No polynomial of a bearable degree is close enough to a function.
    #[error(
        "node `{node}`: no polynomial up to degree {degree} is within {wanted:e} of {function} on [{low:.4}, {high:.4}]; \
         the best is within {reached:.1e} of its largest value; calibrate, or allow a larger error"
    )]
    TooSteep {
        /// Name of the node.
        node: String,
        /// Name of the function.
        function: &'static str,
        /// Lower end of the range.
        low: f64,
        /// Upper end of the range.
        high: f64,
        /// The error asked for, as a part of the function's largest value.
        wanted: f64,
        /// The least error reached.
        reached: f64,
        /// Highest degree tried.
        degree: usize,
    },
    /// No guard factor makes the PAF stay in its range through the pool's rounds.
    #[error(
        "node `{node}`: {paf} is too coarse for a window of {elements} elements; choose a PAF with a smaller error"
    )]
    PoolTooLarge {
        /// Name of the MaxPool.
        node: String,
        /// Name of the PAF.
        paf: String,
        /// Elements of a window.
        elements: usize,
    },
    /// A choice of PAFs for a network without a ReLU or MaxPool, or with a PAF given for each.
    #[error("there is no ReLU or MaxPool left to choose a PAF for")]
    NothingToChoose,
    /// Fewer levels are allowed than the network needs with the shallowest PAFs.
    #[error("the network needs at least {least} levels, whatever its PAFs, and {wanted} are allowed")]
    TooFewLevels {
        /// The levels allowed.
        wanted: u32,
        /// The least that works.
        least: u32,
    },
    /// A smaller error is wanted than the most accurate PAFs reach.
    #[error("no choice of PAFs keeps the error within {wanted:e}; the least is {least:.2e} with {levels} levels")]
    ErrorTooSmall {
        /// The error allowed.
        wanted: f64,
        /// The least error measured.
        least: f64,
        /// Levels of the network that has it.
        levels: u32,
    },
    /// The circuit needs more levels than any secure parameter set without bootstrapping has.
    #[error(
        "the circuit needs {needed} levels and at most {available} fit without bootstrapping at 128-bit security{}",
        hint(fitting, deepest)
    )]
    TooDeep {
        /// Levels of the circuit.
        needed: u32,
        /// Levels that fit the largest ring dimension.
        available: u32,
        /// A PAF with which the circuit would fit, and its levels.
        fitting: Option<(String, u32)>,
        /// What the deepest path of the network takes levels for, and how often.
        deepest: Vec<(&'static str, usize)>,
    },
    /// The circuit would fit without bootstraps, but not with those that are asked for.
    #[error(
        "{levels} levels between bootstraps are too few: somewhere the circuit takes more of them in sequence with no value \
         on the way that a bootstrap can take, one within [-1, 1] on the samples"
    )]
    NotRefreshed {
        /// Levels that each bootstrap was to give back.
        levels: u32,
    },
    /// No secure parameters leave the precision that is asked for.
    #[error("a precision of {wanted} bits cannot be kept{}", best.map_or(String::new(), |best| format!("; {best} bits can")))]
    TooImprecise {
        /// Bits asked for.
        wanted: f64,
        /// The most that can be kept, if some can.
        best: Option<f64>,
    },
    /// No parameters fit the memory that the user allows.
    #[error("the circuit needs at least {needed} bytes ({}) of memory and {limit} ({}) are allowed", size(*.needed), size(*.limit))]
    TooBig {
        /// Least predicted peak.
        needed: u64,
        /// The limit given.
        limit: u64,
    },
    /// A tensor needs more slots than the largest ring dimension has ciphertexts for.
    #[error(
        "node `{node}`: {elements} elements do not fit {slots} slots a ciphertext in at most {limit} ciphertexts, which hold \
         {} of them; a smaller input or fewer channels would fit",
        slots * limit
    )]
    TooLarge {
        /// Name of the node.
        node: String,
        /// Elements of its result.
        elements: usize,
        /// Slots of a ciphertext.
        slots: usize,
        /// Most ciphertexts a tensor may have.
        limit: usize,
    },
}

fn hint(fitting: &Option<(String, u32)>, deepest: &[(&'static str, usize)]) -> String {
    if let Some((paf, levels)) = fitting {
        return format!("; with the PAF {paf} it needs {levels} and fits");
    }
    let has_pafs = deepest.iter().any(|(what, _)| matches!(*what, "ReLU" | "MaxPool"));
    let pafs =
        if has_pafs { "no PAF makes it fit" } else { "it has no ReLU or MaxPool that a shallower PAF would help" };
    let list: Vec<String> = deepest.iter().map(|(what, count)| format!("{count} {what}")).collect();
    match &list[..] {
        [] => String::new(),
        [one] => format!("; {pafs}: its deepest path has {one}"),
        [others @ .., last] => format!("; {pafs}: its deepest path has {} and {last}", others.join(", ")),
    }
}

/// Bytes for people, rounded up.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes < 1 << 30 { (1u64 << 20, "MiB") } else { (1 << 30, "GiB") };
    format!("{:.1} {name}", (10.0 * bytes as f64 / unit as f64).ceil() / 10.0)
}

impl PassError {
    /// Whether a circuit was refused for want of parameters: other PAFs, more memory or less precision may do.
    pub fn is_of_parameters(&self) -> bool {
        use PassError::{NotRefreshed, TooBig, TooDeep, TooImprecise};
        matches!(self, TooDeep { .. } | NotRefreshed { .. } | TooImprecise { .. } | TooBig { .. })
    }
}
