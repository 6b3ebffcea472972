//! The differentiable form of a network.
//!
//! Every node of the graph is a layer on flat tensors `[batch, elements]`; weights and PAF coefficients are variables on
//! candle's tape. What a pass does not train is off the tape, so gradients are computed from the last trained node on
//! only as far as the first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType, Tensor};
use paf_adapt::network::NodePaf;
use paf_ir::tensor::{Graph, Live, NodeId, Op};
use paf_passes::approximate::{Comparing, Reduction, Scaling, reduced};
use paf_passes::paf::Paf;

use crate::error::TrainError;
use crate::fused::activation::{PafRectifier, Shape};
use crate::fused::apply;
use crate::fused::channels::{BatchNormalization, Statistics};
use crate::fused::sparse::SparseMap;
use crate::layers::{Builder, Dense, Factor, Layer, Linear, Normalization, Pool};
use crate::parameters::{ByRole, ParameterId, Parameters, Role, with_parameters};

/// A network whose outputs can be differentiated by its parameters.
pub(crate) struct TapeModel {
    pub(crate) graph: Graph,
    /// How its pools compare.
    pub(crate) reduction: Reduction,
    pub(crate) parameters: Parameters,
    layers: Vec<Layer>,
    pafs: BTreeMap<NodeId, Place>,
    dtype: DType,
}

/// Where a PAF stands.
struct Place {
    name: String,
    coefficients: ParameterId,
    shape: Shape,
    scale: Scaling,
    /// Whether it stands for its node now, or the node is still exact.
    active: bool,
}

/// Which statistics normalize.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Normalizing {
    /// The running ones, as in deployment.
    Running,
    /// Those of the batch.
    Batch,
}

/// What a pass does besides computing.
pub(crate) struct Pass<'p> {
    /// Parameters on the tape.
    pub(crate) trained: &'p BTreeSet<ParameterId>,
    pub(crate) normalizing: Normalizing,
}

/// What a pass shows on its way.
pub(crate) enum Seen<'s> {
    /// The input of a ReLU or MaxPool.
    Operand(&'s Tensor),
    /// What a MaxPool with a PAF gives to the sign in one of its comparisons.
    Difference(&'s Tensor),
    /// The statistics of the batch at a batch normalization, where they are used.
    Statistics(Statistics),
}

/// Takes in what a pass shows.
pub(crate) type Observer<'o> = dyn FnMut(NodeId, Seen<'_>) -> Result<(), TrainError> + 'o;

impl TapeModel {
    /// The model of a graph, all of it exact, whose pools compare in this way. `dtype` is that of activations and weights.
    pub(crate) fn new(graph: &Graph, reduction: Reduction, dtype: DType) -> Result<Self, TrainError> {
        let mut parameters = Parameters::default();
        let mut builder = Builder { parameters: &mut parameters, reduction, dtype };
        let layers = graph.nodes().map(|(id, node)| builder.layer(id, node)).collect::<Result<_, _>>()?;
        Ok(TapeModel { graph: graph.clone(), reduction, parameters, layers, pafs: BTreeMap::new(), dtype })
    }

    /// Number type of activations.
    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Gives a ReLU or MaxPool a PAF, to be used once it is active.
    pub(crate) fn add_paf(&mut self, id: NodeId, paf: &Paf, scale: &Scaling) -> Result<(), TrainError> {
        let (shape, coefficients) = Shape::of(paf);
        let place = Place {
            name: paf.name.clone(),
            coefficients: self.parameters.coefficients(id, coefficients)?,
            shape,
            scale: scale.clone(),
            active: false,
        };
        self.pafs.insert(id, place);
        Ok(())
    }

    /// Makes these nodes, and no others, use their PAFs.
    pub(crate) fn activate(&mut self, nodes: &[NodeId]) {
        self.pafs.iter_mut().for_each(|(id, place)| place.active = nodes.contains(id));
    }

    /// The scale of a node's PAF.
    pub(crate) fn scale(&self, id: NodeId) -> Option<&Scaling> {
        self.pafs.get(&id).map(|place| &place.scale)
    }

    /// All scales, by node number.
    pub(crate) fn scales(&self) -> BTreeMap<u32, Vec<f64>> {
        self.pafs.iter().map(|(id, place)| (id.0, place.scale.parts(1).0.to_vec())).collect()
    }

    /// Puts scales back that [`TapeModel::scales`] gave.
    pub(crate) fn set_scales(&mut self, scales: &BTreeMap<u32, Vec<f64>>) {
        for (id, place) in &mut self.pafs {
            match (scales.get(&id.0).map(Vec::as_slice), &mut place.scale) {
                (Some([scale]), Scaling::Uniform(own)) => *own = *scale,
                (Some(scales), Scaling::Channels(own)) if scales.len() == own.len() => *own = scales.to_vec(),
                _ => {}
            }
        }
    }

    /// Gives a node's PAF another scale.
    pub(crate) fn set_scale(&mut self, id: NodeId, scale: Scaling) {
        if let Some(place) = self.pafs.get_mut(&id) {
            place.scale = scale;
        }
    }

    /// The parameter that holds a node's coefficients.
    pub(crate) fn coefficients(&self, id: NodeId) -> Option<ParameterId> {
        self.pafs.get(&id).map(|place| place.coefficients)
    }

    /// The PAF as it is now.
    pub(crate) fn paf(&self, id: NodeId) -> Result<Option<Paf>, TrainError> {
        let Some(place) = self.pafs.get(&id) else { return Ok(None) };
        let parts = place.shape.parts(&self.parameters.values(place.coefficients)?);
        Ok(Some(match place.shape {
            Shape::Sign(_) => Paf::from_components(&place.name, parts)?,
            Shape::Series(_) => Paf::from_series(&place.name, parts)?,
        }))
    }

    /// The graph with the weights as they are now, and the PAFs with theirs.
    pub(crate) fn export(&self, pafs: &mut BTreeMap<NodeId, NodePaf>) -> Result<Graph, TrainError> {
        let mut graph = self.graph.clone();
        for (id, node) in self.graph.nodes() {
            if matches!(node.op, Op::Linear(_) | Op::BatchNorm(_)) {
                graph.replace_weights(id, with_parameters(&node.op, &self.roles(id), &self.parameters)?)?;
            }
        }
        for (id, chosen) in pafs.iter_mut() {
            if let (Some(paf), Some(scale)) = (self.paf(*id)?, self.scale(*id)) {
                let is_same = Shape::of(&chosen.paf) == Shape::of(&paf);
                chosen.paf = if is_same { chosen.paf.clone().settled() } else { paf };
                chosen.scale = scale.clone();
            }
        }
        Ok(graph)
    }

    /// The weights of a node by role.
    pub(crate) fn roles(&self, id: NodeId) -> ByRole {
        match &self.layers[id.index()] {
            Layer::Linear(linear) => linear.roles(),
            Layer::BatchNorm(norm) => BTreeMap::from([
                (Role::Gamma, norm.gamma),
                (Role::Beta, norm.beta),
                (Role::Mean, norm.mean),
                (Role::Variance, norm.variance),
            ]),
            _ => ByRole::new(),
        }
    }

    /// The result of the network on a batch `[batch, elements]`.
    pub(crate) fn forward(&self, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor, TrainError> {
        self.forward_observed(x, pass, &mut |_, _| Ok(()))
    }

    /// As [`TapeModel::forward`]; the observer sees operands and statistics.
    pub(crate) fn forward_observed(
        &self,
        x: &Tensor,
        pass: &Pass<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Tensor, TrainError> {
        self.forward_until(self.graph.outputs[0].node, x, pass, observe)
    }

    /// As [`TapeModel::forward_observed`], but only up to a node, whose result it gives.
    pub(crate) fn forward_until(
        &self,
        result: NodeId,
        x: &Tensor,
        pass: &Pass<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Tensor, TrainError> {
        let live = Live::up_to(&self.graph, result).follow(|live, id, _| {
            let operands: Vec<Tensor> = live.operands().into_iter().cloned().collect();
            self.layer(id, x, &operands, pass, observe)
        })?;
        Ok(live.get(result).expect("the result stays").clone())
    }

    fn layer(
        &self,
        id: NodeId,
        input: &Tensor,
        operands: &[Tensor],
        pass: &Pass<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Tensor, TrainError> {
        let layer = &self.layers[id.index()];
        if matches!(layer, Layer::Relu(_) | Layer::MaxPool(_)) {
            observe(id, Seen::Operand(&operands[0]))?;
        }
        let paf = self.pafs.get(&id).filter(|place| place.active);
        Ok(match (layer, paf) {
            (Layer::Input, _) => input.clone(),
            (Layer::Linear(linear), _) => self.linear(linear, &operands[0], pass)?,
            (Layer::Reshape, _) => operands[0].clone(),
            (Layer::BatchNorm(norm), _) => self.batch_norm(id, norm, &operands[0], pass, observe)?,
            (Layer::Relu(_), Some(place)) => self.rectify(place, &operands[0], pass)?,
            (Layer::Relu(kernel), None) => apply(kernel, &[&operands[0]])?,
            (Layer::MaxPool(pool), Some(place)) => {
                self.max_pool(pool, place, &operands[0], pass, &mut |difference| {
                    observe(id, Seen::Difference(difference))
                })?
            }
            (Layer::MaxPool(pool), None) => apply(&pool.exact, &[&operands[0]])?,
            (Layer::Function(kernel), _) => apply(kernel, &[&operands[0]])?,
            (Layer::Add, _) => (&operands[0] + &operands[1])?,
            (Layer::Sub, _) => (&operands[0] - &operands[1])?,
            (Layer::Mul, _) => (&operands[0] * &operands[1])?,
            (Layer::Scale(factor), _) => (&operands[0] * *factor)?,
            (Layer::AddConstant(offset), _) => (&operands[0] + *offset)?,
        })
    }

    /// The parameter's values, on the tape if the pass trains them.
    fn parameter(&self, id: ParameterId, pass: &Pass<'_>) -> Tensor {
        let variable = &self.parameters.get(id).variable;
        if pass.trained.contains(&id) { variable.as_tensor().clone() } else { variable.as_detached_tensor() }
    }

    fn linear(&self, linear: &Linear, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor, TrainError> {
        let mut x = x.clone();
        for factor in &linear.factors {
            x = match factor {
                Factor::Convolution { kernel, weight } => apply(kernel, &[&x, &self.parameter(*weight, pass)])?,
                Factor::Dense(dense) => dense.apply(&x, &self.parameter(dense.weight, pass))?,
                Factor::Constant(kernel) => apply(kernel, &[&x])?,
                Factor::Diagonal { kernel, factors, offsets } => {
                    apply(kernel, &[&x, &self.parameter(*factors, pass), offsets])?
                }
            };
        }
        match &linear.bias {
            Some(bias) => Ok(apply(&bias.kernel, &[&x, &bias.factors, &self.parameter(bias.offsets, pass)])?),
            None if linear.scale != 1.0 => Ok((x * linear.scale)?),
            None => Ok(x),
        }
    }

    fn batch_norm(
        &self,
        id: NodeId,
        norm: &Normalization,
        x: &Tensor,
        pass: &Pass<'_>,
        observe: &mut Observer<'_>,
    ) -> Result<Tensor, TrainError> {
        let (gamma, beta) = (self.parameter(norm.gamma, pass), self.parameter(norm.beta, pass));
        if pass.normalizing == Normalizing::Batch {
            let statistics = statistics_of(norm, x)?;
            observe(id, Seen::Statistics(statistics.clone()))?;
            let kernel = BatchNormalization::new(norm.channels, statistics, norm.epsilon);
            return Ok(apply(&Arc::new(kernel), &[x, &gamma, &beta])?);
        }
        let deviation = (self.parameter(norm.variance, pass) + norm.epsilon)?.sqrt()?;
        let factors = (gamma / deviation)?;
        let offsets = (beta - (&factors * self.parameter(norm.mean, pass))?)?;
        Ok(apply(&norm.affine, &[x, &factors, &offsets])?)
    }

    fn rectify(&self, place: &Place, x: &Tensor, pass: &Pass<'_>) -> Result<Tensor, TrainError> {
        let coefficients = self.parameter(place.coefficients, pass).to_dtype(self.dtype)?;
        let kernel = PafRectifier { width: x.dim(1)?, scale: place.scale.clone(), shape: place.shape.clone() };
        Ok(apply(&Arc::new(kernel), &[x, &coefficients])?)
    }

    fn max_pool(
        &self,
        pool: &Pool,
        place: &Place,
        x: &Tensor,
        pass: &Pass<'_>,
        observe: &mut dyn FnMut(&Tensor) -> Result<(), TrainError>,
    ) -> Result<Tensor, TrainError> {
        reduced(&mut OnTape { model: self, place, pass, observe }, &pool.rounds, x.clone())
    }

    /// Weights of linear and normalizing layers that have gradients.
    pub(crate) fn trainable_weights(&self, id: NodeId) -> impl Iterator<Item = ParameterId> {
        self.roles(id).into_iter().filter(|(role, _)| role.is_weight()).map(|(_, id)| id)
    }

    /// Moves a batch normalization's running statistics towards those of a batch, its variance divided by one less than
    /// the number of elements, as frameworks do.
    pub(crate) fn move_statistics(&self, id: NodeId, batch: &Statistics, part: f64) -> Result<(), TrainError> {
        let Layer::BatchNorm(norm) = &self.layers[id.index()] else { return Ok(()) };
        let unbiased = batch.elements / (batch.elements - 1.0).max(1.0);
        for (parameter, values, factor) in [(norm.mean, &batch.mean, 1.0), (norm.variance, &batch.variance, unbiased)] {
            let running = self.parameters.values(parameter)?;
            let moved: Vec<f64> =
                running.iter().zip(values).map(|(old, new)| old + part * (factor * new - old)).collect();
            let variable = &self.parameters.get(parameter).variable;
            variable.set(&Tensor::from_vec(moved, running.len(), variable.device())?.to_dtype(variable.dtype())?)?;
        }
        Ok(())
    }
}

/// A pool with a PAF on the tape; the observer sees what is given to the sign.
struct OnTape<'m, 'o> {
    model: &'m TapeModel,
    place: &'m Place,
    pass: &'m Pass<'m>,
    observe: &'o mut dyn FnMut(&Tensor) -> Result<(), TrainError>,
}

impl Comparing<Arc<SparseMap>> for OnTape<'_, '_> {
    type Tensor = Tensor;
    type Error = TrainError;

    fn select(&mut self, selection: &Arc<SparseMap>, x: &Tensor) -> Result<Tensor, TrainError> {
        Ok(apply(selection, &[x])?)
    }

    /// max(a, b) = b + relu(a − b), and so it is with PAFs.
    fn max(&mut self, a: Tensor, b: Tensor) -> Result<Tensor, TrainError> {
        let difference = (&a - &b)?;
        Ok((&b + self.rectified(difference)?)?)
    }

    fn rectified(&mut self, x: Tensor) -> Result<Tensor, TrainError> {
        (self.observe)(&x)?;
        self.model.rectify(self.place, &x, self.pass)
    }
}

fn statistics_of(norm: &Normalization, x: &Tensor) -> Result<Statistics, TrainError> {
    let flat = x.flatten_all()?;
    Ok(match x.dtype() {
        DType::F64 => Statistics::of(&norm.channels, &flat.to_vec1::<f64>()?),
        _ => Statistics::of(&norm.channels, &flat.to_dtype(DType::F32)?.to_vec1::<f32>()?),
    })
}

impl Dense {
    fn apply(&self, x: &Tensor, weight: &Tensor) -> Result<Tensor, TrainError> {
        let batch = x.dim(0)?;
        let transposed = weight.reshape((self.outputs, self.inputs))?.t()?;
        if self.right == 1 {
            let rows = x.reshape((batch * self.left, self.inputs))?;
            return Ok(rows.matmul(&transposed)?.reshape((batch, self.left * self.outputs))?);
        }
        let columns = x.reshape((batch * self.left, self.inputs, self.right))?.transpose(1, 2)?.contiguous()?;
        let rows = columns.reshape((batch * self.left * self.right, self.inputs))?;
        let product = rows.matmul(&transposed)?.reshape((batch * self.left, self.right, self.outputs))?;
        Ok(product.transpose(1, 2)?.contiguous()?.reshape((batch, self.left * self.outputs * self.right))?)
    }
}

impl Linear {
    fn roles(&self) -> ByRole {
        let weight = |(place, factor): (usize, &Factor)| match factor {
            Factor::Convolution { weight, .. } | Factor::Dense(Dense { weight, .. }) => {
                Some((Role::Weight(place), *weight))
            }
            Factor::Diagonal { factors, .. } => Some((Role::Weight(place), *factors)),
            Factor::Constant(_) => None,
        };
        let bias = self.bias.as_ref().map(|bias| (Role::Bias, bias.offsets));
        self.factors.iter().enumerate().filter_map(weight).chain(bias).collect()
    }
}
