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
use paf_ir::linear::LinearMap;
use paf_ir::tensor::{Graph, NodeId, Op, Output, Shape};

use crate::error::PassError;
use extract::Extraction;
use language::{Constant, Constants, Interned, Term};

/// Terms at which saturation stops, never seconds: results must not depend on the machine's speed.
const TERM_LIMIT: usize = 400_000;

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
        Decoder { source: graph, extraction: &extraction, maps: &encoder.maps, names, graph: Graph::default() };
    let optimized = decoder.decode(&runner.egraph)?;
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
    graph.outputs.iter().map(|output| depths[output.node.index()]).max().unwrap_or(0)
}

/// The nodes that must stay as they are: a product and something else read them, or several factors do.
fn shared_nodes(graph: &Graph) -> Vec<bool> {
    let is_shared = |readers: &Vec<NodeId>| {
        let distinct: BTreeSet<NodeId> = readers.iter().copied().collect();
        let products = distinct.iter().filter(|&&reader| graph.node(reader).op == Op::Mul).count();
        let factors = distinct.iter().filter(|&&reader| matches!(graph.node(reader).op, Op::Scale(_))).count();
        (products > 0 && distinct.len() > 1) || factors > 1
    };
    graph.consumers().iter().map(is_shared).collect()
}

/// The nodes that a product reads.
fn multiplied_nodes(graph: &Graph) -> Vec<bool> {
    let has_product = |readers: &Vec<NodeId>| readers.iter().any(|&reader| graph.node(reader).op == Op::Mul);
    graph.consumers().iter().map(has_product).collect()
}

struct Encoder<'a> {
    source: &'a Graph,
    egraph: language::Graph,
    maps: Vec<(String, Arc<LinearMap>)>,
    names: Vec<(Id, String)>,
}

impl<'a> Encoder<'a> {
    fn new(source: &'a Graph) -> Self {
        Encoder { source, egraph: language::Graph::new(Constants::default()), maps: vec![], names: vec![] }
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
                Op::Linear(map) => self.linear(&node.name, map, operands[0]),
                Op::Add => self.egraph.add(Term::Add([operands[0], operands[1]])),
                Op::Sub => self.egraph.add(Term::Sub([operands[0], operands[1]])),
                Op::Mul => self.egraph.add(Term::Mul([operands[0], operands[1]])),
                Op::Scale(c) => {
                    let factor = self.constant(*c);
                    self.egraph.add(Term::Scale([factor, operands[0]]))
                }
                Op::AddConstant(c) => {
                    let offset = self.constant(*c);
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

    fn constant(&mut self, value: f64) -> Id {
        self.egraph.add(Term::Constant(Constant(value)))
    }

    fn linear(&mut self, name: &str, map: &Arc<LinearMap>, operand: Id) -> Id {
        let known = self.maps.iter().position(|(other, known)| other == name && known == map);
        let number = known.unwrap_or_else(|| {
            self.maps.push((name.to_owned(), map.clone()));
            self.maps.len() - 1
        }) as u32;
        let interned = self.egraph.add(Term::Interned(Interned { prefix: 'm', number }));
        if map.as_view().is_some() {
            return self.egraph.add(Term::View([interned, operand]));
        }
        let one = self.constant(1.0);
        self.egraph.add(Term::Linear([interned, one, one, operand]))
    }
}

struct Decoder<'a> {
    source: &'a Graph,
    extraction: &'a Extraction<'a>,
    maps: &'a [(String, Arc<LinearMap>)],
    names: BTreeMap<Id, String>,
    graph: Graph,
}

impl Decoder<'_> {
    fn decode(&mut self, egraph: &language::Graph) -> Result<Graph, PassError> {
        let order = self.extraction.order();
        let names = self.inherited_names(egraph, order);
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
            let value = |child: &Id| egraph[*child].data.constant.map_or(f64::NAN, |constant| constant.0);
            let name = names.get(&id).cloned().unwrap_or_default();
            if let Term::Outputs(outputs) = &term {
                for (output, child) in self.source.outputs.iter().zip(outputs.iter()) {
                    let flat = node(child).ok_or_else(|| missing(&term))?;
                    let shape = self.source.node(output.node).shape.clone();
                    let node = self.graph.reshape(output.name.clone(), flat, shape)?;
                    self.graph.outputs.push(Output { node, ..output.clone() });
                }
            } else if let Some(new) = self.term(&term, &name, node, value)? {
                nodes.insert(id, new);
            }
        }
        let graph = std::mem::take(&mut self.graph);
        graph.verify()?;
        Ok(graph)
    }

    fn input(&mut self, number: usize) -> NodeId {
        let (id, batch) = self.source.inputs[number];
        let node = self.source.node(id);
        self.graph.input(node.name.clone(), Shape(vec![node.shape.size()]), batch)
    }

    /// Names of classes; a class that a rule made takes the name of what it is part of.
    fn inherited_names(&self, egraph: &language::Graph, order: &[Id]) -> BTreeMap<Id, String> {
        let mut names = self.names.clone();
        for id in order.iter().rev() {
            let Some(name) = names.get(id).cloned() else { continue };
            for child in self.extraction.term(*id).children() {
                names.entry(egraph.find(*child)).or_insert_with(|| name.clone());
            }
        }
        names
    }

    fn term(
        &mut self,
        term: &Term,
        name: &str,
        node: impl Fn(&Id) -> Option<NodeId>,
        value: impl Fn(&Id) -> f64,
    ) -> Result<Option<NodeId>, PassError> {
        let operand = |id: &Id| node(id).ok_or_else(|| missing(term));
        Ok(Some(match term {
            Term::Linear([map, matrix_factor, bias_factor, x]) => {
                let (map_name, map) = &self.maps[self.map_number(map)];
                let scaled = map.scaled(value(matrix_factor), value(bias_factor));
                let shape = Shape(vec![map.outputs]);
                self.graph.linear(map_name.clone(), scaled, operand(x)?, shape)?
            }
            Term::View([map, x]) => {
                let (map_name, map) = &self.maps[self.map_number(map)];
                self.graph.linear(map_name.clone(), (**map).clone(), operand(x)?, Shape(vec![map.outputs]))?
            }
            Term::Add([a, b]) => self.graph.add(name, Op::Add, &[operand(a)?, operand(b)?])?,
            Term::Sub([a, b]) => self.graph.add(name, Op::Sub, &[operand(a)?, operand(b)?])?,
            Term::Mul([a, b]) => self.graph.add(name, Op::Mul, &[operand(a)?, operand(b)?])?,
            Term::Scale([c, x]) => self.graph.add(name, Op::Scale(value(c)), &[operand(x)?])?,
            Term::Offset([c, x]) => self.graph.add(name, Op::AddConstant(value(c)), &[operand(x)?])?,
            _ => return Ok(None),
        }))
    }

    fn map_number(&self, id: &Id) -> usize {
        match self.extraction.term(*id) {
            Term::Interned(interned) => interned.number as usize,
            _ => unreachable!("the first operand of linear and view is an interned map"),
        }
    }
}

fn missing(term: &Term) -> PassError {
    paf_ir::IrError::Eval(format!("an operand of {term} was not extracted")).into()
}
