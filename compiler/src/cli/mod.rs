//! Command line of `paf-compile`.

mod messages;
mod progress;

use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use paf_adapt::events::Event;
use paf_adapt::progress::ProgressText;
use paf_circuit::{read_machine_costs, write_circuit};
use paf_compiler::error::CompileError;
use paf_compiler::options::{
    Bootstraps, Calibration, CompileOptions, DEFAULT_FIDELITY, Margin, ModelInput, PafChoice, PipelineStep, Recovery,
    Reduction,
};
use paf_compiler::pipeline::{Compilation, Compiled};
use paf_compiler::report;
use paf_files::Bytes;
use paf_files::memory::available_bytes;
use paf_import::TrailingFunctions;
use paf_passes::lower::Lowering;
use paf_scheme::EngineProfile;

pub(crate) use messages::message;
use progress::StepText;

/// Compiles a trained ONNX network with ReLU and MaxPool to a CKKS circuit that runs on encrypted inputs
#[derive(Debug, Parser)]
#[command(name = "paf-compile", version)]
pub(crate) struct Arguments {
    /// The ONNX file
    pub(crate) model: PathBuf,
    /// Where to write the circuit
    #[arg(short, long, value_name = "CIRCUIT.bin", required_unless_present_any = ["emit", "stop_after"])]
    pub(crate) output: Option<PathBuf>,
    /// Typical inputs, [k, sample shape...], as the model expects them; a few hundred are enough. Once for each input
    /// of the model, in order
    #[arg(long, value_name = "X.npy")]
    pub(crate) calibration: Vec<PathBuf>,
    /// Size of an axis of the inputs that has a name in the place of a size; may be repeated [default: what the calibration
    /// data have]
    #[arg(long = "size", value_name = "NAME=SIZE", value_parser = parse_size)]
    pub(crate) sizes: Vec<(String, usize)>,
    /// The outputs to compute, of those that the model has [default: all of them]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub(crate) outputs: Vec<String>,
    /// Range of the inputs where no calibration is given [default: what the PAF file or the recovery saw, or -1,1]
    #[arg(long, value_name = "LOW,HIGH", value_parser = parse_range, allow_hyphen_values = true)]
    pub(crate) input_range: Option<(f64, f64)>,
    /// PAF for every ReLU and MaxPool, or for one node; may be repeated. `auto` chooses one for each node, as
    /// --max-error or --max-levels asks [default: chosen and fitted for --fidelity, with at least 50 calibration samples;
    /// otherwise alpha7]
    #[arg(long = "paf", value_name = "NAME | NODE=NAME | auto")]
    pub(crate) pafs: Vec<PafChoice>,
    /// Without --paf: the share of inputs that the circuit is to predict as the original network does. The cheapest PAFs for
    /// that are fitted to one part of the calibration samples and judged by the other
    #[arg(long, value_name = "F", default_value_t = DEFAULT_FIDELITY, value_parser = parse_fidelity,
        conflicts_with_all = ["pafs", "paf_file", "recover", "recover_cmd", "labels"])]
    pub(crate) fidelity: f64,
    /// Classes of the calibration samples, [k]: PAFs are chosen for their accuracy instead, within half a point and its
    /// standard error, which takes fewer levels than to keep every prediction
    #[arg(long, value_name = "Y.npy", requires = "calibration",
        conflicts_with_all = ["pafs", "paf_file", "recover", "recover_cmd"])]
    pub(crate) labels: Option<PathBuf>,
    /// PAFs and static scales of nodes, as paf-recover writes them
    #[arg(long, value_name = "P.json", conflicts_with_all = ["pafs", "recover", "recover_cmd"])]
    pub(crate) paf_file: Option<PathBuf>,
    /// Recover accuracy first, as this configuration says; it names the PAFs and, if --calibration is not all there is,
    /// the training data
    #[arg(long, value_name = "CONFIG.toml", conflicts_with_all = ["pafs", "recover_cmd"])]
    pub(crate) recover: Option<PathBuf>,
    /// Recover accuracy first by a program. It gets a folder with model.onnx and request.json as its last argument, and
    /// leaves recovered.onnx and model.paf.json in it
    #[arg(long, value_name = "PROGRAM ARGS")]
    pub(crate) recover_cmd: Option<String>,
    /// With --paf auto: the fewest levels whose error is at most E. The error is how far results are from the original
    /// network's: the root of the mean square over all calibration samples, in parts of the largest result. 0.03 keeps
    /// nearly all predictions of a classifier
    #[arg(long, value_name = "E", conflicts_with = "max_levels")]
    pub(crate) max_error: Option<f64>,
    /// With --paf auto: the least error with at most L levels in the circuit, counted along its deepest path, linear
    /// layers included
    #[arg(long, value_name = "L")]
    pub(crate) max_levels: Option<u32>,
    /// Static scale of a PAF: this times the largest value seen. `auto` extrapolates for each node from the samples what
    /// other inputs reach; for coarse composites, up to alpha7, it is 1.1
    #[arg(long, value_name = "auto | M", default_value = "auto", value_parser = parse_margin)]
    pub(crate) margin: Margin,
    /// Largest error of the polynomial of Sigmoid, Gelu and the like, as a part of its largest value [default: 0.001, or a
    /// tenth of it again and again until predictions on at least 50 calibration samples are those of the most precise functions,
    /// to the share --fidelity]
    #[arg(long, value_name = "E", value_parser = parse_function_error)]
    pub(crate) function_error: Option<f64>,
    /// Who computes functions behind the last layer, such as Sigmoid: the client exactly, from the value before it, or the
    /// circuit by a polynomial, so that the client sees the outputs only. Softmax, ArgMax and comparisons are the client's
    #[arg(long, value_name = "client | circuit", default_value = "client", value_parser = parse_trailing)]
    pub(crate) trailing: TrailingFunctions,
    /// How a MaxPool compares the values of its windows: rows, then columns, which takes the fewest comparisons, or all
    /// of them in one balanced tree, which is mostly a little more accurate and for 5×5 windows one comparison less deep
    #[arg(long, value_name = "separable | tree", default_value = "separable", value_parser = parse_reduction)]
    pub(crate) max_pool: Reduction,
    /// Bits by which the encrypted result must agree with the clear circuit: kept, with two iterations of each bootstrap if it
    /// takes that, or refused. Without it, circuits without bootstraps have 13 and more, others what the report says
    #[arg(long, value_name = "BITS", value_parser = parse_precision)]
    pub(crate) precision: Option<f64>,
    /// Most memory a run may use, such as 16G
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<Bytes>,
    /// Most memory that the compilation itself may take, such as 8G; it is estimated first [default: what the machine has free]
    #[arg(long, value_name = "SIZE")]
    pub(crate) compile_memory: Option<Bytes>,
    /// Where bootstraps may be: `auto` where levels run out, `never`, or a number of levels that each gives back
    #[arg(long, value_name = "auto | never | LEVELS", default_value = "auto", value_parser = parse_bootstraps)]
    pub(crate) bootstraps: Bootstraps,
    /// How often a bootstrap refreshes a value: 2 gives about twice the bits, in twice the time and one level more [default: 1,
    /// or 2 where --precision takes that]
    #[arg(long, value_name = "1 | 2", value_parser = clap::value_parser!(u32).range(1..=2))]
    pub(crate) bootstrap_iterations: Option<u32>,
    /// Predict seconds for the machine of this file, and choose the plan that is fastest there. `paf-run
    /// calibrate-machine -o FILE` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) machine_costs: Option<PathBuf>,
    /// Print an IR on stdout; without --output nothing is written
    #[arg(long)]
    pub(crate) emit: Option<Ir>,
    /// Stop after a step of the pipeline
    #[arg(long, value_name = "STEP")]
    pub(crate) stop_after: Option<PipelineStep>,
    /// Print on stderr what --paf auto chose, how often each rewrite rule applied, and how many levels more the circuit
    /// takes without it
    #[arg(long)]
    pub(crate) explain: bool,
    /// Leave nothing of the network in results but the outputs, as `paf-run eval --sanitize` asks for: a level where the last
    /// operation is no linear map
    #[arg(long)]
    pub(crate) sanitize: bool,
    /// Small parameters for tests: they protect nothing
    #[arg(long)]
    pub(crate) insecure_test_parameters: bool,
    /// Print facts as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// An IR that `--emit` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ir {
    /// The optimized tensor graph
    Tensor,
    /// The program on slot vectors
    Slots,
    /// The program on ciphertexts
    Ckks,
}

impl Ir {
    /// The step that has made it.
    fn step(self) -> PipelineStep {
        match self {
            Ir::Tensor => PipelineStep::Optimize,
            Ir::Slots => PipelineStep::Pack,
            Ir::Ckks => PipelineStep::Emit,
        }
    }
}

fn parse_size(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.rsplit_once('=').ok_or("expected NAME=SIZE")?;
    match size.parse() {
        Ok(size) if size > 0 && !name.is_empty() => Ok((name.to_owned(), size)),
        _ => Err("expected NAME=SIZE with a size of at least 1".into()),
    }
}

fn parse_range(text: &str) -> Result<(f64, f64), String> {
    let (low, high) = text.split_once(',').ok_or("expected LOW,HIGH")?;
    let number = |part: &str| part.trim().parse::<f64>().map_err(|_| format!("`{part}` is no number"));
    let (low, high) = (number(low)?, number(high)?);
    if low < high && low.is_finite() && high.is_finite() {
        Ok((low, high))
    } else {
        Err("LOW must be below HIGH".into())
    }
}

fn parse_margin(text: &str) -> Result<Margin, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Margin::Automatic),
        Ok(margin) if (1.0..=100.0).contains(&margin) => Ok(Margin::Fixed(margin)),
        _ => Err("expected auto, or a number from 1 to 100".into()),
    }
}

fn parse_fidelity(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "expected a number")?;
    if (0.5..1.0).contains(&share) { Ok(share) } else { Err("expected a share from 0.5 to below 1".into()) }
}

fn parse_reduction(text: &str) -> Result<Reduction, String> {
    match text {
        "separable" => Ok(Reduction::Separable),
        "tree" => Ok(Reduction::Tree),
        _ => Err("expected separable or tree".into()),
    }
}

fn parse_function_error(text: &str) -> Result<f64, String> {
    let error: f64 = text.parse().map_err(|_| "expected a number")?;
    if (1e-9..=0.5).contains(&error) { Ok(error) } else { Err("expected a number from 1e-9 to 0.5".into()) }
}

fn parse_trailing(text: &str) -> Result<TrailingFunctions, String> {
    match text {
        "client" => Ok(TrailingFunctions::Client),
        "circuit" => Ok(TrailingFunctions::Circuit),
        _ => Err("expected client or circuit".into()),
    }
}

fn parse_precision(text: &str) -> Result<f64, String> {
    let bits: f64 = text.parse().map_err(|_| "expected a number")?;
    if (1.0..=30.0).contains(&bits) { Ok(bits) } else { Err("expected a number from 1 to 30".into()) }
}

fn parse_bootstraps(text: &str) -> Result<Bootstraps, String> {
    match (text, text.parse()) {
        ("auto", _) => Ok(Bootstraps::WhereNeeded),
        ("never", _) => Ok(Bootstraps::Never),
        (_, Ok(levels @ 2..=100)) => Ok(Bootstraps::UpTo(levels)),
        _ => Err("expected auto, never, or a number of levels from 2 on".into()),
    }
}

impl Arguments {
    fn options(&self) -> Result<CompileOptions, CompileError> {
        let machine =
            self.machine_costs.as_deref().map(read_machine_costs).transpose().map_err(CompileError::MachineCosts)?;
        Ok(CompileOptions {
            model: ModelInput::File(self.model.clone()),
            calibration: Calibration::Files(self.calibration.clone()),
            outputs: self.outputs.clone(),
            trailing: self.trailing,
            sizes: self.sizes.iter().cloned().collect(),
            input_range: self.input_range,
            pafs: self.pafs.clone(),
            fidelity: self.fidelity,
            labels: self.labels.clone(),
            recovery: self.recovery(),
            max_error: self.max_error,
            max_levels: self.max_levels,
            margin: self.margin,
            function_error: self.function_error,
            max_pool: self.max_pool,
            precision: self.precision,
            memory: self.memory.map(|size| size.0),
            compile_memory: self.compile_memory.map(|size| size.0).or_else(available_bytes),
            insecure: self.insecure_test_parameters,
            sanitize: self.sanitize,
            bootstraps: self.bootstraps,
            bootstrap_iterations: self.bootstrap_iterations,
            profile: EngineProfile::openfhe(),
            machine,
        })
    }

    fn recovery(&self) -> Recovery {
        match (&self.paf_file, &self.recover, &self.recover_cmd) {
            (Some(file), _, _) => Recovery::PafFile(file.clone()),
            (None, Some(config), _) => Recovery::BuiltIn(config.clone()),
            (None, None, Some(command)) => Recovery::Command(command.clone()),
            (None, None, None) => Recovery::None,
        }
    }

    /// The last step that the wanted output needs.
    fn last_step(&self) -> PipelineStep {
        let needed = match (self.emit, &self.output) {
            (Some(ir), None) => ir.step(),
            _ => PipelineStep::Emit,
        };
        self.stop_after.map_or(needed, |stop| stop.min(needed))
    }

    /// The stage that is printed, if one is: the one that was asked for, or where the compilation stops.
    fn printed_stage(&self) -> Option<PipelineStep> {
        let stopped = self.stop_after.filter(|&step| step < PipelineStep::Emit);
        match (self.emit, stopped) {
            (Some(ir), _) => Some(ir.step().min(self.last_step())),
            (None, stopped) => stopped,
        }
    }
}

/// Compiles as the arguments say.
///
/// # Errors
/// [`CompileError`]; nothing is written then.
pub(crate) fn run(arguments: &Arguments) -> Result<(), CompileError> {
    if arguments.insecure_test_parameters {
        paf_files::say!("warning: --insecure-test-parameters: this circuit protects NOTHING; it is for tests only");
    }
    let mut compilation = Compilation::new(arguments.options()?)?;
    let result = take_steps(&mut compilation, arguments);
    if arguments.explain {
        explain(&compilation)?;
    }
    result?;
    if let Some(text) = arguments.printed_stage().and_then(|stage| listing(&compilation, stage)) {
        print_line(text.trim_end());
    }
    match compilation.circuit {
        Some(_) => describe(arguments, &compilation.finish()?),
        None => Ok(()),
    }
}

/// Takes the steps that are wanted; progress goes to stderr.
fn take_steps(compilation: &mut Compilation, arguments: &Arguments) -> Result<(), CompileError> {
    let last = arguments.last_step();
    for &step in PipelineStep::value_variants().iter().filter(|step| **step <= last) {
        let text = (!arguments.json).then(|| StepText::begin(step));
        match step {
            PipelineStep::Recover => recover(compilation, text)?,
            _ => compilation.run(step)?,
        }
    }
    Ok(())
}

/// The step `recover`, which has progress of its own once it begins with what takes long.
fn recover(compilation: &mut Compilation, mut text: Option<StepText>) -> Result<(), CompileError> {
    let mut progress = match stderr().is_terminal() {
        true => ProgressText::in_place(stderr()),
        false => ProgressText::in_lines(stderr()),
    };
    let heard = &mut |event: Event<'_>| {
        drop(text.take());
        progress.hear(event)
    };
    compilation.recover_with(heard).map(drop)
}

/// Writes a circuit, and prints what there is to know of it.
fn describe(arguments: &Arguments, compiled: &Compiled) -> Result<(), CompileError> {
    if let Some(output) = &arguments.output {
        write_circuit(output, &compiled.circuit)?;
    }
    if arguments.explain && !compiled.alternatives.is_empty() {
        paf_files::say!("{}", report::alternatives(&compiled.alternatives));
    }
    for note in &compiled.circuit.model.notes {
        paf_files::say!("note: {note}");
    }
    if arguments.json {
        print_line(&report::json(compiled));
    } else if arguments.emit.is_none() {
        print_line(&report::text(compiled, arguments.output.as_deref()));
    }
    Ok(())
}

/// Tells how the optimized network came about, once it is there, also where a later step fails.
fn explain(compilation: &Compilation) -> Result<(), CompileError> {
    if let Some(Lowering { polynomial: Some(polynomial), optimized: Some(optimized), .. }) = &compilation.lowering {
        paf_files::say!("{}", report::explain(polynomial, optimized, &compilation.rule_effects()?));
    }
    Ok(())
}

/// The text of the stage that a step has reached.
fn listing(compilation: &Compilation, step: PipelineStep) -> Option<String> {
    let lowering = compilation.lowering.as_ref();
    match step {
        PipelineStep::Import => compilation.imported.as_ref().map(|imported| imported.graph.to_listing()),
        PipelineStep::Recover => lowering.map(|lowering| lowering.graph().to_listing()),
        PipelineStep::Fold => lowering?.folded.as_ref().map(|graph| graph.to_listing()),
        PipelineStep::Approximate => {
            lowering?.polynomial.as_ref().map(|polynomial| polynomial.approximated.graph.to_listing())
        }
        PipelineStep::Optimize => lowering?.optimized.as_ref().map(|optimized| optimized.graph.to_listing()),
        PipelineStep::Pack => lowering?.packed.as_ref().map(|packed| packed.program.to_listing()),
        PipelineStep::Schedule | PipelineStep::Emit => {
            lowering?.scheduled.as_ref().map(|scheduled| scheduled.program.to_listing())
        }
    }
}

/// Prints to stdout; a reader that closed the pipe is no error.
fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
