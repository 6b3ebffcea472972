//! What is measured of an operator, the golden file that holds it and the document that shows it.

use std::fmt::Write as _;

use paf_circuit::Circuit;
use paf_compiler::options::{CompileOptions, Margin, PafChoice, Reduction};
use paf_import::TrailingFunctions;
use paf_ir::random::SplitMix64;
use paf_passes::paf::Paf;
use paf_runtime::{Noise, simulate};
use prost::Message;
use testkit::parties::{clear_outputs, samples_of, samples_of_ports};
use testkit::repository;

use crate::common::compiled;
use crate::operator::{Operator, PIECEWISE, smooth};

pub(crate) const GOLDEN: &str = "testdata/paf_errors.tsv";
pub(crate) const DOCUMENT: &str = "docs/paf-errors.md";

/// How far a figure may be from the golden one and from the tables, relative.
pub(crate) const TOLERANCE: f64 = 1e-9;

/// Beyond \[−1, 1\] a composite multiplies a rounding error by up to the product of its degrees, 11,745.
const TOLERANCE_BEYOND: f64 = 1e-6;

/// How far beyond the scale ReLU is looked at: on \[−m, m\] for each m.
pub(crate) const REACHES: [f64; 5] = [1.01, 1.02, 1.05, 1.1, 1.2];

/// `--function-error` of the smooth functions that are measured.
const FUNCTION_ERRORS: [f64; 2] = [1e-2, 1e-3];

/// PAFs of the operators that are sums of ReLUs: the errors of others follow from those of ReLU.
const PIECEWISE_PAFS: [&str; 2] = ["alpha7", "alpha10"];

/// Windows of values between those of the grid, for pools of nine.
const RANDOM_WINDOWS: usize = 20_000;

/// What an operator is approximated by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    pub(crate) operator: Operator,
    pub(crate) paf: &'static str,
    pub(crate) function_error: f64,
}

/// Everything that is measured, in the order of the golden file.
pub(crate) fn choices() -> Vec<Choice> {
    let of = |operator: Operator| -> Vec<Choice> {
        let with_paf = |paf: &'static str| Choice { operator, paf, function_error: FUNCTION_ERRORS[1] };
        match operator {
            Operator::Smooth(_) => {
                let with_error = |function_error: f64| Choice { operator, paf: "alpha7", function_error };
                FUNCTION_ERRORS.map(with_error).to_vec()
            }
            Operator::Piecewise(_) => PIECEWISE_PAFS.map(with_paf).to_vec(),
            _ => Paf::names().into_iter().map(with_paf).collect(),
        }
    };
    Operator::all().into_iter().flat_map(of).collect()
}

impl Choice {
    /// The circuit of `side · side` windows at scale 1, with test parameters: they have levels enough for every PAF.
    pub(crate) fn circuit(&self, side: usize) -> Circuit {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, self.operator.model(side).encode_to_vec()).expect("a writable folder");
        let options = CompileOptions {
            trailing: TrailingFunctions::Circuit,
            pafs: vec![PafChoice { node: None, paf: self.paf.into() }],
            margin: Margin::Fixed(1.0),
            input_range: Some(self.operator.range()),
            function_error: Some(self.function_error),
            max_pool: if self.operator == Operator::Tree { Reduction::Tree } else { Reduction::Separable },
            insecure: true,
            ..CompileOptions::for_model(path)
        };
        compiled(&options).circuit
    }

    pub(crate) fn measure(&self) -> Figures {
        let operator = self.operator;
        let side = if operator.window() == 1 { 64 } else { 32 };
        let circuit = self.circuit(side);
        let errors = clear_errors(operator, &circuit, side, &operator.grid());
        let further = match operator {
            Operator::Relu => beyond(&circuit, side),
            Operator::MaxPool(3) | Operator::Tree => {
                let errors = clear_errors(operator, &circuit, side, &random_windows(operator.window()));
                vec![largest(&errors), mean(&errors)]
            }
            Operator::MaxPool(_) => vec![],
            Operator::Piecewise(_) => vec![largest_scale(&circuit)],
            Operator::Smooth(_) => {
                let values: Vec<f64> = operator.grid().iter().map(|window| operator.exact(window).abs()).collect();
                vec![self.function_error, largest(&values)]
            }
        };
        let paf = match operator {
            Operator::Smooth(_) => circuit.model.pafs[0].paf.clone(),
            _ => self.paf.to_owned(),
        };
        Figures {
            operator: operator.name(),
            paf,
            levels: circuit.counts().levels,
            max: largest(&errors),
            mean: mean(&errors),
            further,
        }
    }
}

/// Windows of values in \[0, 1).
fn random_windows(elements: usize) -> Vec<Vec<f64>> {
    let mut generator = SplitMix64::new(20_240_607);
    (0..RANDOM_WINDOWS).map(|_| (0..elements).map(|_| generator.uniform()).collect()).collect()
}

/// The errors of a circuit's results on windows.
pub(crate) fn errors(operator: Operator, windows: &[Vec<f64>], results: impl IntoIterator<Item = f64>) -> Vec<f64> {
    windows.iter().zip(results).map(|(window, result)| (result - operator.exact(window)).abs()).collect()
}

/// The errors of a circuit on the clear engine.
pub(crate) fn clear_errors(operator: Operator, circuit: &Circuit, side: usize, windows: &[Vec<f64>]) -> Vec<f64> {
    let outputs = clear_outputs(circuit, &samples_of(circuit, operator.samples(side, windows)));
    errors(operator, windows, outputs.into_iter().flat_map(|output| output.ports.concat()))
}

pub(crate) fn largest(errors: &[f64]) -> f64 {
    let finite = errors.iter().all(|error| error.is_finite());
    if finite { errors.iter().copied().fold(0.0, f64::max) } else { f64::INFINITY }
}

pub(crate) fn mean(errors: &[f64]) -> f64 {
    errors.iter().sum::<f64>() / errors.len() as f64
}

fn largest_scale(circuit: &Circuit) -> f64 {
    circuit.model.pafs.iter().map(|paf| paf.scale).fold(0.0, f64::max)
}

/// The largest error of a ReLU that gets more than its scale: inputs that a user's range check would refuse.
fn beyond(circuit: &Circuit, side: usize) -> Vec<f64> {
    let of_reach = |reach: f64| {
        let steps = (reach * 1000.0).round() as i32;
        let windows: Vec<Vec<f64>> = (-steps..=steps).map(|k| vec![f64::from(k) / 1000.0]).collect();
        let mut ports = circuit.program.inputs.clone();
        ports[0].scaling.range = (-2.0, 2.0);
        let samples = samples_of_ports(&ports, vec![Operator::Relu.samples(side, &windows)]);
        let outputs = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
        let results = outputs.into_iter().flat_map(|output| output.ports.concat());
        largest(&errors(Operator::Relu, &windows, results))
    };
    REACHES.map(of_reach).to_vec()
}

/// What is known of an approximated operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figures {
    pub(crate) operator: String,
    pub(crate) paf: String,
    pub(crate) levels: u32,
    pub(crate) max: f64,
    pub(crate) mean: f64,
    /// ReLU: largest error on \[−m, m\] for each of [`REACHES`]. Pools of nine: largest and mean error on seeded windows.
    /// Sums of ReLUs: their scale. Smooth functions: the error asked for and the largest value.
    pub(crate) further: Vec<f64>,
}

impl Figures {
    pub(crate) fn line(&self) -> String {
        let mut line =
            format!("{}\t{}\t{}\t{:.11e}\t{:.11e}", self.operator, self.paf, self.levels, self.max, self.mean);
        self.further.iter().for_each(|figure| write!(line, "\t{figure:.8e}").expect("a string grows"));
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operator, paf, levels, max, mean, further @ ..] = &fields[..] else { return None };
        Some(Figures {
            operator: (*operator).to_owned(),
            paf: (*paf).to_owned(),
            levels: levels.parse().ok()?,
            max: max.parse().ok()?,
            mean: mean.parse().ok()?,
            further: further.iter().map(|figure| figure.parse().ok()).collect::<Option<_>>()?,
        })
    }

    pub(crate) fn agrees(&self, other: &Figures) -> bool {
        let same = (&self.operator, &self.paf, self.levels) == (&other.operator, &other.paf, other.levels);
        let further = self.further.len() == other.further.len()
            && self.further.iter().zip(&other.further).all(|(a, b)| is_close(*a, *b, TOLERANCE_BEYOND));
        same && further && is_close(self.max, other.max, TOLERANCE) && is_close(self.mean, other.mean, TOLERANCE)
    }
}

/// An error is the difference of results of size 1, whose last bits are rounding.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

pub(crate) fn is_close(a: f64, b: f64, relative: f64) -> bool {
    a == b || (a - b).abs() <= relative * b.abs() + ROUNDING
}

pub(crate) fn read_golden() -> Vec<Figures> {
    let text = std::fs::read_to_string(repository(GOLDEN)).expect("the golden file");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Figures::parse(line).unwrap_or_else(|| panic!("{GOLDEN}: {line}"))).collect()
}

pub(crate) fn golden_text(figures: &[Figures]) -> String {
    let mut text =
        "# Errors of operators, measured on the clear engine by compiler/tests/paf_errors.rs, which says what \
                    the further figures are.\n# operator\tpaf\tlevels\tmax\tmean\tfurther\n"
            .to_owned();
    figures.iter().for_each(|figures| writeln!(text, "{}", figures.line()).expect("a string grows"));
    text
}

const INTRODUCTION: &str = "# Errors of operators\n
Largest and mean absolute error. For ReLU and MaxPool they are those at scale S = 1; multiply by the scale of the node,
which `paf-compile --json` prints. Measured on whole circuits of one node on the clear engine,
`compiler/tests/paf_errors.rs`; encryption adds less than 2^-18 with the parameters of the tests. The file is generated
from `testdata/paf_errors.tsv`: `PAF_BLESS=1 cargo test --release -p paf-compiler --test paf_errors` writes both. A pool's
scale includes the guard of its PAF. Those of ReLU, of MaxPool 2×2 and of MaxPool 3×3 in one tree agree to 1e-9 with tables that others
computed from the published coefficients; from `alpha11` on those tables carry up to 1e-4 of rounding, and the figures here
are those of exact arithmetic.

Linear operators (Conv, Gemm, MatMul, AveragePool, BatchNormalization, sums, reshapes and their kin) are exact; they take
one level where they cannot melt into a neighbour, and reshapes none. A pool that stands alone, as here, takes a level to
gather its results, which the layer after it does otherwise; so does a polynomial of ReLU of degree 2, 4, 8, 16 or 32, to come
into the units in which it is squares, and another one out of them.\n";

const NINE: &str =
    "Windows of nine values, each 0, ½ or 1, as in the published tables, and 20,000 windows of seeded values
between 0 and 1, which show more. With `--max-pool tree` a circuit reduces the nine values by one balanced tree: eight
comparisons, four of them in sequence. So do the published tables, and the figures are theirs.\n";

const NINE_BY_AXES: &str =
    "By default a circuit reduces rows, then columns: four comparisons for the whole tensor, each in sequence
after the other. That is the same depth for half of the ciphertext products, whatever the stride: one tree compares eight
times, and strided taps lie in slots of the same ciphertext. What each comparison sees matters: an axis is reduced as
`max(max(x0, x1), x2)`. On seeded windows its mean error is at most 5 % above that of one tree, its largest one at most 23 %.
`max(max(x0, x1), max(x1, x2))`, which costs the same, compares a value with itself wherever x1 is the largest, and PAFs are
coarse there: 10 % and 53 %.\n";

const PIECEWISE_TEXT: &str = "These are sums of ReLUs, see `import/src/activation.rs` and `extremum.rs`. S is the
scale of the ReLUs on this range of inputs, and the error stays below the bound, in units of S times the error of ReLU.\n";

const SMOOTH_TEXT: &str =
    "A Chebyshev series on the calibrated range, of the least degree within `--function-error` times the
function's largest magnitude there. The errors are parts of that magnitude. Silu is also
recognized where it is written `x · sigmoid(x)`; Selu, Celu and Swish are Elu and Silu with other scales.\n";

pub(crate) fn document(figures: &[Figures]) -> String {
    let rows = |operator: Operator| figures.iter().filter(move |row| row.operator == operator.name());
    let mut text = INTRODUCTION.to_owned();
    relu_table(&mut text, rows(Operator::Relu));
    pool_table(&mut text, "MaxPool 2×2 on [0, 1]", "", rows(Operator::MaxPool(2)));
    pool_table(&mut text, "MaxPool 3×3 in one tree", NINE, rows(Operator::Tree));
    pool_table(&mut text, "MaxPool 3×3", NINE_BY_AXES, rows(Operator::MaxPool(3)));
    text += &format!("\n## Operators that are sums of ReLUs\n\n{PIECEWISE_TEXT}");
    text += "\n| operator | inputs | PAF | S | levels | largest error | mean error | bound |\n";
    text += "|---|---|---|---|---|---|---|---|\n";
    for operator in PIECEWISE {
        for row in rows(Operator::Piecewise(operator)) {
            let (paf, levels, max, mean, scale) = (&row.paf, row.levels, row.max, row.mean, row.further[0]);
            let (name, inputs) = (described(operator), format!("[−{0}, {0}]", operator.reach));
            let bound = operator.relu_errors;
            text += &format!(
                "| {name} | {inputs} | `{paf}` | {scale:.3} | {levels} | {max:.2e} | {mean:.2e} | {bound} |\n"
            );
        }
    }
    text += &format!("\n## Smooth functions\n\n{SMOOTH_TEXT}");
    text += "\n| operator | inputs | `--function-error` | degree | levels | largest error | mean error |\n";
    text += "|---|---|---|---|---|---|---|\n";
    for function in smooth() {
        let (low, high) = Operator::Smooth(function).range();
        for row in rows(Operator::Smooth(function)) {
            let degree = row.paf.trim_start_matches("chebyshev");
            let (max, mean, wanted) = (row.max / row.further[1], row.mean / row.further[1], row.further[0]);
            let (name, levels) = (&row.operator, row.levels);
            text +=
                &format!("| {name} | [{low}, {high}] | {wanted} | {degree} | {levels} | {max:.2e} | {mean:.2e} |\n");
        }
    }
    text
}

fn described(operator: crate::operator::Piecewise) -> String {
    let attributes = operator.attributes.iter().map(|(name, value)| format!(" {name} = {value}"));
    let constants = operator.constants.iter().map(|value| format!(" {value}"));
    let parameters: Vec<String> = attributes.chain(constants).collect();
    if parameters.is_empty() { operator.name.into() } else { format!("{},{}", operator.name, parameters.join(",")) }
}

fn relu_table<'f>(text: &mut String, rows: impl Iterator<Item = &'f Figures>) {
    let heads: String = REACHES.iter().map(|reach| format!(" on [−{reach}, {reach}] |")).collect();
    *text += "\n## Relu on [−1, 1], and the largest error where inputs leave that range\n";
    *text += &format!("\n| PAF | levels | largest error | mean error |{heads}\n");
    *text += &format!("|---|---|---|---|{}\n", "---|".repeat(REACHES.len()));
    for row in rows {
        let beyond: String = row.further.iter().map(|error| format!(" {error:.1e} |")).collect();
        let (paf, levels, max, mean) = (&row.paf, row.levels, row.max, row.mean);
        *text += &format!("| `{paf}` | {levels} | {max:.2e} | {mean:.2e} |{beyond}\n");
    }
}

fn pool_table<'f>(text: &mut String, title: &str, explanation: &str, rows: impl Iterator<Item = &'f Figures>) {
    let rows: Vec<&Figures> = rows.collect();
    let random = rows.iter().any(|row| !row.further.is_empty());
    let heads = if random { " largest, seeded | mean, seeded |" } else { "" };
    let rule = if random { "---|---|" } else { "" };
    *text += &format!("\n## {title}\n\n");
    if !explanation.is_empty() {
        *text += &format!("{explanation}\n");
    }
    *text += &format!("| PAF | levels | largest error | mean error |{heads}\n|---|---|---|---|{rule}\n");
    for row in rows {
        let further: String = row.further.iter().map(|error| format!(" {error:.2e} |")).collect();
        let (paf, levels, max, mean) = (&row.paf, row.levels, row.max, row.mean);
        *text += &format!("| `{paf}` | {levels} | {max:.2e} | {mean:.2e} |{further}\n");
    }
}
