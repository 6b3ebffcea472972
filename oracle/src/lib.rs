//! The original network on plain numbers: an ONNX file run by [tract](https://docs.rs/tract-onnx), none of whose code is
//! ours. Circuits are compared with it, by the tests of all crates and by `paf-run simulate --model`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use rayon::prelude::*;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value as Size;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

/// Why a model gives no results.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The file is no ONNX model, or one whose inputs say too little.
    #[error("{path}: {problem}")]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// tract does not take the model, or the input.
    #[error("{path}: tract does not run it: {message}")]
    Tract {
        /// The file.
        path: PathBuf,
        /// What tract says.
        message: String,
    },
}

/// The values of one tensor, row-major.
pub type Values = Vec<f32>;

/// A model that tract prepared for a batch of 1.
pub struct Oracle {
    path: PathBuf,
    plan: Arc<TypedRunnableModel>,
    /// Of the inputs that are no weights.
    shapes: Vec<Vec<usize>>,
    /// The names of its outputs.
    outputs: Vec<String>,
}

impl Oracle {
    /// Prepares a model.
    ///
    /// # Errors
    /// [`OracleError`] for a file that is no model or that tract cannot analyse.
    pub fn load(path: &Path) -> Result<Self, OracleError> {
        Self::load_for(path, &[])
    }

    /// Prepares a model for samples of these shapes, one for each input that is no weight, which say the sizes that the file
    /// leaves open; without them these are 1.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_for(path: &Path, samples: &[&[usize]]) -> Result<Self, OracleError> {
        let graph = graph(path)?;
        let mut shapes = input_shapes(path, &graph)?;
        if shapes.len() == samples.len() {
            shapes.iter_mut().zip(samples).for_each(|(shape, sample)| adopt(shape, sample));
        }
        let prepare = || -> TractResult<Arc<TypedRunnableModel>> {
            let mut model = tract_onnx::onnx().with_ignore_value_info(true).model_for_path(path)?;
            for (port, shape) in shapes.iter().enumerate() {
                model = model.with_input_fact(port, f32::fact(shape).into())?;
            }
            model.into_optimized()?.into_runnable()
        };
        let plan = prepare().map_err(|error| in_words(path, &error))?;
        let outputs = graph.output.into_iter().map(|output| output.name).collect();
        Ok(Oracle { path: path.to_owned(), plan, shapes, outputs })
    }

    /// The names of its outputs, in their order.
    pub fn output_names(&self) -> &[String] {
        &self.outputs
    }

    /// The outputs on one sample of a model of one input, in the model's order; integer outputs become floats.
    ///
    /// # Errors
    /// As [`Self::run_ports`].
    pub fn run(&self, input: &[f32]) -> Result<Vec<Values>, OracleError> {
        self.run_ports(&[input])
    }

    /// The outputs on one sample, which has a tensor for each input.
    ///
    /// # Errors
    /// [`OracleError::Model`] for values that are not those of the inputs, [`OracleError::Tract`].
    pub fn run_ports(&self, inputs: &[&[f32]]) -> Result<Vec<Values>, OracleError> {
        self.check(inputs)?;
        let run = || -> TractResult<Vec<Values>> {
            let tensor = |(shape, values): (&Vec<usize>, &&[f32])| Ok(Tensor::from_shape(shape, values)?.into());
            let tensors = self.shapes.iter().zip(inputs).map(tensor).collect::<TractResult<TVec<TValue>>>()?;
            let outputs = self.plan.run(tensors)?;
            outputs.iter().map(|output| Ok(output.cast_to::<f32>()?.view().as_slice::<f32>()?.to_vec())).collect()
        };
        run().map_err(|error| in_words(&self.path, &error))
    }

    /// The outputs on each of many samples, in parallel.
    ///
    /// # Errors
    /// As [`Self::run_ports`].
    pub fn run_all(&self, samples: &[Vec<Values>]) -> Result<Vec<Vec<Values>>, OracleError> {
        let one = |sample: &Vec<Values>| self.run_ports(&sample.iter().map(Vec::as_slice).collect::<Vec<_>>());
        samples.par_iter().map(one).collect()
    }

    fn check(&self, inputs: &[&[f32]]) -> Result<(), OracleError> {
        let sizes: Vec<usize> = self.shapes.iter().map(|shape| shape.iter().product()).collect();
        let given: Vec<usize> = inputs.iter().map(|values| values.len()).collect();
        if sizes == given {
            return Ok(());
        }
        Err(self::problem(&self.path, format!("a sample of its inputs is {sizes:?} values, not {given:?}")))
    }
}

/// A constant that tract computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements, row-major.
    pub values: Vec<f64>,
    /// The type of its elements, as ONNX numbers them.
    pub element_type: i32,
}

/// The outputs of a model without inputs, given as the bytes of its file.
///
/// # Errors
/// What tract says, in words.
pub fn constants(model: &[u8]) -> Result<Vec<Computed>, String> {
    let run = || -> TractResult<Vec<Computed>> {
        let model = tract_onnx::onnx().with_ignore_value_info(true).model_for_read(&mut &*model)?;
        let outputs = model.into_optimized()?.into_runnable()?.run(tvec![])?;
        outputs.iter().map(|output| computed(output)).collect()
    };
    run().map_err(|error| format!("{error:#}"))
}

fn computed(output: &Tensor) -> TractResult<Computed> {
    let element_type = match output.datum_type() {
        DatumType::Bool => DataType::Bool,
        integer if integer.is_integer() || integer == DatumType::TDim => DataType::Int64,
        _ => DataType::Float,
    };
    let values = output.cast_to::<f64>()?.view().as_slice::<f64>()?.to_vec();
    Ok(Computed { shape: output.shape().to_vec(), values, element_type: element_type as i32 })
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("path", &self.path).field("shapes", &self.shapes).finish_non_exhaustive()
    }
}

fn in_words(path: &Path, error: &TractError) -> OracleError {
    OracleError::Tract { path: path.to_owned(), message: format!("{error:#}") }
}

fn problem(path: &Path, problem: impl Into<String>) -> OracleError {
    OracleError::Model { path: path.to_owned(), problem: problem.into() }
}

/// Gives a tensor the sizes of a sample, which may lack the first axis, that of a batch.
fn adopt(shape: &mut Vec<usize>, sample: &[usize]) {
    match shape.len().checked_sub(sample.len()) {
        Some(0) => *shape = sample.to_vec(),
        Some(1) => *shape = [&[1], sample].concat(),
        _ => {}
    }
}

/// The graph of a file.
fn graph(path: &Path) -> Result<GraphProto, OracleError> {
    let bytes = std::fs::read(path).map_err(|source| OracleError::Read { path: path.to_owned(), source })?;
    let model =
        ModelProto::decode(&bytes[..]).map_err(|error| problem(path, format!("it is no ONNX model: {error}")))?;
    model.graph.ok_or_else(|| problem(path, "a model without a graph"))
}

/// The shapes of the inputs that are no weights, with 1 in the place of symbols.
fn input_shapes(path: &Path, graph: &GraphProto) -> Result<Vec<Vec<usize>>, OracleError> {
    let is_weight = |input: &ValueInfoProto| graph.initializer.iter().any(|weight| weight.name == input.name);
    let shape_of = |input: &ValueInfoProto| {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_ref().and_then(|it| it.value.as_ref()) else {
            return Err(problem(path, format!("input `{}` is no tensor", input.name)));
        };
        let shape = tensor.shape.as_ref();
        let axes = &shape.ok_or_else(|| problem(path, format!("input `{}` has no shape", input.name)))?.dim;
        let size = |axis: &Option<Size>| match axis {
            Some(Size::DimValue(size)) => usize::try_from(*size).unwrap_or(1).max(1),
            _ => 1,
        };
        Ok(axes.iter().map(|axis| size(&axis.value)).collect())
    };
    graph.input.iter().filter(|input| !is_weight(input)).map(shape_of).collect()
}
