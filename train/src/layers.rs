//! One node of a model: its kernels and its parameters.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use paf_adapt::convolve::Convolution;
use paf_ir::linear::{LinearMap, Primitive, Window};
use paf_ir::tensor::{Node, NodeId, Op};
use paf_passes::approximate::{Reduction, Round, rounds};

use crate::error::TrainError;
use crate::fused::activation::ExactRectifier;
use crate::fused::channels::{ChannelAffine, Channels};
use crate::fused::function::Elementwise;
use crate::fused::pool::MaxPool;
use crate::fused::sparse::SparseMap;
use crate::parameters::{ParameterId, Parameters, Role};

/// What computes a node.
pub(crate) enum Layer {
    Input,
    Linear(Linear),
    /// Tensors are flat: nothing to do.
    Reshape,
    BatchNorm(Normalization),
    Relu(Arc<ExactRectifier>),
    MaxPool(Pool),
    Function(Arc<Elementwise>),
    Add,
    Sub,
    Mul,
    Scale(f64),
    AddConstant(f64),
}

/// A chain of factors, a scale and a bias.
pub(crate) struct Linear {
    pub(crate) factors: Vec<Factor>,
    pub(crate) scale: f64,
    pub(crate) bias: Option<Offset>,
}

pub(crate) enum Factor {
    Convolution { kernel: Arc<Convolution>, weight: ParameterId },
    Dense(Dense),
    Constant(Arc<SparseMap>),
    Diagonal { kernel: Arc<ChannelAffine>, factors: ParameterId, offsets: Tensor },
}

/// `y[l, o, r] = Σ_k w[o, k] · x[l, k, r]`.
pub(crate) struct Dense {
    pub(crate) weight: ParameterId,
    pub(crate) left: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) right: usize,
}

/// A bias, together with the scale before it.
pub(crate) struct Offset {
    pub(crate) kernel: Arc<ChannelAffine>,
    pub(crate) factors: Tensor,
    pub(crate) offsets: ParameterId,
}

pub(crate) struct Normalization {
    pub(crate) channels: Channels,
    pub(crate) affine: Arc<ChannelAffine>,
    pub(crate) epsilon: f64,
    pub(crate) gamma: ParameterId,
    pub(crate) beta: ParameterId,
    pub(crate) mean: ParameterId,
    pub(crate) variance: ParameterId,
}

/// A MaxPool, exact and as the rounds in which circuits compare.
pub(crate) struct Pool {
    pub(crate) exact: Arc<MaxPool>,
    pub(crate) rounds: Vec<Round<Arc<SparseMap>>>,
}

/// Makes layers and their parameters.
pub(crate) struct Builder<'p> {
    pub(crate) parameters: &'p mut Parameters,
    pub(crate) reduction: Reduction,
    pub(crate) dtype: DType,
}

impl Builder<'_> {
    pub(crate) fn layer(&mut self, id: NodeId, node: &Node) -> Result<Layer, TrainError> {
        let width = node.shape.size();
        Ok(match &node.op {
            Op::Input => Layer::Input,
            Op::Linear(map) => Layer::Linear(self.linear(id, map)?),
            Op::Reshape => Layer::Reshape,
            Op::BatchNorm(_) => Layer::BatchNorm(self.normalization(id, node)?),
            Op::Relu => Layer::Relu(Arc::new(ExactRectifier { width })),
            Op::MaxPool(window) => Layer::MaxPool(pool(window, self.reduction)),
            Op::Function(function) => Layer::Function(Arc::new(Elementwise { function: *function, width })),
            Op::Add => Layer::Add,
            Op::Sub => Layer::Sub,
            Op::Mul => Layer::Mul,
            Op::Scale(factor) => Layer::Scale(*factor),
            Op::AddConstant(offset) => Layer::AddConstant(*offset),
        })
    }

    fn linear(&mut self, id: NodeId, map: &LinearMap) -> Result<Linear, TrainError> {
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

    fn factor(&mut self, id: NodeId, place: usize, factor: &Primitive) -> Result<Factor, TrainError> {
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

    fn normalization(&mut self, id: NodeId, node: &Node) -> Result<Normalization, TrainError> {
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

    fn filled(&self, value: f64, count: usize) -> Result<Tensor, TrainError> {
        Ok(Tensor::full(value, count, &Device::Cpu)?.to_dtype(self.dtype)?)
    }
}

fn pool(window: &Window, reduction: Reduction) -> Pool {
    let prepare = |map: &LinearMap| Arc::new(SparseMap::new(&map.matrix()));
    let rounds = rounds(window, reduction).iter().map(|round| round.prepared(prepare)).collect();
    Pool { exact: Arc::new(MaxPool::new(window)), rounds }
}
