//! `optimize`: least multiplicative depth by equality saturation.
//!
//! Needs: a polynomial graph. Then holds: the graph computes the same function; its depth and, at that depth, its
//! cost are the least that the rules find; every tensor but the outputs is flat.
//!
//! ```text
//! scale(1/S) after a linear map, scale(S) before the next      cost nothing: they are in the maps' factors
//! a7·x·x·x·x·x·x·x, depth 7                                    becomes  ((a7·x)·x²)·x⁴, depth 3
//! ```

mod extract;
mod language;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use egg::{Id, Language, Runner, SimpleScheduler};
use paf_ir::linear::{LinearMap, Primitive, ZERO};
use paf_ir::tensor::{Graph, NodeId, Op, Output, Shape};

use crate::coefficients::{Coefficients, affine};
use crate::error::PassError;
use crate::fold::{simplify, without_dead_nodes};
use extract::Extraction;
use language::{Constants, Interned, Term};

/// Terms at which saturation stops, never seconds: results must not depend on the machine's speed.
const TERM_LIMIT: usize = 100_000;

/// Rounds of saturation.
const ROUND_LIMIT: usize = 16;

/// What the optimizer did.
#[derive(Debug, Clone, PartialEq)]
pub struct RewriteReport {
    /// How often each rule changed the e-graph.
    pub applied: BTreeMap<String, usize>,
    /// Terms in the e-graph at the end.
    pub terms: usize,
    /// Why saturation stopped.
    pub stopped: String,
    /// Levels of the graph as it came.
    pub levels_before: u32,
    /// Levels of the graph as it leaves.
    pub levels_after: u32,
}

/// What one rule did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEffect {
    /// Name of the rule.
    pub rule: String,
    /// How often it changed the e-graph.
    pub applied: usize,
    /// How many levels more the graph takes without this rule and with all others. Rules work together, so these
    /// numbers do not add up to all that was saved.
    pub levels_saved: u32,
}

/// Says what each rule does for a polynomial graph: optimizes it once with all rules, and once without each.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that is not polynomial.
pub fn explain(graph: &Graph) -> Result<(RewriteReport, Vec<RuleEffect>), PassError> {
    let (_, report) = optimize(graph)?;
    let effect = |rule: String| {
        let applied = report.applied.get(&rule).copied().unwrap_or(0);
        let without = if applied == 0 { report.levels_after } else { optimize_without(graph, &rule)?.1.levels_after };
        Ok(RuleEffect { rule, applied, levels_saved: without.saturating_sub(report.levels_after) })
    };
    let effects: Result<Vec<RuleEffect>, PassError> = rules::names().into_iter().map(effect).collect();
    Ok((report.clone(), effects?))
}

/// Rewrites a polynomial graph to its least depth.
///
/// # Errors
/// [`PassError::Ir`] only for a graph that is not polynomial.
pub fn optimize(graph: &Graph) -> Result<(Graph, RewriteReport), PassError> {
    optimize_without(graph, "")
}

/// Optimizes with all rules but one.
fn optimize_without(graph: &Graph, left_out: &str) -> Result<(Graph, RewriteReport), PassError> {
    let rules: Vec<_> = rules::rules().into_iter().filter(|rule| rule.name.as_str() != left_out).collect();
    let mut encoder = Encoder::new(graph);
    let root = encoder.encode()?;
    let names = encoder.names;
    let runner = Runner::<_, _, ()>::new(Constants::default())
        .with_egraph(encoder.egraph)
        .with_scheduler(SimpleScheduler)
        .with_node_limit(TERM_LIMIT)
        .with_iter_limit(ROUND_LIMIT)
        .with_time_limit(Duration::MAX)
        .run(&rules);
    let extraction = Extraction::new(&runner.egraph, root)
        .ok_or_else(|| paf_ir::IrError::Eval("the extracted graph is cyclic".into()))?;
    let names = names.into_iter().map(|(id, name)| (runner.egraph.find(id), name)).collect();
    let mut decoder =
        Decoder { source: graph, extraction: &extraction, egraph: &runner.egraph, names, graph: Graph::default() };
    let optimized = decoder.decode()?;
    let mut applied = BTreeMap::new();
    for iteration in &runner.iterations {
        for (rule, count) in &iteration.applied {
            *applied.entry(rule.to_string()).or_insert(0) += count;
        }
    }
    let report = RewriteReport {
        applied,
        terms: runner.egraph.total_size(),
        stopped: runner.stop_reason.as_ref().map_or_else(String::new, |reason| format!("{reason:?}")),
        levels_before: depth(graph),
        levels_after: depth(&optimized),
    };
    Ok((optimized, report))
}

/// Levels of a polynomial graph: linear maps, products and constant factors cost one; views, sums and offsets none.
pub fn depth(graph: &Graph) -> u32 {
    let depths = depths(graph);
    graph.outputs.iter().map(|output| depths[output.node.index()]).max().unwrap_or(0)
}

/// Levels from the inputs to each node.
pub(crate) fn depths(graph: &Graph) -> Vec<u32> {
    let mut depths: Vec<u32> = Vec::with_capacity(graph.len());
    for (_, node) in graph.nodes() {
        let operands = node.inputs.iter().map(|input| depths[input.index()]).max().unwrap_or(0);
        let own = match &node.op {
            Op::Linear(map) => u32::from(map.as_view().is_none()),
            Op::Mul | Op::Scale(_) => 1,
            _ => 0,
        };
        depths.push(operands + own);
    }
    depths
}

/// The nodes that must stay as they are: a product and something else read them, or several factors do.
fn shared_nodes(graph: &Graph) -> Vec<bool> {
    let is_shared = |readers: &Vec<NodeId>| {
        let distinct: BTreeSet<NodeId> = readers.iter().copied().collect();
        let products = distinct.iter().filter(|&&reader| graph.node(reader).op == Op::Mul).count();
        let factors = distinct.iter().filter(|&&reader| is_factor(&graph.node(reader).op)).count();
        (products > 0 && distinct.len() > 1) || factors > 1
    };
    graph.consumers().iter().map(is_shared).collect()
}

/// Whether an operation is a constant factor, of all elements or by element.
fn is_factor(op: &Op) -> bool {
    match op {
        Op::Scale(_) => true,
        Op::Linear(map) => Coefficients::of_diagonals(map).is_some_and(|factors| factors.as_uniform() != Some(1.0)),
        _ => false,
    }
}

/// The nodes that a product reads.
fn multiplied_nodes(graph: &Graph) -> Vec<bool> {
    let has_product = |readers: &Vec<NodeId>| readers.iter().any(|&reader| graph.node(reader).op == Op::Mul);
    graph.consumers().iter().map(has_product).collect()
}

struct Encoder<'a> {
    source: &'a Graph,
    egraph: language::Graph,
    names: Vec<(Id, String)>,
}

impl<'a> Encoder<'a> {
    fn new(source: &'a Graph) -> Self {
        Encoder { source, egraph: language::Graph::new(Constants::default()), names: vec![] }
    }

    fn encode(&mut self) -> Result<Id, PassError> {
        let mut ids: Vec<Id> = Vec::with_capacity(self.source.len());
        let (shared, multiplied) = (shared_nodes(self.source), multiplied_nodes(self.source));
        for (node_id, node) in self.source.nodes() {
            let operands: Vec<Id> = node.inputs.iter().map(|input| ids[input.index()]).collect();
            let id = match &node.op {
                Op::Input => {
                    let number = self.source.inputs.iter().position(|input| input.0 == node_id).unwrap_or(0) as u32;
                    self.egraph.add(Term::Interned(Interned { prefix: 'x', number }))
                }
                Op::Reshape => operands[0],
                Op::Linear(map) => self.linear(&node.name, map, operands[0])?,
                Op::Add => self.egraph.add(Term::Add([operands[0], operands[1]])),
                Op::Sub => self.egraph.add(Term::Sub([operands[0], operands[1]])),
                Op::Mul => self.egraph.add(Term::Mul([operands[0], operands[1]])),
                Op::Scale(c) => {
                    let factor = self.constant(Coefficients::uniform(*c))?;
                    self.egraph.add(Term::Scale([factor, operands[0]]))
                }
                Op::AddConstant(c) => {
                    let offset = self.constant(Coefficients::uniform(*c))?;
                    self.egraph.add(Term::Offset([offset, operands[0]]))
                }
                Op::BatchNorm(_) | Op::Relu | Op::MaxPool(_) | Op::Function(_) => {
                    let message = format!("optimize got a {} node", node.op.name());
                    return Err(paf_ir::IrError::Eval(message).into());
                }
            };
            let facts = &mut self.egraph[id].data;
            facts.shared |= shared[node_id.index()];
            facts.variable |= node.op != Op::Mul && multiplied[node_id.index()];
            if node.op != Op::Reshape {
                self.names.push((id, node.name.clone()));
            }
            ids.push(id);
        }
        let outputs = self.source.outputs.iter().map(|output| ids[output.node.index()]).collect();
        let root = self.egraph.add(Term::Outputs(outputs));
        self.egraph.rebuild();
        Ok(root)
    }

    fn constant(&mut self, constant: Coefficients) -> Result<Id, PassError> {
        let id = language::add_constant(&mut self.egraph, constant);
        id.ok_or_else(|| paf_ir::IrError::Eval("optimize got a constant that is not finite".into()).into())
    }

    /// A map that works element by element is a factor and an offset.
    fn linear(&mut self, name: &str, map: &Arc<LinearMap>, operand: Id) -> Result<Id, PassError> {
        let bias = self.constant(Coefficients::of_bias(map))?;
        if let Some(factors) = Coefficients::of_diagonals(map) {
            let factors = self.constant(factors)?;
            let scaled = self.egraph.add(Term::Scale([factors, operand]));
            return Ok(self.egraph.add(Term::Offset([bias, scaled])));
        }
        let is_view = map.as_view().is_some();
        let map = LinearMap { bias: None, ..(**map).clone() };
        let maps = &mut self.egraph.analysis.maps;
        let known = maps.iter().position(|(other, known)| other == name && **known == map);
        let number = known.unwrap_or_else(|| {
            maps.push((name.to_owned(), Arc::new(map)));
            maps.len() - 1
        }) as u32;
        let interned = self.egraph.add(Term::Interned(Interned { prefix: 'm', number }));
        if is_view {
            return Ok(self.egraph.add(Term::View([interned, operand])));
        }
        let one = self.constant(Coefficients::uniform(1.0))?;
        Ok(self.egraph.add(Term::Linear([interned, one, one, bias, operand])))
    }
}

struct Decoder<'a> {
    source: &'a Graph,
    extraction: &'a Extraction<'a>,
    egraph: &'a language::Graph,
    names: BTreeMap<Id, String>,
    graph: Graph,
}

impl Decoder<'_> {
    fn decode(&mut self) -> Result<Graph, PassError> {
        let (egraph, order) = (self.egraph, self.extraction.order());
        let names = self.inherited_names(order);
        let mut nodes: BTreeMap<Id, NodeId> = BTreeMap::new();
        for input in 0..self.source.inputs.len() {
            let node = self.input(input);
            if let Some(id) = egraph.lookup(Term::Interned(Interned { prefix: 'x', number: input as u32 })) {
                nodes.insert(egraph.find(id), node);
            }
        }
        for &id in order {
            if nodes.contains_key(&id) {
                continue;
            }
            let term = self.extraction.term(id).clone();
            let node = |child: &Id| nodes.get(&egraph.find(*child)).copied();
            let name = names.get(&id).cloned().unwrap_or_default();
            if let Term::Outputs(outputs) = &term {
                for (output, child) in self.source.outputs.iter().zip(outputs.iter()) {
                    let flat = node(child).ok_or_else(|| missing(&term))?;
                    let shape = self.source.node(output.node).shape.clone();
                    let node = self.graph.reshape(output.name.clone(), flat, shape)?;
                    self.graph.outputs.push(Output { node, ..output.clone() });
                }
            } else if let Some(new) = self.term(&term, &name, node)? {
                nodes.insert(id, new);
            }
        }
        let graph = without_dead_nodes(&std::mem::take(&mut self.graph))?;
        graph.verify()?;
        Ok(graph)
    }

    fn input(&mut self, number: usize) -> NodeId {
        let (id, batch) = self.source.inputs[number];
        let node = self.source.node(id);
        self.graph.input(node.name.clone(), Shape(vec![node.shape.size()]), batch)
    }

    /// Names of classes; a class that a rule made takes the name of what it is part of.
    fn inherited_names(&self, order: &[Id]) -> BTreeMap<Id, String> {
        let mut names = self.names.clone();
        for id in order.iter().rev() {
            let Some(name) = names.get(id).cloned() else { continue };
            for child in self.extraction.term(*id).children() {
                names.entry(self.egraph.find(*child)).or_insert_with(|| name.clone());
            }
        }
        names
    }

    fn term(
        &mut self,
        term: &Term,
        name: &str,
        node: impl Fn(&Id) -> Option<NodeId>,
    ) -> Result<Option<NodeId>, PassError> {
        let operand = |id: &Id| node(id).ok_or_else(|| missing(term));
        Ok(Some(match term {
            Term::Linear([map, by_output, by_input, bias, x]) => {
                let (map_name, map) = self.map(map);
                let (map_name, shape) = (map_name.clone(), Shape(vec![map.outputs]));
                let map = self.between(map, [by_output, by_input, bias]);
                self.graph.linear(map_name, map, operand(x)?, shape)?
            }
            Term::View([map, x]) => {
                let (map_name, map) = self.map(map).clone();
                self.graph.linear(map_name, (*map).clone(), operand(x)?, Shape(vec![map.outputs]))?
            }
            Term::Add([a, b]) => self.graph.add(name, Op::Add, &[operand(a)?, operand(b)?])?,
            Term::Sub([a, b]) => self.graph.add(name, Op::Sub, &[operand(a)?, operand(b)?])?,
            Term::Mul([a, b]) => self.graph.add(name, Op::Mul, &[operand(a)?, operand(b)?])?,
            Term::Scale([c, x]) => self.scaled(name, &self.constant(c), operand(x)?)?,
            Term::Offset([c, x]) => {
                let c = self.constant(c);
                match (c.as_uniform(), self.extraction.term(*x)) {
                    (Some(c), _) => self.graph.add(name, Op::AddConstant(c), &[operand(x)?])?,
                    (None, Term::Scale([factor, x])) => {
                        self.elementwise(name, &self.constant(factor), &c, operand(x)?)?
                    }
                    _ => self.with_plaintext(name, &c, operand(x)?)?,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn constant(&self, id: &Id) -> Arc<Coefficients> {
        language::coefficients(self.egraph, *id).expect("constants of extracted terms are known")
    }

    fn map(&self, id: &Id) -> &(String, Arc<LinearMap>) {
        let number = self.egraph[*id].data.map.expect("the first operand of linear and view is an interned map");
        &self.egraph.analysis.maps[number as usize]
    }

    /// A map between factors, with its bias.
    fn between(&self, map: &LinearMap, constants: [&Id; 3]) -> LinearMap {
        let [by_output, by_input, bias] = constants.map(|id| self.constant(id));
        let (before, after) = (by_input.as_uniform(), by_output.as_uniform());
        let scale = map.scale * before.unwrap_or(1.0) * after.unwrap_or(1.0);
        let mut factors: Vec<Primitive> = before.is_none().then(|| by_input.diagonal(map.inputs)).into_iter().collect();
        factors.extend(map.factors.iter().cloned());
        factors.extend(after.is_none().then(|| by_output.diagonal(map.outputs)));
        let scaled = LinearMap { factors, scale, bias: bias.bias(map.outputs), ..*map };
        if before.and(after).is_some() { scaled } else { simplify(scaled) }
    }

    /// `c · x`.
    fn scaled(&mut self, name: &str, c: &Coefficients, x: NodeId) -> Result<NodeId, PassError> {
        match c.as_uniform() {
            Some(c) => Ok(self.graph.add(name, Op::Scale(c), &[x])?),
            None => self.elementwise(name, c, &Coefficients::uniform(0.0), x),
        }
    }

    fn elementwise(
        &mut self,
        name: &str,
        factors: &Coefficients,
        offsets: &Coefficients,
        x: NodeId,
    ) -> Result<NodeId, PassError> {
        let shape = self.graph.node(x).shape.clone();
        Ok(self.graph.linear(name, affine(factors, offsets, shape.size()), x, shape)?)
    }

    /// `x + c` by element where no map takes `c`: the bias of a map of zeros.
    fn with_plaintext(&mut self, name: &str, c: &Coefficients, x: NodeId) -> Result<NodeId, PassError> {
        let (input, size) = (self.graph.inputs[0].0, self.graph.node(x).shape.size());
        let inputs = self.graph.node(input).shape.size();
        let nothing = Primitive::Select { input: Shape(vec![inputs]), indices: vec![vec![ZERO; size]] };
        let plaintext = self.graph.linear(name, LinearMap::of(nothing, c.bias(size)), input, Shape(vec![size]))?;
        Ok(self.graph.add(name, Op::Add, &[x, plaintext])?)
    }
}

fn missing(term: &Term) -> PassError {
    paf_ir::IrError::Eval(format!("an operand of {term} was not extracted")).into()
}
