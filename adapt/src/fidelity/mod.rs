//! The default of a compilation with samples: the cheapest PAFs with which the network predicts as the original does.
//!
//! The samples are split. On one part a walk fits polynomials of ReLU to what each node sees and brings channel statistics
//! back, as the steps `calibrate`, `bn` and `ct` do; the other part, which no fit has seen, judges. A first walk with one
//! degree everywhere tells how large the errors of all degrees are at every node; errors of nodes add up square by square,
//! so that it says which mix keeps what is asked for. Levels are taken away where that costs least, the mix is walked and
//! judged itself, and what is judged to keep the fidelity is taken.
//!
//! Hits flatter where a network is sure of its predictions, as it is of images that it was trained on. What is judged is
//! therefore the error of the results against the gap between the two best ones ([`agreement`]), with a factor of safety.

mod agreement;
mod mix;

use paf_ir::linear::Operator;
use paf_ir::tensor::Op;
use paf_passes::approximate::levels_with;
use paf_passes::paf::Paf;

use crate::config::{Config, ScaleMargin, StepName};
use crate::data::{Data, shuffled};
use crate::error::RecoveryError;
use crate::evaluate::{Lost, logits, top1};
use crate::events::{Event, Listener, Undertaking, tell};
use crate::network::Network;
use crate::steps::{Reference, Walk};
use agreement::{Agreement, Results, SAFETY};
use mix::{Menu, Mix};

/// Fewer samples say too little of what a node sees and of how well a choice does.
pub const LEAST_SAMPLES: usize = 50;

/// The part of the samples that judges.
const JUDGING: f64 = 0.4;

/// The polynomials that are offered, by ascending levels, and which of them the first walk has.
const OFFERED: [&str; 5] = ["relu7", "relu15", "relu31", "relu63", "abs126"];
const FIRST: usize = 2;

/// Index of the deepest polynomial that is offered.
pub const DEEPEST: usize = OFFERED.len() - 1;

/// Walks of mixes after those of one degree.
const MOST_MIXES: usize = 3;

/// Products with weights that one pass over the samples may take, about ten seconds on two cores for all passes; a large
/// network is looked at on fewer samples.
const MOST_WORK: usize = 25_000_000_000;

/// Points of accuracy that may be lost where labels are given, beside the standard error of the loss.
const MOST_LOST: f64 = 0.5;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// The share of samples that are to be predicted as by the original network.
    Same(f64),
    /// The accuracy on labelled samples, within half a point and its standard error.
    Accuracy,
}

/// How well a choice does, and on what that rests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fidelity {
    /// The share of samples that the fit has not seen and that are predicted as by the original network.
    pub same: f64,
    /// What is to be expected of poorer samples.
    pub expected: f64,
    /// Samples that judged.
    pub samples: usize,
    /// Those of them that left a scale.
    pub outside: usize,
    /// Right predictions of the original network and of the choice, in percent; where labels are given.
    pub accuracy: Option<(f64, f64)>,
    /// Whether what was asked for is kept.
    pub kept: bool,
}

/// A network whose nodes have their PAFs, and how well it does.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The network, with corrected weights.
    pub network: Network,
    /// How well it does.
    pub fidelity: Fidelity,
}

/// What a choice looks at: the network, samples, and how many of the polynomials there are it may take.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The exact network.
    pub original: &'r Network,
    /// The samples.
    pub data: &'r Data,
    /// What is asked for.
    pub wanted: Wanted,
    /// The deepest polynomial that nodes may have, from 0 to [`DEEPEST`].
    pub deepest: usize,
}

/// Chooses PAFs for all nodes and fits them: what was walked, the best one first. Those that keep what is asked for come
/// before others, and of them the one of fewest levels; of others the most faithful one.
///
/// # Errors
/// As [`crate::steps::walk()`].
pub fn faithful(request: &Request<'_>, listener: &mut Listener<'_>) -> Result<Vec<Choice>, RecoveryError> {
    let Request { original, data, wanted, deepest } = *request;
    data.check_for(&original.graph)?;
    tell(listener, Event::Begins(Undertaking::Fidelity))?;
    let config = config(wanted);
    let (seen, judging) = split(original, data, &config);
    let pafs = OFFERED[..=deepest].iter().map(|name| Paf::by_name(name)).collect::<Result<Vec<_>, _>>()?;
    let reference = Reference::for_steps(original, &seen, &config);
    let start = Walk::new(original, &reference, &seen, &config);
    let results = Results::of(logits(original, &judging)?);
    let mut search = Search { start, results, data: &judging, pafs: &pafs, wanted, walked: vec![], listener };
    search.run()?;
    Ok(search.in_order())
}

/// The samples that the fits of [`faithful`] look at.
pub fn seen(request: &Request<'_>) -> Data {
    split(request.original, request.data, &config(request.wanted)).0
}

fn config(wanted: Wanted) -> Config {
    Config {
        steps: match wanted {
            Wanted::Same(_) => vec![StepName::Calibrate, StepName::Bn, StepName::Ct],
            Wanted::Accuracy => vec![StepName::Calibrate, StepName::Ls, StepName::Bn, StepName::Ct],
        },
        margin: ScaleMargin::AUTOMATIC,
        ..Config::default()
    }
}

/// The samples that fits look at, and those that judge.
fn split(original: &Network, data: &Data, config: &Config) -> (Data, Data) {
    let most = (MOST_WORK / work(original).max(1)).max(LEAST_SAMPLES);
    let mut order = shuffled(data.len(), config.seed);
    order.truncate(most);
    let judging = (order.len() as f64 * JUDGING) as usize;
    let (judging, seen) = order.split_at(judging);
    (data.subset(seen), data.subset(judging))
}

/// Products with weights that one sample takes.
fn work(network: &Network) -> usize {
    let products = |op: &Op| if let Op::Linear(map) = op { Operator::new(map).products() } else { 0 };
    network.graph.nodes().map(|(_, node)| products(&node.op)).sum()
}

/// A mix that was walked and judged.
struct Walked {
    mix: Mix,
    choice: Choice,
    agreement: Agreement,
    /// Levels of all nodes together.
    levels: u32,
}

struct Search<'a, 'l> {
    start: Walk<'a>,
    /// The original network's, on the samples that judge.
    results: Results,
    data: &'a Data,
    pafs: &'a [Paf],
    wanted: Wanted,
    walked: Vec<Walked>,
    listener: &'l mut Listener<'l>,
}

impl Search<'_, '_> {
    fn run(&mut self) -> Result<(), RecoveryError> {
        match self.wanted {
            Wanted::Same(share) => self.mixes(share),
            Wanted::Accuracy => self.uniform(),
        }
    }

    /// One degree everywhere, then what the errors of single nodes add up to.
    fn mixes(&mut self, share: f64) -> Result<(), RecoveryError> {
        let nodes = self.start.original().nonlinear().count();
        let menus = self.walk(vec![FIRST.min(self.pafs.len() - 1); nodes])?;
        for _ in 0..MOST_MIXES {
            let Some(last) = self.walked.last() else { break };
            let factor = self.results.largest_factor(&last.agreement, share);
            let most = mix::square(&menus, &last.mix) * factor.powi(2);
            let deepest = || menus.iter().map(|menu| menu.squares.len() - 1).collect();
            let next = mix::cheapest(&menus, most).unwrap_or_else(deepest);
            if self.walked.iter().any(|walked| walked.mix == next) {
                break;
            }
            self.walk(next)?;
        }
        Ok(())
    }

    /// One degree everywhere, fewer levels as long as the accuracy is kept, more until it is.
    fn uniform(&mut self) -> Result<(), RecoveryError> {
        let nodes = self.start.original().nonlinear().count();
        let mut pick = FIRST.min(self.pafs.len() - 1);
        loop {
            self.walk(vec![pick; nodes])?;
            let is_kept = self.walked.last().is_some_and(|walked| walked.choice.fidelity.kept);
            let first_was_kept = self.walked.first().is_some_and(|walked| walked.choice.fidelity.kept);
            pick = match (is_kept, first_was_kept) {
                (true, true) if pick > 0 => pick - 1,
                (false, false) if pick + 1 < self.pafs.len() => pick + 1,
                _ => return Ok(()),
            };
        }
    }

    /// Walks a mix and judges it; gives the errors of all polynomials at every node, with what is before them as it was
    /// walked. A node where a polynomial cannot be used gets a deeper one.
    fn walk(&mut self, mut mix: Mix) -> Result<Vec<Menu>, RecoveryError> {
        let (mut walk, mut menus, mut levels) = (self.start.clone(), vec![], 0);
        while let Some((_, node)) = walk.advance()? {
            let place = menus.len();
            let squares = walk.relative_squares(self.pafs)?;
            mix[place] = (mix[place]..self.pafs.len()).find(|&pick| squares[pick].is_finite()).unwrap_or(mix[place]);
            let own: Vec<u32> = self.pafs.iter().map(|paf| levels_with(&node.op, paf, walk.reduction())).collect();
            levels += own[mix[place]];
            menus.push(Menu { squares, levels: own });
            let tuned = walk.tuned(self.pafs[mix[place]].clone())?;
            walk.place(tuned)?;
            tell(self.listener, Event::Done { done: place + 1, all: mix.len() })?;
        }
        let network = walk.finish().0;
        let results = logits(&network, self.data)?;
        let agreement = self.results.beside(&results);
        let fidelity = self.judged(&agreement, &results);
        self.walked.push(Walked { mix, choice: Choice { network, fidelity }, agreement, levels });
        Ok(menus)
    }

    fn judged(&self, agreement: &Agreement, results: &[Vec<f64>]) -> Fidelity {
        let expected = self.results.expected(agreement, SAFETY);
        let right = |results: &[Vec<f64>], labels: &[u32]| -> Vec<bool> {
            results.iter().zip(labels).map(|(result, label)| top1(result) == *label as usize).collect()
        };
        let both = self.data.y.as_deref().map(|y| (right(self.results.values(), y), right(results, y)));
        let percent = |right: &[bool]| 100.0 * right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
        let keeps_accuracy = both.as_ref().is_some_and(|(before, after)| {
            let lost = Lost::between(before, after);
            lost.points <= MOST_LOST + lost.standard_error
        });
        Fidelity {
            same: agreement.same,
            expected,
            samples: self.data.len(),
            outside: agreement.lost,
            accuracy: both.as_ref().map(|(before, after)| (percent(before), percent(after))),
            kept: match self.wanted {
                Wanted::Same(share) => expected >= share,
                Wanted::Accuracy => keeps_accuracy,
            },
        }
    }

    fn in_order(mut self) -> Vec<Choice> {
        let expected = |walked: &Walked| walked.choice.fidelity.expected;
        self.walked.sort_by(|a, b| match (a.choice.fidelity.kept, b.choice.fidelity.kept) {
            (true, true) => a.levels.cmp(&b.levels).then(expected(b).total_cmp(&expected(a))),
            (false, false) => expected(b).total_cmp(&expected(a)).then(a.levels.cmp(&b.levels)),
            (kept, other) => other.cmp(&kept),
        });
        self.walked.into_iter().map(|walked| walked.choice).collect()
    }
}
