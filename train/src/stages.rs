//! What is trained when: stages, phases, and the rule that ends them.

use std::collections::BTreeSet;

use paf_adapt::config::{TrainConfig, TrainingOrder, Upstream};
use paf_adapt::training::Phase;
use paf_ir::tensor::{Graph, NodeId, Op};
use serde::{Deserialize, Serialize};

/// A set of operators that is trained until it stagnates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    /// For messages: the operator's name, or `all`.
    pub(crate) name: String,
    /// Operators that have their PAFs from this stage on.
    pub(crate) replaced: Vec<NodeId>,
    /// Operators whose coefficients are trained.
    pub(crate) operators: Vec<NodeId>,
    /// Nodes whose weights are trained.
    pub(crate) weights: Vec<NodeId>,
    /// In which order things are trained, over and over.
    pub(crate) phases: Vec<Phase>,
    /// Most groups of epochs.
    pub(crate) groups: usize,
}

/// The stages of a network whose operators with PAFs are given in graph order; without any, the weights are trained
/// alone: the control that says what training gains by itself.
pub(crate) fn stages(
    graph: &Graph,
    operators: &[NodeId],
    config: &TrainConfig,
    frozen: &BTreeSet<NodeId>,
) -> Vec<Stage> {
    let trained = |mut nodes: BTreeSet<NodeId>| {
        nodes.retain(|id| !frozen.contains(id));
        nodes.into_iter().collect::<Vec<_>>()
    };
    let single = |(place, &operator): (usize, &NodeId)| {
        let weights = trained(upstream(graph, operator, config.upstream));
        Stage {
            name: graph.node(operator).name.clone(),
            replaced: operators[..=place].to_vec(),
            operators: vec![operator],
            phases: in_turns(!weights.is_empty()),
            weights,
            groups: config.groups,
        }
    };
    let mut stages: Vec<Stage> = match config.order {
        TrainingOrder::Progressive => operators.iter().enumerate().map(single).collect(),
        _ => vec![],
    };
    let weights = trained(graph.nodes().filter(|(_, node)| has_weights(&node.op)).map(|(id, _)| id).collect());
    stages.push(Stage {
        name: "all".into(),
        replaced: operators.to_vec(),
        operators: operators.to_vec(),
        phases: match (operators.is_empty(), config.order) {
            (true, _) => vec![Phase::Weights],
            (false, TrainingOrder::Together) => vec![Phase::Both],
            (false, _) => in_turns(!weights.is_empty()),
        },
        weights,
        groups: config.last_groups,
    });
    stages.retain(|stage| stage.groups > 0);
    stages
}

fn in_turns(has_weights: bool) -> Vec<Phase> {
    if has_weights { vec![Phase::Coefficients, Phase::Weights] } else { vec![Phase::Coefficients] }
}

fn has_weights(op: &Op) -> bool {
    matches!(op, Op::Linear(_) | Op::BatchNorm(_))
}

/// Nodes with weights that an operator's input depends on.
fn upstream(graph: &Graph, operator: NodeId, reach: Upstream) -> BTreeSet<NodeId> {
    let (mut found, mut visited) = (BTreeSet::new(), BTreeSet::new());
    let mut open = graph.node(operator).inputs.clone();
    while let Some(id) = open.pop() {
        let node = graph.node(id);
        let is_boundary = matches!(node.op, Op::Relu | Op::MaxPool(_) | Op::Function(_));
        if !visited.insert(id) || (is_boundary && reach == Upstream::Segment) {
            continue;
        }
        if has_weights(&node.op) {
            found.insert(id);
        }
        open.extend(&node.inputs);
    }
    found
}

/// Where a stage is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub(crate) struct Turn {
    /// Place of the phase among those of the stage.
    pub(crate) phase: usize,
    /// Groups of epochs that are over.
    pub(crate) groups: usize,
    /// Groups of this phase that are over since it began.
    in_a_row: usize,
    /// Whether a group of this phase was taken.
    taken: bool,
    /// Phases in a row in which no group was taken.
    barren: usize,
}

/// How a group of epochs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing better came out.
    Rejected,
    /// Something better came out in the first half of the group.
    BetterEarly,
    /// Something better came out in the second half, or by averaging.
    BetterLate,
}

/// What follows on a group: the next turn, or `None` at the end of the stage.
///
/// The phase goes on while groups still improve at their ends, for at most `longest` groups; it changes where the best
/// came early or not at all. The stage is over when each phase in a row brought nothing, or after as many groups as it
/// may have.
pub(crate) fn after_group(turn: &Turn, ending: Ending, stage: &Stage, longest: usize) -> Option<Turn> {
    let mut next = Turn { groups: turn.groups + 1, in_a_row: turn.in_a_row + 1, ..turn.clone() };
    next.taken |= ending != Ending::Rejected;
    if ending != Ending::BetterLate || next.in_a_row >= longest {
        next.barren = if next.taken { 0 } else { turn.barren + 1 };
        (next.taken, next.in_a_row) = (false, 0);
        next.phase = (turn.phase + 1) % stage.phases.len();
    }
    (next.groups < stage.groups && next.barren < stage.phases.len()).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ending::{BetterEarly, BetterLate, Rejected};

    fn stage(phases: &[Phase]) -> Stage {
        Stage {
            name: "r".into(),
            replaced: vec![],
            operators: vec![],
            weights: vec![],
            phases: phases.to_vec(),
            groups: 9,
        }
    }

    /// The phases of the groups that are run when groups end like this; `|` marks the end of the stage.
    fn run(phases: &[Phase], endings: &[Ending], longest: usize) -> String {
        let (stage, mut turn) = (stage(phases), Turn::default());
        let mut text = String::new();
        for ending in endings {
            text.push(if stage.phases[turn.phase] == Phase::Coefficients { 'c' } else { 'w' });
            match after_group(&turn, *ending, &stage, longest) {
                Some(next) => turn = next,
                None => return text + "|",
            }
        }
        text
    }

    #[test]
    fn phases_change_where_they_no_longer_help() {
        let both = [Phase::Coefficients, Phase::Weights];
        for (endings, expected) in [
            (vec![Rejected, Rejected], "cw|"),
            (vec![BetterLate, BetterLate, BetterEarly, Rejected, Rejected], "cccwc|"),
            (vec![BetterLate, Rejected, Rejected, Rejected], "ccwc|"),
            (vec![Rejected, BetterEarly, Rejected, Rejected], "cwcw|"),
            (vec![BetterLate; 12], "ccccccccc|"),
        ] {
            assert_eq!(run(&both, &endings, usize::MAX), expected, "{endings:?}");
        }
        assert_eq!(run(&[Phase::Coefficients], &[BetterEarly, Rejected], 1), "cc|");
        assert_eq!(run(&both, &[BetterLate; 9], 1), "cwcwcwcwc|");
        assert_eq!(run(&both, &[BetterLate, BetterLate, BetterLate, Rejected, Rejected], 2), "ccwwc");
        assert_eq!(run(&both, &[BetterLate, Rejected, Rejected], 1), "cwc|");
    }
}
