//! Levels of a network whose ReLU and MaxPool nodes keep their places and scales, as with a PAF file, and the mixes of
//! PAFs that cost the least at every depth.
//!
//! Nodes go by name, because the imported graph and the folded one number them differently.

use std::collections::BTreeMap;

use paf_ir::tensor::{Graph, Node};

use super::is_nonlinear;
use super::search::{self, Choice, Step};
use crate::approximate::{Scaling, in_cheaper_order, levels_without_paf};
use crate::error::PassError;
use crate::fold::fold;
use crate::recover::Recovered;

/// A folded network as a graph of levels.
#[derive(Debug, Clone)]
pub struct LevelGraph {
    /// Each node with the choice that it has where no PAF is asked for.
    steps: Vec<Step>,
    outputs: Vec<usize>,
    /// The step of each ReLU and MaxPool.
    nonlinear: BTreeMap<String, usize>,
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
    /// Folds an imported network. Its ReLU and MaxPool nodes must have names of their own.
    ///
    /// # Errors
    /// [`PassError::Ir`] only for a graph that was not verified.
    pub fn new(graph: &Graph) -> Result<Self, PassError> {
        let names = graph.nodes().filter(|(_, node)| is_nonlinear(node)).map(|(_, node)| node.name.clone());
        let scales = names.map(|name| (name, Scaling::Uniform(1.0))).collect();
        let placed = Recovered { scales, ..Recovered::default() };
        let folded = in_cheaper_order(&fold(graph)?, &placed)?;
        let step = |node: &Node| Step {
            operands: node.inputs.iter().map(|input| input.index()).collect(),
            choices: vec![Choice { levels: levels_without_paf(&node.op), error: 0.0 }],
        };
        let nonlinear = folded.nodes().filter(|(_, node)| is_nonlinear(node));
        Ok(LevelGraph {
            steps: folded.nodes().map(|(_, node)| step(node)).collect(),
            outputs: folded.outputs.iter().map(|output| output.node.index()).collect(),
            nonlinear: nonlinear.map(|(id, node)| (node.name.clone(), id.index())).collect(),
        })
    }

    /// Levels on the deepest path, linear layers included, if each ReLU and MaxPool takes so many; those left out are
    /// free.
    pub fn depth(&self, levels: &BTreeMap<String, u32>) -> u32 {
        let choices = levels.iter().map(|(name, &levels)| (name.clone(), vec![Choice { levels, error: 0.0 }]));
        search::depth(&self.with_choices(&choices.collect()), &self.outputs, &vec![0; self.steps.len()])
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

    fn with_choices(&self, choices: &BTreeMap<String, Vec<Choice>>) -> Vec<Step> {
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
    use paf_ir::tensor::{Op, Output, PostProcess, Shape, Tensor};

    use super::*;

    /// Dense, `first`, dense, `second`.
    fn network() -> Graph {
        let mut graph = Graph::default();
        let mut node = graph.input("x", Shape(vec![1, 2]), false);
        for relu in ["first", "second"] {
            let weight = Tensor::new(Shape(vec![2, 2]), vec![1.0, 2.0, 3.0, 5.0]).into();
            let map = LinearMap::of(Primitive::Dense { weight, left: 1, right: 1 }, None);
            node = graph.linear(format!("{relu}_dense"), map, node, Shape(vec![1, 2])).unwrap();
            node = graph.add(relu, Op::Relu, &[node]).unwrap();
        }
        graph.outputs = vec![Output { name: "y".into(), node, post: PostProcess::None }];
        graph
    }

    #[test]
    fn depth_counts_linear_layers_and_each_node() {
        let levels = LevelGraph::new(&network()).unwrap();
        assert_eq!(levels.depth(&[("first".into(), 5), ("second".into(), 7)].into()), 2 + 5 + 7);
    }

    #[test]
    fn the_front_spends_levels_where_they_help_most() {
        let levels = LevelGraph::new(&network()).unwrap();
        let choices = |coarse| vec![Choice { levels: 4, error: coarse }, Choice { levels: 6, error: 1.0 }];
        let front = levels.front(&[("first".into(), choices(9.0)), ("second".into(), choices(3.0))].into());
        let facts: Vec<_> = front.iter().map(|mix| (mix.levels, mix.error)).collect();
        assert_eq!(facts, [(10, 12.0), (12, 4.0), (14, 2.0)]);
        assert_eq!(front[1].picks, [("first".into(), 1), ("second".into(), 0)].into());
    }
}
