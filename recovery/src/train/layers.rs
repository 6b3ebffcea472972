//! One node of a model: its kernels and its parameters.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use paf_ir::linear::{LinearMap, Primitive, Window};
use paf_ir::tensor::{Node, NodeId, Op};
use paf_passes::approximate::{Round, rounds};

use super::kernels::activation::Rectifier;
use super::kernels::channels::{ChannelAffine, Channels};
use super::kernels::convolution::Convolution;
use super::kernels::function::Elementwise;
use super::kernels::pool::MaxPool;
use super::kernels::sparse::SparseMap;
use super::parameters::{ParameterId, Parameters, Role};
use crate::error::RecoveryError;
use crate::network::REDUCTION;

/// What computes a node.
pub(super) enum Layer {
    Input,
    Linear(Linear),
    /// Tensors are flat: nothing to do.
    Reshape,
    BatchNorm(Normalization),
    Relu(Arc<Rectifier>),
    MaxPool(Pool),
    Function(Arc<Elementwise>),
    Add,
    Sub,
    Mul,
    Scale(f64),
    AddConstant(f64),
}

/// A chain of factors, a scale and a bias.
pub(super) struct Linear {
    pub(super) factors: Vec<Factor>,
    pub(super) scale: f64,
    pub(super) bias: Option<Offset>,
}

pub(super) enum Factor {
    Convolution { kernel: Arc<Convolution>, weight: ParameterId },
    Dense(Dense),
    Constant(Arc<SparseMap>),
    Diagonal { kernel: Arc<ChannelAffine>, factors: ParameterId, offsets: Tensor },
}

/// `y[l, o, r] = Σ_k w[o, k] · x[l, k, r]`.
pub(super) struct Dense {
    pub(super) weight: ParameterId,
    pub(super) left: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) right: usize,
}

/// A bias, together with the scale before it.
pub(super) struct Offset {
    pub(super) kernel: Arc<ChannelAffine>,
    pub(super) factors: Tensor,
    pub(super) offsets: ParameterId,
}

pub(super) struct Normalization {
    pub(super) channels: Channels,
    pub(super) affine: Arc<ChannelAffine>,
    pub(super) epsilon: f64,
    pub(super) gamma: ParameterId,
    pub(super) beta: ParameterId,
    pub(super) mean: ParameterId,
    pub(super) variance: ParameterId,
}

/// A MaxPool, exact and as the rounds in which circuits compare.
pub(super) struct Pool {
    pub(super) exact: Arc<MaxPool>,
    pub(super) rounds: Vec<Comparison>,
}

pub(super) enum Comparison {
    Select(Arc<SparseMap>),
    Max(Arc<SparseMap>, Arc<SparseMap>),
    /// The second selection is of the tensor before a round, given by its number.
    MaxWithEarlier(Arc<SparseMap>, Arc<SparseMap>, usize),
    Tree(Vec<Arc<SparseMap>>),
}

/// Makes layers and their parameters.
pub(super) struct Builder<'p> {
    pub(super) parameters: &'p mut Parameters,
    pub(super) dtype: DType,
}

impl Builder<'_> {
    pub(super) fn layer(&mut self, id: NodeId, node: &Node) -> Result<Layer, RecoveryError> {
        let width = node.shape.size();
        Ok(match &node.op {
            Op::Input => Layer::Input,
            Op::Linear(map) => Layer::Linear(self.linear(id, map)?),
            Op::Reshape => Layer::Reshape,
            Op::BatchNorm(_) => Layer::BatchNorm(self.normalization(id, node)?),
            Op::Relu => Layer::Relu(Arc::new(Rectifier { width })),
            Op::MaxPool(window) => Layer::MaxPool(pool(node, window)?),
            Op::Function(function) => Layer::Function(Arc::new(Elementwise { function: *function, width })),
            Op::Add => Layer::Add,
            Op::Sub => Layer::Sub,
            Op::Mul => Layer::Mul,
            Op::Scale(factor) => Layer::Scale(*factor),
            Op::AddConstant(offset) => Layer::AddConstant(*offset),
        })
    }

    fn linear(&mut self, id: NodeId, map: &LinearMap) -> Result<Linear, RecoveryError> {
        let factors = map.factors.iter().enumerate();
        let factors = factors.map(|(place, factor)| self.factor(id, place, factor)).collect::<Result<_, _>>()?;
        let bias = match &map.bias {
            Some(bias) => {
                let channels = Channels { count: bias.values.data.len(), repeat: bias.repeat, width: map.outputs };
                Some(Offset {
                    kernel: Arc::new(ChannelAffine(channels)),
                    factors: self.filled(map.scale, channels.count)?,
                    offsets: self.parameters.weights(id, Role::Bias, &bias.values, self.dtype)?,
                })
            }
            None => None,
        };
        Ok(Linear { factors, scale: map.scale, bias })
    }

    fn factor(&mut self, id: NodeId, place: usize, factor: &Primitive) -> Result<Factor, RecoveryError> {
        let role = Role::Weight(place);
        Ok(match factor {
            Primitive::Conv(conv) => Factor::Convolution {
                kernel: Arc::new(Convolution::new(&conv.window, conv.groups, conv.weight.shape.0[0])),
                weight: self.parameters.weights(id, role, &conv.weight, self.dtype)?,
            },
            Primitive::Dense { weight, left, right } => Factor::Dense(Dense {
                weight: self.parameters.weights(id, role, weight, self.dtype)?,
                left: *left,
                inputs: weight.shape.0[1],
                outputs: weight.shape.0[0],
                right: *right,
            }),
            Primitive::Diagonal { values, repeat, size } => {
                let channels = Channels { count: values.data.len(), repeat: *repeat, width: *size };
                Factor::Diagonal {
                    kernel: Arc::new(ChannelAffine(channels)),
                    factors: self.parameters.weights(id, role, values, self.dtype)?,
                    offsets: self.filled(0.0, channels.count)?,
                }
            }
            constant => Factor::Constant(Arc::new(SparseMap::new(&constant.matrix()))),
        })
    }

    fn normalization(&mut self, id: NodeId, node: &Node) -> Result<Normalization, RecoveryError> {
        let Op::BatchNorm(norm) = &node.op else { unreachable!("the caller matched a batch normalization") };
        let repeat = node.shape.0[2..].iter().product();
        let channels = Channels { count: norm.scale.data.len(), repeat, width: node.shape.size() };
        Ok(Normalization {
            channels,
            affine: Arc::new(ChannelAffine(channels)),
            epsilon: norm.epsilon,
            gamma: self.parameters.weights(id, Role::Gamma, &norm.scale, self.dtype)?,
            beta: self.parameters.weights(id, Role::Beta, &norm.bias, self.dtype)?,
            mean: self.parameters.weights(id, Role::Mean, &norm.mean, self.dtype)?,
            variance: self.parameters.weights(id, Role::Variance, &norm.variance, self.dtype)?,
        })
    }

    fn filled(&self, value: f64, count: usize) -> Result<Tensor, RecoveryError> {
        Ok(Tensor::full(value, count, &Device::Cpu)?.to_dtype(self.dtype)?)
    }
}

fn pool(node: &Node, window: &Window) -> Result<Pool, RecoveryError> {
    let map = |map: &LinearMap| Arc::new(SparseMap::new(&map.matrix()));
    let comparison = |round: &Round| match round {
        Round::Select(selection) => Ok(Comparison::Select(map(selection))),
        Round::Max(first, second) => Ok(Comparison::Max(map(first), map(second))),
        Round::MaxWithEarlier { first, rest, earlier } => {
            Ok(Comparison::MaxWithEarlier(map(first), map(rest), *earlier))
        }
        Round::Tree(taps) => Ok(Comparison::Tree(taps.iter().map(map).collect())),
        Round::MaxWithZero { .. } | Round::TreeWithZero(_) => {
            let problem = "a pool with a zero among its operands cannot be trained".to_owned();
            Err(RecoveryError::Node { node: node.name.clone(), problem })
        }
    };
    let rounds = rounds(window, REDUCTION).iter().map(comparison).collect::<Result<_, _>>()?;
    Ok(Pool { exact: Arc::new(MaxPool::new(window)), rounds })
}
