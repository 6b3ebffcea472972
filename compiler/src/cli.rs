//! Command line of `paf-compile`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use paf_circuit::{read_machine_costs, write_circuit};
use paf_files::Bytes;

use crate::error::CompileError;
use crate::options::{
    Bootstraps, DEFAULT_FUNCTION_ERROR, DEFAULT_PRECISION, Margin, Options, PafChoice, Recovery, Reduction, Step,
};
use crate::pipeline::{Reached, compile_explained, compile_until};
use crate::report;

/// Compiles a trained ONNX network with ReLU and MaxPool to a CKKS circuit that runs on encrypted inputs
#[derive(Debug, Parser)]
#[command(name = "paf-compile", version)]
pub struct Arguments {
    /// The ONNX file
    pub model: PathBuf,
    /// Where to write the circuit
    #[arg(short, long, value_name = "CIRCUIT.bin", required_unless_present_any = ["emit", "stop_after"])]
    pub output: Option<PathBuf>,
    /// Typical inputs, [k, sample shape...], as the model expects them; a few hundred are enough. Once for each input
    /// of the model, in order
    #[arg(long, value_name = "X.npy")]
    pub calibration: Vec<PathBuf>,
    /// Range of the inputs where no calibration is given
    #[arg(long, value_name = "LOW,HIGH", default_value = "-1,1", value_parser = parse_range, allow_hyphen_values = true)]
    pub input_range: (f64, f64),
    /// PAF for every ReLU and MaxPool, or for one node; may be repeated. `auto` chooses one for each node, as
    /// --max-error or --max-levels asks [default: alpha7]
    #[arg(long = "paf", value_name = "NAME | NODE=NAME | auto")]
    pub pafs: Vec<PafChoice>,
    /// PAFs and static scales of nodes, as paf-recover writes them
    #[arg(long, value_name = "P.json", conflicts_with_all = ["pafs", "recover", "recover_cmd"])]
    pub paf_file: Option<PathBuf>,
    /// Recover accuracy first, as this configuration says; it names the PAFs and, if --calibration is not all there is,
    /// the training data
    #[arg(long, value_name = "CONFIG.toml", conflicts_with_all = ["pafs", "recover_cmd"])]
    pub recover: Option<PathBuf>,
    /// Recover accuracy first by a program. It gets a folder with model.onnx and request.json as its last argument, and
    /// leaves recovered.onnx and model.paf.json in it
    #[arg(long, value_name = "PROGRAM ARGS")]
    pub recover_cmd: Option<String>,
    /// With --paf auto: the fewest levels whose error is at most E. The error is how far results are from the original
    /// network's: the root of the mean square over all calibration samples, in parts of the largest result. 0.03 keeps
    /// nearly all predictions of a classifier
    #[arg(long, value_name = "E", value_parser = parse_max_error, conflicts_with = "max_levels")]
    pub max_error: Option<f64>,
    /// With --paf auto: the least error with at most L levels in the circuit, counted along its deepest path, linear
    /// layers included
    #[arg(long, value_name = "L")]
    pub max_levels: Option<u32>,
    /// Static scale of a PAF: this times the largest value seen. `auto` is 1.1 for coarse PAFs, up to alpha7; for
    /// precise ones it extrapolates for each node from the samples what other inputs reach
    #[arg(long, value_name = "auto | M", default_value = "auto", value_parser = parse_margin)]
    pub margin: Margin,
    /// Largest error of the polynomial of Sigmoid, Gelu and the like, as a part of its largest value
    #[arg(long, value_name = "E", default_value_t = DEFAULT_FUNCTION_ERROR, value_parser = parse_function_error)]
    pub function_error: f64,
    /// How a MaxPool compares the values of its windows: rows, then columns, which takes the fewest comparisons, or all
    /// of them in one balanced tree, which is mostly a little more accurate and for 5×5 windows one comparison less deep
    #[arg(long, value_name = "separable | tree", default_value = "separable", value_parser = parse_reduction)]
    pub max_pool: Reduction,
    /// Bits of agreement wanted between the encrypted result and the clear circuit
    #[arg(long, default_value_t = DEFAULT_PRECISION, value_parser = parse_precision)]
    pub precision: f64,
    /// Most memory a run may use, such as 16G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
    /// Where bootstraps may be: `auto` where levels run out, `never`, or a number of levels that each gives back
    #[arg(long, value_name = "auto | never | LEVELS", default_value = "auto", value_parser = parse_bootstraps)]
    pub bootstraps: Bootstraps,
    /// How often a bootstrap refreshes a value: 2 gives about twice the bits, in twice the time and one level more
    #[arg(long, value_name = "1 | 2", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2))]
    pub bootstrap_iterations: u32,
    /// Predict seconds for the machine of this file, and choose the plan that is fastest there. `paf-run
    /// calibrate-machine -o FILE` writes it
    #[arg(long, value_name = "FILE")]
    pub machine_costs: Option<PathBuf>,
    /// Print an IR on stdout; without --output nothing is written
    #[arg(long)]
    pub emit: Option<Ir>,
    /// Stop after a step of the pipeline
    #[arg(long, value_name = "STEP")]
    pub stop_after: Option<Step>,
    /// Print on stderr what --paf auto chose, how often each rewrite rule applied, and how many levels more the circuit
    /// takes without it
    #[arg(long)]
    pub explain: bool,
    /// Small parameters for tests: they protect nothing
    #[arg(long)]
    pub insecure_test_parameters: bool,
    /// Print facts as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// An IR that `--emit` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ir {
    /// The optimized tensor graph
    Tensor,
    /// The program on slot vectors
    Slots,
    /// The program on ciphertexts
    Ckks,
}

impl Ir {
    /// The step that has made it.
    fn step(self) -> Step {
        match self {
            Ir::Tensor => Step::Optimize,
            Ir::Slots => Step::Pack,
            Ir::Ckks => Step::Emit,
        }
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

fn parse_max_error(text: &str) -> Result<f64, String> {
    let error: f64 = text.parse().map_err(|_| "expected a number")?;
    if error > 0.0 && error <= 1.0 { Ok(error) } else { Err("expected a number above 0 and at most 1".into()) }
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
    fn options(&self) -> Result<Options, CompileError> {
        let machine =
            self.machine_costs.as_deref().map(read_machine_costs).transpose().map_err(CompileError::MachineCosts)?;
        Ok(Options {
            model: self.model.clone(),
            calibration: self.calibration.first().cloned(),
            more_calibration: self.calibration.iter().skip(1).cloned().collect(),
            input_range: self.input_range,
            pafs: self.pafs.clone(),
            recovery: self.recovery(),
            max_error: self.max_error,
            max_levels: self.max_levels,
            margin: self.margin,
            function_error: self.function_error,
            max_pool: self.max_pool,
            precision_bits: self.precision,
            memory: self.memory.map(|size| size.0),
            insecure: self.insecure_test_parameters,
            bootstraps: self.bootstraps,
            bootstrap_iterations: self.bootstrap_iterations,
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
    fn last_step(&self) -> Step {
        let needed = match (self.emit, &self.output) {
            (Some(ir), None) => ir.step(),
            _ => Step::Emit,
        };
        self.stop_after.map_or(needed, |stop| stop.min(needed))
    }

    /// Whether compilation stops before there is a circuit to write and describe.
    fn stops_early(&self) -> bool {
        self.stop_after.is_some_and(|step| step < Step::Emit)
    }
}

/// Compiles as the arguments say.
///
/// # Errors
/// [`CompileError`]; nothing is written then.
pub fn run(arguments: &Arguments) -> Result<(), CompileError> {
    if arguments.insecure_test_parameters {
        eprintln!("warning: --insecure-test-parameters: this circuit protects NOTHING; it is for tests only");
    }
    let (options, last) = (arguments.options()?, arguments.last_step());
    let reached = match arguments.explain {
        true => compile_explained(&options, last, &mut |explanation| eprintln!("{}", report::explain(explanation)))?,
        false => compile_until(&options, last)?,
    };
    match arguments.emit {
        Some(ir) if ir.step() < last => print_listing(&compile_until(&options, ir.step())?),
        Some(_) => print_listing(&reached),
        None if arguments.stops_early() => print_listing(&reached),
        None => {}
    }
    if let Reached::Circuit(compiled) = &reached
        && !arguments.stops_early()
    {
        if let Some(output) = &arguments.output {
            write_circuit(output, &compiled.circuit)?;
        }
        if arguments.explain && !compiled.alternatives.is_empty() {
            eprintln!("{}", report::alternatives(&compiled.alternatives));
        }
        for note in &compiled.circuit.model.notes {
            eprintln!("note: {note}");
        }
        if arguments.json {
            print_line(&report::json(compiled));
        } else if arguments.emit.is_none() {
            print_line(&report::text(compiled, arguments.output.as_deref()));
        }
    }
    Ok(())
}

fn print_listing(reached: &Reached) {
    let text = match reached {
        Reached::Tensor(graph) => graph.to_listing(),
        Reached::Slots(program) => program.to_listing(),
        Reached::Circuit(compiled) => compiled.circuit.program.to_listing(),
    };
    print_line(text.trim_end());
}

/// Prints to stdout; a reader that closed the pipe is no error.
fn print_line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
