//! MaxPool as comparisons of shifted copies, after the rounds of `pool.rs`.

use paf_ir::LinearMap;
use paf_ir::Shape;
use paf_ir::linear::Window;
use paf_ir::tensor::{Graph, Node, NodeId, Op};

use super::comparing::{Comparing, reduced};
use super::pool;
use super::scaling::Scaling;
use super::values::Values;
use super::{Approximation, polynomial, pool_guard, rectify};
use crate::error::PassError;
use crate::paf::{Form, Paf};

/// A tensor in the pool's units, and its values.
type Tensor = (NodeId, Values);

/// A pool that is being built.
struct Pool<'n> {
    node: &'n Node,
    paf: Paf,
    scaling: Scaling,
    /// The ReLU whose zero is an operand of the pool.
    rectifier: Option<(&'n Node, Paf)>,
}

impl Approximation<'_> {
    pub(super) fn max_pool(
        &mut self,
        id: NodeId,
        node: &Node,
        window: &Window,
        x: NodeId,
    ) -> Result<(NodeId, Values), PassError> {
        let source = self.source;
        let relu = node.inputs[0];
        let rectifier =
            self.scales.is_part_of_pool(relu).then(|| (source.node(relu), self.paf_of(relu, source.node(relu))));
        let (paf, scaling) = self.pool_scaling(id, node, window)?;
        let rounds = match rectifier {
            Some(_) => pool::rounds_with_zero(window, self.options.reduction),
            None => pool::rounds(window, self.options.reduction),
        };
        let pool = Pool { node, paf, scaling, rectifier };
        let image = pool.scaling.divide(&mut self.graph, &node.name, x)?;
        let start = (image, self.operand(0).clone());
        let (image, values) = reduced(&mut Building { approximation: self, pool: &pool }, &rounds, start)?;
        let flat = pool.scaling.multiply(&mut self.graph, &node.name, image)?;
        let image = self.graph.reshape(node.name.clone(), flat, node.shape.clone())?;
        self.record_pool(&pool, window);
        Ok((image, values))
    }

    fn pool_scaling(&self, id: NodeId, node: &Node, window: &Window) -> Result<(Paf, Scaling), PassError> {
        let paf = self.paf_of(id, node);
        let scaling = match self.decided.get(&id) {
            Some(decided) => decided.clone(),
            None => {
                let guard = pool_guard(node, &paf, window, self.options.reduction)?;
                self.scales.of_pool(id, node, self.operand(0), guard)?
            }
        };
        let paf = rectify::fitted(&paf, &node.op, self.operand(0), &scaling, self.options.reduction);
        Ok((paf, scaling))
    }

    fn record_pool(&mut self, pool: &Pool, window: &Window) {
        let scale = pool.scaling.largest();
        if let Some((relu, paf)) = &pool.rectifier {
            self.record(relu, "Relu", paf, scale, scale * paf.max_relu_error());
        }
        let error = f64::from(self.options.reduction.comparisons(window)) * scale * pool.paf.max_relu_error();
        self.record(pool.node, "MaxPool", &pool.paf, scale, error);
    }
}

/// A pool on its way into the graph.
struct Building<'l, 'a, 'n> {
    approximation: &'l mut Approximation<'a>,
    pool: &'l Pool<'n>,
}

impl Comparing for Building<'_, '_, '_> {
    type Tensor = Tensor;
    type Error = PassError;

    fn select(&mut self, map: &LinearMap, x: &Tensor) -> Result<Tensor, PassError> {
        let (name, shape) = (self.pool.node.name.clone(), Shape(vec![map.outputs]));
        let image = self.approximation.graph.linear(name, map.clone(), x.0, shape)?;
        Ok((image, x.1.linear(map)))
    }

    /// `b + relu(a − b)`, both already divided by S; the values are not.
    fn max(&mut self, a: Tensor, b: Tensor) -> Result<Tensor, PassError> {
        let Building { approximation, pool } = self;
        let (name, graph) = (&pool.node.name, &mut approximation.graph);
        approximation.scales.check_comparison(pool.node, &a.1, &b.1)?;
        let difference = graph.add(name.clone(), Op::Sub, &[a.0, b.0])?;
        let excess = rectified(graph, name, &pool.paf, difference)?;
        let maximum = graph.add(name.clone(), Op::Add, &[b.0, excess])?;
        Ok((maximum, a.1.max(&b.1, &pool.paf, &pool.scaling)))
    }

    /// The maximum with zero, by the PAF of the ReLU.
    fn rectified(&mut self, x: Tensor) -> Result<Tensor, PassError> {
        let Building { approximation, pool } = self;
        let (name, paf) = match &pool.rectifier {
            Some((relu, paf)) => (&relu.name, paf),
            None => (&pool.node.name, &pool.paf),
        };
        let paf = rectify::fitted_in_pool(paf, &x.1, &pool.scaling, approximation.options.reduction);
        let image = rectified(&mut approximation.graph, name, &paf, x.0)?;
        Ok((image, x.1.relu(&paf, &pool.scaling)))
    }
}

/// The ReLU of `u` in [−1, 1].
fn rectified(graph: &mut Graph, name: &str, paf: &Paf, u: NodeId) -> Result<NodeId, PassError> {
    match &paf.form {
        Form::Sign(sign) => {
            let step = polynomial::step(graph, name, sign, u)?;
            Ok(graph.add(name, Op::Mul, &[u, step])?)
        }
        Form::Rectifier(rectifier) => rectify::build(graph, name, rectifier, u, &[1.0]),
    }
}
