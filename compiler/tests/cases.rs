//! The cases of the shared data: small models that those of users boil down to, each made by a script that writes what
//! onnxruntime computes beside it. Results are right, and encrypted they are as precise as was predicted.

use std::path::{Path, PathBuf};

use paf_circuit::Circuit;
use paf_compiler::options::{Calibration, CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_runtime::{Samples, npy};
use testkit::parties::{assert_bits, clear_outputs};
use testkit::python::run_script;
use testkit::{entries, shared, stem};

/// Samples that are encrypted.
const ENCRYPTED: usize = 4;

/// By how much results may differ from onnxruntime's, in parts of the largest one, with precise PAFs.
const TOLERANCE: f64 = 1e-3;

/// The same where onnxruntime rounds to 8 bits: in the model, which is read as the network that it was quantized from, and
/// where it fuses dequantized weights into its own product.
const QUANTIZED: [(&str, f64); 2] = [("qdq_static", 0.08), ("const_subgraph", 0.005)];

/// What is refused, and the operator that the refusal names.
const REFUSED: (&str, &str) = ("tree_ensemble_message", "TreeEnsembleRegressor");

/// Rings above this one take gigabytes of keys: their circuits are encrypted with test parameters.
const LARGEST_RING: usize = 1 << 15;

macro_rules! cases {
    ($($name:ident)*) => {
        const ACCEPTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            #[ignore = "needs PAF_SHARED"]
            fn $name() {
                Case::of(stringify!($name)).check();
            }
        )*
    };
}

cases! {
    argmax_label_table
    const_subgraph
    dead_relu_channel_bn
    dynamic_hw
    embedding_l2_end
    instancenorm_group
    keras_norm_constant_feature
    layernorm_fused
    logreg_final_sigmoid
    mlp_final_tanh
    qdq_static
    raw_tabular_ranges
    sk_linear_regressor
    sk_scaler_linear_classifier
    uint8_image_input
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn no_case_is_left_out() {
    let scripts = entries(&shared("cases")).into_iter().filter(|path| path.extension().is_some_and(|end| end == "py"));
    let mut known = [ACCEPTED, &[REFUSED.0]].concat();
    known.sort_unstable();
    assert_eq!(scripts.map(|path| stem(&path)).collect::<Vec<_>>(), known);
}

#[test]
#[ignore = "needs PAF_SHARED"]
fn a_refusal_names_the_operator() {
    let case = Case::of(REFUSED.0);
    let message = compile(&case.options()).expect_err("trees are not supported").to_string();
    assert!(message.contains(REFUSED.1), "{message}");
}

/// A folder with what a script wrote.
struct Case {
    name: &'static str,
    folder: tempfile::TempDir,
}

impl Case {
    fn of(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = shared("cases").join(name).with_extension("py");
        run_script(Path::new(env!("CARGO_TARGET_TMPDIR")), &script, &[folder.path()]);
        Case { name, folder }
    }

    /// `NAME.npy`, or `NAME_0.npy` and so on; by the place of the input or output.
    fn arrays(&self, name: &str) -> Vec<(usize, PathBuf)> {
        let place = |path: &Path| match stem(path).strip_prefix(name)? {
            "" => Some(0),
            number => number.strip_prefix('_')?.parse().ok(),
        };
        let files = entries(self.folder.path()).into_iter();
        files.filter_map(|path| place(&path).map(|place| (place, path))).collect()
    }

    fn inputs(&self) -> Vec<PathBuf> {
        self.arrays("input").into_iter().map(|(_, path)| path).collect()
    }

    fn options(&self) -> CompileOptions {
        let model = self.folder.path().join("model.onnx");
        CompileOptions { calibration: Calibration::Files(self.inputs()), ..CompileOptions::for_model(model) }
    }

    fn circuit(&self, options: &CompileOptions) -> Circuit {
        compile(options).unwrap_or_else(|problem| panic!("{}: {problem}", self.name)).circuit
    }

    fn samples(&self, circuit: &Circuit) -> Samples {
        let read = |path: &PathBuf| npy::read(path).expect("NumPy's array");
        let arrays = self.inputs().iter().map(read).collect();
        Samples::new(&circuit.program.inputs, arrays, None).expect("the inputs fit")
    }

    fn check(&self) {
        let precise = CompileOptions {
            pafs: vec![PafChoice { node: None, paf: "alpha15".into() }],
            function_error: Some(TOLERANCE / 100.0),
            ..self.options()
        };
        self.check_values(&self.circuit(&precise));
        let circuit = self.circuit(&self.options());
        let insecure = || self.circuit(&CompileOptions { insecure: true, ..self.options() });
        let small = if circuit.parameters.ring_dimension <= LARGEST_RING { circuit } else { insecure() };
        assert_bits(&small, &self.samples(&small), ENCRYPTED, self.name);
    }

    /// Compares the clear run with what the script expects.
    fn check_values(&self, circuit: &Circuit) {
        let outputs = clear_outputs(circuit, &self.samples(circuit));
        let quantized = QUANTIZED.into_iter().find(|(name, _)| *name == self.name);
        let tolerance = quantized.map_or(TOLERANCE, |(_, tolerance)| tolerance);
        let expectations = self.arrays("expected");
        assert!(!expectations.is_empty(), "{}: nothing is expected", self.name);
        for (place, path) in expectations {
            let expected = npy::read(&path).expect("NumPy's array").data;
            let results: Vec<f64> = outputs.iter().flat_map(|output| output.results[place].iter().copied()).collect();
            assert_eq!(results.len(), expected.len(), "{}, output {place}", self.name);
            let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let worst = results.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{}, output {place}: off by {worst:.1e} of {largest:.2}", self.name);
            assert!(worst <= tolerance * largest, "{}, output {place}: off by {worst} of {largest}", self.name);
        }
    }
}
