//! Errors in the words of the command line: the library speaks of things, this adds the flags that would help.

use paf_adapt::RecoveryError;
use paf_compiler::error::{CompileError, OptionsError};
use paf_files::Bytes;
use paf_import::ImportError;
use paf_passes::PassError;

/// One line for the user.
pub(crate) fn message(error: &CompileError) -> String {
    match error {
        CompileError::Options(error) => of_options(error),
        CompileError::Import(error @ ImportError::DynamicAxis { .. }) => {
            format!("{error}: --calibration X.npy, --size NAME=SIZE")
        }
        CompileError::Recovery(error @ RecoveryError::NoTraining { .. }) => format!(
            "{error} in this program; paf-recover has it, and so has paf-compile built with its feature `train`"
        ),
        CompileError::Pass(error) | CompileError::Recovery(RecoveryError::Pass(error)) => of_pass(error),
        CompileError::Memory { .. } => format!("{error} (--compile-memory)"),
        other => other.to_string(),
    }
}

fn of_options(error: &OptionsError) -> String {
    match error {
        OptionsError::UnknownPaf(error) => format!("--paf: {error}"),
        OptionsError::ChoiceForOneNode { node } => {
            format!("--paf {node}=auto: auto is for all nodes; give --paf auto, and NODE=NAME for exceptions")
        }
        OptionsError::ChoiceWithoutGoal => "--paf auto needs --max-error E or --max-levels L".into(),
        OptionsError::TwoGoals => "give either --max-error or --max-levels".into(),
        OptionsError::GoalWithoutChoice => {
            "--max-error and --max-levels say what --paf auto is to aim for; give that as well".into()
        }
        OptionsError::MaxError(error) => format!("--max-error {error}: a number above 0 and at most 1 is needed"),
        OptionsError::ChoiceWithoutSamples => "--paf auto measures errors on samples; give --calibration X.npy".into(),
        OptionsError::RecoveryWithoutData => {
            "--recover needs data: `data` in its configuration, or --calibration".into()
        }
    }
}

fn of_pass(error: &PassError) -> String {
    match error {
        PassError::OutOfRange { node, reached, scale } => format!(
            "node `{node}`: calibration inputs reach {reached:.4}, beyond its scale {scale:.4}; raise --margin or choose a \
             PAF with more room outside its range"
        ),
        PassError::OutsideDomain { node, function, low, high } => format!(
            "node `{node}`: {function} is not defined on the range [{low:.4}, {high:.4}] that reaches it; calibration data, \
             or an --input-range, that keep it on one side of zero would help"
        ),
        PassError::TooSteep { .. } => format!("{error}: --calibration, --function-error"),
        PassError::TooFewLevels { wanted, least } => {
            format!("the network needs at least {least} levels, whatever its PAFs, and --max-levels allows {wanted}")
        }
        PassError::ErrorTooSmall { .. } => format!("{error}, which --max-error would have to allow"),
        PassError::TooDeep { needed, available, fitting: Some((paf, levels)), .. } => format!(
            "the circuit needs {needed} levels and at most {available} fit without bootstrapping at 128-bit security; with \
             --paf {paf} it needs {levels} and fits"
        ),
        PassError::TooImprecise { wanted, best: Some(best) } => {
            format!(
                "--precision {wanted}: no parameters keep that many bits for this network; --precision {best} can be kept"
            )
        }
        PassError::TooBig { needed, limit } => format!(
            "the circuit needs at least {needed} bytes ({}) of memory and --memory allows {limit} ({})",
            Bytes(*needed),
            Bytes(*limit)
        ),
        other => other.to_string(),
    }
}
