//! Levels and bootstraps of a network whose ReLU and MaxPool nodes keep their places and scales, as with a PAF file, and
//! the mixes of PAFs that lose the least for them.
//!
//! Nodes go by name, because the imported graph and the folded one number them differently.

use std::collections::BTreeMap;

use paf_ir::tensor::{Graph, Node};
use paf_scheme::EngineProfile;

use super::is_nonlinear;
use super::refreshes::{Refreshed, Refreshes};
use super::search::{self, Choice, ChoiceStep};
use crate::approximate::{Reduction, Scaling, comparisons, in_cheaper_order, levels_without_paf};
use crate::decisions::Decisions;
use crate::error::PassError;
use crate::quadratics::folded;
use crate::schedule::Stretch;

/// A folded network as a graph of levels.
#[derive(Debug, Clone)]
pub struct LevelGraph {
    /// Each node with the choice that it has where no PAF is asked for.
    steps: Vec<ChoiceStep>,
    outputs: Vec<usize>,
    /// The step of each ReLU and MaxPool.
    nonlinear: BTreeMap<String, usize>,
    /// Comparisons in sequence of each ReLU and MaxPool.
    comparisons: Vec<u32>,
    /// Elements of each step's result.
    sizes: Vec<usize>,
    /// Most slots of a ciphertext.
    most_slots: usize,
}

/// A choice for each ReLU and MaxPool.
#[derive(Debug, Clone, PartialEq)]
pub struct Mix {
    /// Levels on the deepest path, linear layers included.
    pub levels: u32,
    /// Sum of the errors of the choices.
    pub error: f64,
    /// Index into the choices of each node.
    pub picks: BTreeMap<String, usize>,
}

impl LevelGraph {
    /// Folds an imported network whose pools compare in this way, for an engine. Its ReLU and MaxPool nodes must have names
    /// of their own.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a graph that was not verified.
    pub fn new(graph: &Graph, reduction: Reduction, profile: &EngineProfile) -> Result<Self, PassError> {
        let names = graph.nodes().filter(|(_, node)| is_nonlinear(node)).map(|(_, node)| node.name.clone());
        let scales = names.map(|name| (name, Scaling::Uniform(1.0))).collect();
        let placed = Decisions { scales, ..Decisions::default() };
        let folded = in_cheaper_order(&folded(graph, Vec::new)?, &placed)?;
        let step = |node: &Node| ChoiceStep {
            operands: node.inputs.iter().map(|input| input.index()).collect(),
            choices: vec![Choice { levels: levels_without_paf(&node.op), error: 0.0 }],
        };
        let nonlinear = folded.nodes().filter(|(_, node)| is_nonlinear(node));
        Ok(LevelGraph {
            steps: folded.nodes().map(|(_, node)| step(node)).collect(),
            outputs: folded.outputs.iter().map(|output| output.node.index()).collect(),
            nonlinear: nonlinear.map(|(id, node)| (node.name.clone(), id.index())).collect(),
            comparisons: folded.nodes().map(|(_, node)| comparisons(&node.op, reduction)).collect(),
            sizes: folded.nodes().map(|(_, node)| node.shape.size()).collect(),
            most_slots: profile.chain.most_slots(),
        })
    }

    /// Slots of a ciphertext that holds the largest value, or as much of it as a ciphertext can.
    pub fn slots(&self) -> usize {
        self.sizes.iter().max().map_or(1, |size| size.next_power_of_two().min(self.most_slots))
    }

    /// The bootstraps of the cheapest of these chains, and their seconds, if each ReLU and MaxPool takes so many levels;
    /// `None` if no chain has the levels.
    pub fn refreshed(&self, levels: &BTreeMap<String, u32>, stretches: &[Stretch]) -> Option<(u32, f64)> {
        let steps = self.with_levels(levels);
        let on = |&stretch: &Stretch| {
            let bootstraps = self.refreshes(&steps, stretch).front().first()?.bootstraps;
            Some((bootstraps, f64::from(bootstraps) * stretch.seconds))
        };
        stretches.iter().filter_map(on).min_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)))
    }

    /// For each chain mixes of ascending bootstraps and descending error, none of which another one beats in both.
    pub fn fronts_by_bootstraps(
        &self,
        choices: &BTreeMap<String, Vec<Choice>>,
        stretches: &[Stretch],
    ) -> Vec<BTreeMap<String, usize>> {
        let steps = self.with_choices(choices);
        let picks = |found: Refreshed| self.nonlinear.iter().map(|(n, &step)| (n.clone(), found.picks[step])).collect();
        stretches.iter().flat_map(|stretch| self.refreshes(&steps, *stretch).front()).map(picks).collect()
    }

    fn refreshes<'s>(&'s self, steps: &'s [ChoiceStep], stretch: Stretch) -> Refreshes<'s> {
        let ciphertexts = self.sizes.iter().map(|size| size.div_ceil(self.most_slots) as u32).collect();
        Refreshes { steps, outputs: &self.outputs, comparisons: &self.comparisons, ciphertexts, stretch }
    }

    /// Levels on the deepest path, linear layers included, if each ReLU and MaxPool takes so many; those left out are
    /// free.
    pub fn depth(&self, levels: &BTreeMap<String, u32>) -> u32 {
        search::depth(&self.with_levels(levels), &self.outputs, &vec![0; self.steps.len()])
    }

    /// Mixes of ascending depth and descending error, none of which another one beats in both.
    pub fn front(&self, choices: &BTreeMap<String, Vec<Choice>>) -> Vec<Mix> {
        let mix = |selection: search::Selection| Mix {
            levels: selection.levels,
            error: selection.error,
            picks: self.nonlinear.iter().map(|(name, &step)| (name.clone(), selection.picks[step])).collect(),
        };
        search::front(&self.with_choices(choices), &self.outputs).into_iter().map(mix).collect()
    }

    fn with_levels(&self, levels: &BTreeMap<String, u32>) -> Vec<ChoiceStep> {
        let choices = levels.iter().map(|(name, &levels)| (name.clone(), vec![Choice { levels, error: 0.0 }]));
        self.with_choices(&choices.collect())
    }

    fn with_choices(&self, choices: &BTreeMap<String, Vec<Choice>>) -> Vec<ChoiceStep> {
        let mut steps = self.steps.clone();
        for (name, choices) in choices {
            if let Some(&step) = self.nonlinear.get(name) {
                steps[step].choices = choices.clone();
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use paf_ir::linear::{LinearMap, Primitive};
    use paf_ir::tensor::{BatchAxis, Op, Output, Shape, Tensor};

    use super::*;

    /// Dense, `first`, dense, `second`.
    fn network() -> Graph {
        let mut graph = Graph::default();
        let mut node = graph.input("x", Shape(vec![1, 2]), BatchAxis::Absent);
        for relu in ["first", "second"] {
            let weight = Tensor::new(Shape(vec![2, 2]), vec![1.0, 2.0, 3.0, 5.0]).into();
            let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None);
            node = graph.linear(format!("{relu}_dense"), map, node, Shape(vec![1, 2])).unwrap();
            node = graph.add(relu, Op::Relu, &[node]).unwrap();
        }
        graph.outputs = vec![Output { name: "y".into(), node }];
        graph
    }

    #[test]
    fn depth_counts_linear_layers_and_each_node() {
        let levels = LevelGraph::new(&network(), Reduction::default(), EngineProfile::openfhe()).unwrap();
        assert_eq!(levels.depth(&[("first".into(), 5), ("second".into(), 7)].into()), 2 + 5 + 7);
    }

    #[test]
    fn the_front_spends_levels_where_they_help_most() {
        let levels = LevelGraph::new(&network(), Reduction::default(), EngineProfile::openfhe()).unwrap();
        let choices = |coarse| vec![Choice { levels: 4, error: coarse }, Choice { levels: 6, error: 1.0 }];
        let front = levels.front(&[("first".into(), choices(9.0)), ("second".into(), choices(3.0))].into());
        let facts: Vec<_> = front.iter().map(|mix| (mix.levels, mix.error)).collect();
        assert_eq!(facts, [(10, 12.0), (12, 4.0), (14, 2.0)]);
        assert_eq!(front[1].picks, [("first".into(), 1), ("second".into(), 0)].into());
    }
}
