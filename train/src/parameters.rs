//! The numbers that training changes, and their way back into the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use paf_ir::linear::{Bias, LinearMap, Primitive};
use paf_ir::tensor::{BatchNorm, Constant, NodeId, Op};

use crate::error::TrainError;

/// Place of a parameter in [`Parameters`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ParameterId(pub(crate) usize);

/// What a parameter is in its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Weights of a linear map's factor, by its place among the factors.
    Weight(usize),
    /// The bias of a linear map.
    Bias,
    /// γ of a batch normalization.
    Gamma,
    /// β of a batch normalization.
    Beta,
    /// Running mean; estimated, never trained.
    Mean,
    /// Running variance; estimated, never trained.
    Variance,
    /// Coefficients of a PAF: odd ones of all components one after the other, or series channel by channel.
    Coefficients,
}

impl Role {
    /// Whether gradients change it.
    pub(crate) fn is_weight(self) -> bool {
        matches!(self, Role::Weight(_) | Role::Bias | Role::Gamma | Role::Beta)
    }
}

/// One tensor of parameters.
pub(crate) struct Parameter {
    pub(crate) node: NodeId,
    pub(crate) role: Role,
    pub(crate) variable: Var,
    /// The weights it came from; nodes that shared them share the parameter.
    origin: Option<Constant>,
}

/// All parameters of a model.
#[derive(Default)]
pub(crate) struct Parameters(pub(crate) Vec<Parameter>);

impl Parameters {
    pub(crate) fn ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        (0..self.0.len()).map(ParameterId)
    }

    pub(crate) fn get(&self, id: ParameterId) -> &Parameter {
        &self.0[id.0]
    }

    /// A parameter made of weights; weights that several nodes share are one parameter.
    pub(crate) fn weights(
        &mut self,
        node: NodeId,
        role: Role,
        weights: &Constant,
        dtype: DType,
    ) -> Result<ParameterId, TrainError> {
        let is_same = |parameter: &Parameter| {
            let origin = parameter.origin.as_ref();
            origin.is_some_and(|origin| Arc::ptr_eq(origin, weights)) && parameter.role.is_weight() == role.is_weight()
        };
        if let Some(place) = self.0.iter().position(is_same) {
            return Ok(ParameterId(place));
        }
        let values = Tensor::from_vec(weights.data.clone(), weights.data.len(), &Device::Cpu)?.to_dtype(dtype)?;
        self.0.push(Parameter { node, role, variable: Var::from_tensor(&values)?, origin: Some(weights.clone()) });
        Ok(ParameterId(self.0.len() - 1))
    }

    /// The coefficients of a PAF, in double precision.
    pub(crate) fn coefficients(&mut self, node: NodeId, values: Vec<f64>) -> Result<ParameterId, TrainError> {
        let variable = Var::from_vec(values.clone(), values.len(), &Device::Cpu)?;
        self.0.push(Parameter { node, role: Role::Coefficients, variable, origin: None });
        Ok(ParameterId(self.0.len() - 1))
    }

    /// A name that is the same in every run.
    pub(crate) fn name(&self, id: ParameterId) -> String {
        let parameter = self.get(id);
        format!("{}.{:?}", parameter.node.0, parameter.role)
    }

    /// Current values in double precision.
    pub(crate) fn values(&self, id: ParameterId) -> Result<Vec<f64>, TrainError> {
        Ok(self.get(id).variable.as_tensor().to_dtype(DType::F64)?.to_vec1()?)
    }

    /// Copies of all values.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, TrainError> {
        self.0.iter().map(|parameter| Ok(parameter.variable.as_tensor().copy()?.detach())).collect()
    }

    /// Puts copies back.
    pub(crate) fn restore(&self, snapshot: &Snapshot) -> Result<(), TrainError> {
        self.0.iter().zip(snapshot).try_for_each(|(parameter, values)| Ok(parameter.variable.set(values)?))
    }

    /// The first node by whose parameters two snapshots differ. Nodes that share weights count as the first of them.
    pub(crate) fn first_difference(&self, a: &Snapshot, b: &Snapshot) -> Result<Option<NodeId>, TrainError> {
        let mut first = None;
        for (parameter, (a, b)) in self.0.iter().zip(a.iter().zip(b)) {
            let values = |tensor: &Tensor| tensor.to_dtype(DType::F64)?.to_vec1::<f64>();
            if values(a)? != values(b)? {
                first = Some(first.map_or(parameter.node, |first: NodeId| first.min(parameter.node)));
            }
        }
        Ok(first)
    }

    /// The weights after training; the very same constant where nothing changed.
    fn constant(&self, id: ParameterId, before: &Constant) -> Result<Constant, TrainError> {
        let values = self.values(id)?;
        let is_same = values.iter().zip(&before.data).all(|(new, old)| *new as f32 == *old as f32);
        if is_same {
            return Ok(before.clone());
        }
        Ok(Arc::new(paf_ir::tensor::Tensor::new(before.shape.clone(), values)))
    }
}

/// Values of all parameters, in order.
pub(crate) type Snapshot = Vec<Tensor>;

/// Which parameters a node has.
pub(crate) type ByRole = BTreeMap<Role, ParameterId>;

/// The operation with the weights that training left.
pub(crate) fn with_parameters(op: &Op, roles: &ByRole, parameters: &Parameters) -> Result<Op, TrainError> {
    let constant = |role: Role, before: &Constant| match roles.get(&role) {
        Some(&id) => parameters.constant(id, before),
        None => Ok(before.clone()),
    };
    Ok(match op {
        Op::BatchNorm(norm) => Op::BatchNorm(BatchNorm {
            scale: constant(Role::Gamma, &norm.scale)?,
            bias: constant(Role::Beta, &norm.bias)?,
            mean: constant(Role::Mean, &norm.mean)?,
            variance: constant(Role::Variance, &norm.variance)?,
            epsilon: norm.epsilon,
        }),
        Op::Linear(map) => {
            let with_weights = |(place, factor): (usize, &Primitive)| {
                factor.constant().map_or_else(
                    || Ok(factor.clone()),
                    |weights| Ok(replaced(factor, constant(Role::Weight(place), weights)?)),
                )
            };
            let factors = map.factors.iter().enumerate().map(with_weights).collect::<Result<_, TrainError>>()?;
            let bias = match &map.bias {
                Some(bias) => Some(Bias { values: constant(Role::Bias, &bias.values)?, repeat: bias.repeat }),
                None => None,
            };
            Op::Linear(Arc::new(LinearMap { factors, bias, ..(**map).clone() }))
        }
        other => other.clone(),
    })
}

fn replaced(factor: &Primitive, weights: Constant) -> Primitive {
    match factor.clone() {
        Primitive::Conv(mut conv) => {
            conv.weight = weights;
            Primitive::Conv(conv)
        }
        Primitive::Dense { left, right, .. } => Primitive::Dense { weight: weights, left, right },
        Primitive::Diagonal { repeat, size, .. } => Primitive::Diagonal { values: weights, repeat, size },
        other => other,
    }
}
