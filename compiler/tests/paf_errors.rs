//! The error of every PAF as ReLU and as MaxPool, measured on whole circuits: an ONNX model of one node, compiled with
//! a scale of 1 and run. `testdata/paf_errors.tsv` holds the figures and `docs/paf-errors.md` shows them; a change of
//! either is a failure, and `PAF_BLESS=1` writes both anew.
//!
//! Grids are those of the published tables (`paf_tables.json`, see `PAF_SHARED`): ReLU on k/10000 in \[−1, 1\], MaxPool
//! 2×2 on all windows of 21 equispaced values in \[0, 1\], 3×3 on all windows of 0, ½ and 1. The scale is 1, times the
//! guard of the PAF in pools.

mod common;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Parties, clear_outputs, compiled, exclusive, samples_of};
use paf_circuit::Circuit;
use paf_compiler::options::{Options, PafChoice};
use paf_ir::tensor::Shape;
use paf_passes::paf::Paf;
use paf_runtime::npy::Array;
use paf_runtime::{Noise, Samples, simulate};
use prost::Message;
use serde_json::Value;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as Size};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};

/// How far a figure on \[−1, 1\] may be from the golden one and from the tables, relative.
const TOLERANCE: f64 = 1e-9;

/// The tables evaluate by Horner's rule in `f64`, whose rounding shows from `alpha11` on; ours is the Chebyshev form.
const HORNER_ROUNDING: f64 = 1e-4;

/// Beyond \[−1, 1\] a composite multiplies a rounding error by up to the product of its degrees, 11,745.
const TOLERANCE_BEYOND: f64 = 1e-6;

/// What an encrypted run may add: test parameters, N = 2^11 and a scale of 2^50.
const ENCRYPTION: f64 = 1.0 / (1u64 << 18) as f64;

/// How far beyond the scale ReLU is looked at: on \[−m, m\] for each m.
const REACHES: [f64; 5] = [1.01, 1.02, 1.05, 1.1, 1.2];

/// An operator whose error is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Relu,
    /// MaxPool over disjoint windows of this side.
    MaxPool(usize),
}

const OPERATORS: [Operator; 3] = [Operator::Relu, Operator::MaxPool(2), Operator::MaxPool(3)];

impl Operator {
    fn name(self) -> String {
        match self {
            Operator::Relu => "Relu".into(),
            Operator::MaxPool(side) => format!("MaxPool{side}x{side}"),
        }
    }

    /// Elements of the window of one result.
    fn window(self) -> usize {
        match self {
            Operator::Relu => 1,
            Operator::MaxPool(side) => side * side,
        }
    }

    /// Shape of an input that holds `side · side` windows.
    fn shape(self, side: usize) -> [usize; 4] {
        match self {
            Operator::Relu => [1, 1, side, side],
            Operator::MaxPool(window) => [1, 1, side * window, side * window],
        }
    }

    fn input_range(self) -> (f64, f64) {
        match self {
            Operator::Relu => (-1.0, 1.0),
            Operator::MaxPool(_) => (0.0, 1.0),
        }
    }

    /// Every window of the grid.
    fn grid(self) -> Vec<Vec<f64>> {
        let values: Vec<f64> = match self {
            Operator::Relu => (-10_000..=10_000).map(|k| f64::from(k) / 10_000.0).collect(),
            Operator::MaxPool(2) => (0..=20).map(|k| f64::from(k) / 20.0).collect(),
            Operator::MaxPool(_) => vec![0.0, 0.5, 1.0],
        };
        let digit = |index: usize, place: usize| values[index / values.len().pow(place as u32) % values.len()];
        let count = values.len().pow(self.window() as u32);
        (0..count).map(|index| (0..self.window()).map(|place| digit(index, place)).collect()).collect()
    }

    fn exact(self, window: &[f64]) -> f64 {
        let largest = window.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if self == Operator::Relu { largest.max(0.0) } else { largest }
    }

    fn node(self) -> NodeProto {
        let list = |name: &str, side: usize| {
            let ints = vec![side as i64; 2];
            AttributeProto { name: name.into(), r#type: 7, ints, ..Default::default() }
        };
        let (op_type, attribute) = match self {
            Operator::Relu => ("Relu", vec![]),
            Operator::MaxPool(side) => ("MaxPool", vec![list("kernel_shape", side), list("strides", side)]),
        };
        let (input, output) = (vec!["x".into()], vec!["y".into()]);
        NodeProto { op_type: op_type.into(), input, output, attribute, ..Default::default() }
    }

    fn model(self, side: usize) -> ModelProto {
        let axis = |size: usize| Dimension { value: Some(Size::DimValue(size as i64)), ..Default::default() };
        let shape = TensorShapeProto { dim: self.shape(side).map(axis).to_vec() };
        let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
        let r#type = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
        let graph = GraphProto {
            node: vec![self.node()],
            input: vec![ValueInfoProto { name: "x".into(), r#type: Some(r#type), ..Default::default() }],
            output: vec![ValueInfoProto { name: "y".into(), ..Default::default() }],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { domain: String::new(), version: 13 };
        ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
    }

    /// The circuit of `side · side` windows at scale 1, with test parameters: they have levels enough for every PAF.
    fn circuit(self, side: usize, paf: &str) -> Circuit {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, self.model(side).encode_to_vec()).expect("a writable folder");
        let pafs = vec![PafChoice { node: None, paf: paf.into() }];
        let (margin, input_range) = (1.0, self.input_range());
        compiled(&Options { pafs, margin, input_range, insecure: true, ..Options::for_model(path) }).circuit
    }

    /// Windows as samples of `side · side` windows each; the last is filled up with zeros.
    fn samples(self, side: usize, windows: &[Vec<f64>]) -> Array {
        let count = windows.len().div_ceil(side * side);
        let shape = self.shape(side);
        let (width, window_side) = (shape[3], (self.window() as f64).sqrt() as usize);
        let mut data = vec![0.0; count * shape.iter().product::<usize>()];
        for (index, window) in windows.iter().enumerate() {
            let (sample, place) = (index / (side * side), index % (side * side));
            for (element, &value) in window.iter().enumerate() {
                let y = place / side * window_side + element / window_side;
                let x = place % side * window_side + element % window_side;
                data[(sample * width + y) * width + x] = value;
            }
        }
        Array { shape: Shape([&[count], &shape[1..]].concat()), data }
    }
}

/// The errors of a circuit's results on windows.
fn errors(operator: Operator, windows: &[Vec<f64>], results: impl IntoIterator<Item = f64>) -> Vec<f64> {
    windows.iter().zip(results).map(|(window, result)| (result - operator.exact(window)).abs()).collect()
}

fn largest(errors: &[f64]) -> f64 {
    let finite = errors.iter().all(|error| error.is_finite());
    if finite { errors.iter().copied().fold(0.0, f64::max) } else { f64::INFINITY }
}

/// What is known of a PAF as an operator.
#[derive(Debug, Clone, PartialEq)]
struct Figures {
    operator: String,
    paf: String,
    levels: u32,
    max: f64,
    mean: f64,
    /// Largest error on \[−m, m\] for each of [`REACHES`]; ReLU only.
    beyond: Vec<f64>,
}

impl Figures {
    fn measure(operator: Operator, paf: &str) -> Self {
        let side = if operator == Operator::Relu { 64 } else { 32 };
        let circuit = operator.circuit(side, paf);
        let grid = operator.grid();
        let errors = measure(operator, &circuit, side, &grid);
        let beyond = if operator == Operator::Relu { beyond(&circuit, side) } else { vec![] };
        Figures {
            operator: operator.name(),
            paf: paf.to_owned(),
            levels: circuit.counts().levels,
            max: largest(&errors),
            mean: errors.iter().sum::<f64>() / errors.len() as f64,
            beyond,
        }
    }

    fn line(&self) -> String {
        let mut line =
            format!("{}\t{}\t{}\t{:.11e}\t{:.11e}", self.operator, self.paf, self.levels, self.max, self.mean);
        self.beyond.iter().for_each(|error| write!(line, "\t{error:.6e}").expect("a string grows"));
        line
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [operator, paf, levels, max, mean, beyond @ ..] = &fields[..] else { return None };
        Some(Figures {
            operator: (*operator).to_owned(),
            paf: (*paf).to_owned(),
            levels: levels.parse().ok()?,
            max: max.parse().ok()?,
            mean: mean.parse().ok()?,
            beyond: beyond.iter().map(|error| error.parse().ok()).collect::<Option<_>>()?,
        })
    }

    fn agrees(&self, other: &Figures) -> bool {
        let same = (&self.operator, &self.paf, self.levels) == (&other.operator, &other.paf, other.levels);
        let beyond = self.beyond.len() == other.beyond.len()
            && self.beyond.iter().zip(&other.beyond).all(|(a, b)| is_close(*a, *b, TOLERANCE_BEYOND));
        same && beyond && is_close(self.max, other.max, TOLERANCE) && is_close(self.mean, other.mean, TOLERANCE)
    }
}

fn is_close(a: f64, b: f64, relative: f64) -> bool {
    a == b || (a - b).abs() <= relative * b.abs()
}

/// The errors of a circuit on the clear engine.
fn measure(operator: Operator, circuit: &Circuit, side: usize, windows: &[Vec<f64>]) -> Vec<f64> {
    let outputs = clear_outputs(circuit, &samples_of(circuit, operator.samples(side, windows)));
    errors(operator, windows, outputs.into_iter().flat_map(|output| output.raw))
}

/// The largest error of a ReLU that gets more than its scale: inputs that a user's range check would refuse.
fn beyond(circuit: &Circuit, side: usize) -> Vec<f64> {
    let of_reach = |reach: f64| {
        let steps = (reach * 1000.0).round() as i32;
        let windows: Vec<Vec<f64>> = (-steps..=steps).map(|k| vec![f64::from(k) / 1000.0]).collect();
        let mut ports = circuit.program.inputs.clone();
        ports[0].range = (-2.0, 2.0);
        let samples = Samples::new(&ports, vec![Operator::Relu.samples(side, &windows)], None).expect("they fit");
        let outputs = simulate(circuit, &samples, Noise::Off).expect("the circuit runs");
        let results = outputs.into_iter().flat_map(|mut outputs| outputs.remove(0).raw);
        largest(&errors(Operator::Relu, &windows, results))
    };
    REACHES.map(of_reach).to_vec()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn golden() -> Vec<Figures> {
    let text = std::fs::read_to_string(repository(GOLDEN)).expect("the golden file");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Figures::parse(line).unwrap_or_else(|| panic!("{GOLDEN}: {line}"))).collect()
}

const GOLDEN: &str = "testdata/paf_errors.tsv";
const DOCUMENT: &str = "docs/paf-errors.md";

fn golden_text(figures: &[Figures]) -> String {
    let mut text =
        "# Errors of operators at scale 1, measured on the clear engine by compiler/tests/paf_errors.rs.\n".to_owned();
    let reaches: Vec<String> = REACHES.iter().map(|reach| format!("max_on_{reach}")).collect();
    writeln!(text, "# operator\tpaf\tlevels\tmax\tmean\t{}", reaches.join("\t")).expect("a string grows");
    figures.iter().for_each(|figures| writeln!(text, "{}", figures.line()).expect("a string grows"));
    text
}

const INTRODUCTION: &str = "# Errors of operators\n
Largest and mean absolute error at scale S = 1; multiply by the scale of the node, which `paf-compile --json` prints.
Measured on whole circuits of one node on the clear engine, `compiler/tests/paf_errors.rs`; encryption adds less than
2^-18 with the parameters of the tests. The file is generated from `testdata/paf_errors.tsv`: `PAF_BLESS=1 cargo test
--release -p paf-compiler --test paf_errors` writes both. A pool's scale includes the guard of its PAF.

Linear operators (Conv, Gemm, MatMul, AveragePool, BatchNormalization, sums, reshapes and their kin) are exact; they take
one level where they cannot melt into a neighbour, and reshapes none. A pool that stands alone, as here, takes a level to
gather its results, which the layer after it does otherwise.\n";

fn document(figures: &[Figures]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for operator in OPERATORS {
        let reaches = if operator == Operator::Relu { &REACHES[..] } else { &[] };
        let heads: String = reaches.iter().map(|reach| format!(" on [−{reach}, {reach}] |")).collect();
        let title = match operator {
            Operator::Relu => "Relu on [−1, 1], and the largest error where inputs leave that range".to_owned(),
            Operator::MaxPool(side) => format!("MaxPool {side}×{side} on [0, 1]"),
        };
        write!(text, "\n## {title}\n\n| PAF | levels | largest error | mean error |{heads}\n").expect("a string grows");
        writeln!(text, "|---|---|---|---|{}", "---|".repeat(reaches.len())).expect("a string grows");
        for row in figures.iter().filter(|figures| figures.operator == operator.name()) {
            let beyond: String = row.beyond.iter().map(|error| format!(" {error:.1e} |")).collect();
            let (paf, levels, max, mean) = (&row.paf, row.levels, row.max, row.mean);
            writeln!(text, "| `{paf}` | {levels} | {max:.2e} | {mean:.2e} |{beyond}").expect("a string grows");
        }
    }
    text
}

#[test]
fn errors_are_those_of_the_golden_file() {
    let names = Paf::names();
    let pairs = OPERATORS.iter().flat_map(|operator| names.iter().map(move |paf| (*operator, *paf)));
    let measured: Vec<Figures> = pairs.map(|(operator, paf)| Figures::measure(operator, paf)).collect();
    if std::env::var_os("PAF_BLESS").is_some() {
        std::fs::write(repository(GOLDEN), golden_text(&measured)).expect("a writable repository");
        std::fs::write(repository(DOCUMENT), document(&measured)).expect("a writable repository");
    }
    let golden = golden();
    assert_eq!(golden.len(), measured.len(), "{GOLDEN}: run with PAF_BLESS=1 to write it anew");
    let pairs = golden.iter().zip(&measured).filter(|(golden, measured)| !measured.agrees(golden));
    let differences: Vec<String> = pairs.map(|(a, b)| format!("- {}\n+ {}", a.line(), b.line())).collect();
    assert!(differences.is_empty(), "{GOLDEN}, PAF_BLESS=1 writes it anew:\n{}", differences.join("\n"));
}

#[test]
fn the_document_shows_the_golden_file() {
    let text = std::fs::read_to_string(repository(DOCUMENT)).expect("the document");
    assert!(text == document(&golden()), "{DOCUMENT} is not that of {GOLDEN}: run with PAF_BLESS=1");
}

/// Figures of the tables; 3×3 pools are no part: the tables reduce nine values by one tree, circuits rows, then columns.
fn published<'t>(tables: &'t Value, figures: &Figures) -> Option<(&'t Value, &'t Value)> {
    let errors = &tables[&figures.paf]["errors"];
    match figures.operator.as_str() {
        "Relu" => Some((&errors["relu_max_abs"], &errors["relu_mean_abs"])),
        "MaxPool2x2" => {
            let pools = &errors["maxpool"];
            let guarded = &pools["2x2_grid21_[0,1]_Sguard"];
            let pool = if guarded.is_object() { guarded } else { &pools["2x2_grid21_[0,1]_S1"] };
            Some((&pool["max_abs"], &pool["mean_abs"]))
        }
        _ => None,
    }
}

#[test]
fn golden_errors_equal_the_tables() {
    let folder = std::env::var_os("PAF_SHARED").map_or_else(|| repository("../shared"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(folder.join("paf_tables.json")) else {
        println!("skipped: no paf_tables.json in {}; set PAF_SHARED to its folder", folder.display());
        return;
    };
    let tables: Value = serde_json::from_str(&text).expect("paf_tables.json is JSON");
    for figures in golden() {
        let Some((max, mean)) = published(&tables, &figures) else { continue };
        let rounded = ["alpha11", "alpha12", "alpha13", "alpha14"].contains(&figures.paf.as_str());
        let tolerance = if rounded { HORNER_ROUNDING } else { TOLERANCE };
        for (ours, table) in [(figures.max, max), (figures.mean, mean)] {
            let table = table.as_f64().expect("a number");
            assert!(is_close(ours, table, tolerance), "{figures:?}: {ours:e}, the table has {table:e}");
        }
    }
}

/// The largest error of an encrypted run on evenly spread windows of the grid, as many as a small ring holds.
fn encrypted_error(operator: Operator, paf: &str) -> f64 {
    let side = if operator == Operator::Relu { 32 } else { 32 / (operator.window() as f64).sqrt() as usize };
    let grid = operator.grid();
    let step = grid.len().div_ceil(side * side);
    let windows: Vec<Vec<f64>> = grid.into_iter().step_by(step).collect();
    let circuit = Arc::new(operator.circuit(side, paf));
    let samples = samples_of(&circuit, operator.samples(side, &windows));
    let output = Parties::new(&circuit).infer(&samples, 0);
    largest(&errors(operator, &windows, output.raw))
}

/// ReLU with every PAF; pools with some of either kind, to keep the test short.
#[test]
fn encrypted_errors_stay_within_the_golden_file() {
    let _turn = exclusive();
    let pooled = ["alpha5", "alpha7", "alpha10", "f1_g2.smartpaf", "f1sq_g1sq.cheon"];
    for figures in golden() {
        let operator = OPERATORS.into_iter().find(|operator| operator.name() == figures.operator).expect("an operator");
        if operator == Operator::Relu || pooled.contains(&figures.paf.as_str()) {
            let error = encrypted_error(operator, &figures.paf);
            println!("{} {}: {error:.3e}, clear at most {:.3e}", figures.operator, figures.paf, figures.max);
            assert!(error <= figures.max + ENCRYPTION, "{figures:?}: {error:e} encrypted");
        }
    }
}
