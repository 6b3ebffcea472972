//! The default of a compilation with samples: the cheapest PAFs with which the network predicts as the original does.
//!
//! The samples are split. On one part a walk fits polynomials of ReLU to what each node sees and brings channel statistics
//! back, as the steps `calibrate`, `bn` and `ct` do; the other part, which no fit has seen, judges. A first walk with one
//! degree everywhere tells how large the errors of all degrees are at every node; errors of nodes add up square by square,
//! so that it says which mix keeps what is asked for. Levels are taken away where that costs least, the mix is walked and
//! judged itself, and what is judged to keep the fidelity is taken.
//!
//! Hits flatter where a network is sure of its predictions, as it is of samples that it was trained on. What is judged is
//! therefore the error of the results against the gap between the two best ones ([`agreement`]), with a factor of safety;
//! and beside the samples themselves noisy ones, of which the network is less sure, as of new and poorer samples. The choice
//! that was made is walked once more on all samples.

mod agreement;
mod mix;

use std::collections::BTreeMap;

use paf_ir::linear::Operator;
use paf_ir::random::SplitMix64;
use paf_ir::tensor::{Graph, Node, Op};
use paf_passes::approximate::levels_with;
use paf_passes::choose::LevelGraph;
use paf_passes::paf::Paf;
use rayon::prelude::*;

use crate::config::{Config, CtConfig, ScaleMargin, StepName};
use crate::cost::{Cost, Costs};
use crate::data::{CALIBRATION_SAMPLES, Data, shuffled};
use crate::error::RecoveryError;
use crate::evaluate::{Lost, all_results};
use crate::events::{Event, Listener, Undertaking, tell};
use crate::network::Network;
use crate::steps::{Reference, Walk};
use crate::target::Target;
use agreement::{Agreement, Meanings, Results};
use mix::{Menu, Mix};

/// Fewer samples say too little of what a node sees and of how well a choice does.
pub const LEAST_SAMPLES: usize = 50;

/// The part of the samples that judges.
const JUDGING: f64 = 0.35;

/// The polynomials that are offered, by ascending levels, and which of them the first walk has.
const OFFERED: [&str; 6] = ["relu4", "relu8", "relu16", "relu32", "relu63", "abs126"];
const FIRST: usize = 3;

/// What is offered beside them where results are numbers, of which each error counts.
const OFFERED_FOR_NUMBERS: [&str; 4] = [COARSEST_FOR_NUMBERS, "alpha12", "alpha14", "alpha15"];
/// The first of them.
pub const COARSEST_FOR_NUMBERS: &str = "alpha10";

/// The PAFs that are offered for a network, by ascending levels; `probabilities` as in [`Request`].
pub fn offered(original: &Network, probabilities: bool) -> Vec<&'static str> {
    let has_numbers = Meanings::of(&original.graph, probabilities).has_numbers();
    let more = OFFERED_FOR_NUMBERS.iter().filter(|_| has_numbers);
    OFFERED.iter().chain(more).copied().collect()
}

/// By how much errors are taken to be larger on samples to come than on those that judge.
const SAFETY: f64 = 2.5;

/// The noise of poorer samples, in deviations of an element. Shares of noisy training images that keep their prediction are
/// within 1.5 points of those of JPEG test images for six networks for CIFAR-10 and polynomials of degree 15 to 127.
const NOISE: f32 = 0.2;
const NOISE_SEED: u64 = 1;

/// How much what is expected of noisy samples counts against what is expected of the samples.
const NOISY_WEIGHT: f64 = 0.5;

/// Errors are not taken to be larger than by this factor, and how often that is halved.
const MOST_FACTOR: f64 = 64.0;
const HALVINGS: usize = 20;

/// Walks of mixes after that of one degree; and where a walk is so much work that it looks at a part of the samples only.
const MOST_MIXES: usize = 4;
const MOST_LARGE_MIXES: usize = 2;

/// By how much more a mix must keep that is taken since it is cheaper than one that keeps enough, with one sample that judges:
/// the cheapest of several that the same samples judge is flattered by them, the less so the more they are, by their root.
const FLATTERED: f64 = 0.0265;

/// Products with weights that one pass over the samples may take: while a choice is made, and for what is fitted at last. A
/// large network is looked at on fewer samples.
const CHOOSING_WORK: usize = 9_000_000_000;
const FITTING_WORK: usize = 25_000_000_000;

/// How many times as much an accuracy is worth: whether predictions are right says less of samples than their errors do, and
/// solving for weights asks for more of them than fitting polynomials.
const MORE_FOR_ACCURACY: usize = 2;

/// Products with weights that the calibration of outputs and smooth functions may take.
const CALIBRATION_WORK: usize = 5_000_000_000;

/// Points of accuracy that may be lost where labels are given, beside the standard error of the loss; of noisy samples too.
const MOST_LOST: f64 = 0.5;

/// The share of samples that must be expected to be predicted the same even where accuracy counts: of poorer samples, of which
/// no labels are at hand, more change for the worse than for the better. Two networks for CIFAR-10 lost 0.0 and 0.7 points of
/// 1,000 JPEG images with a degree that keeps 96 and 98 %, and 3 to 4 with one that keeps 88 and 90 %.
const LEAST_SAME: f64 = 0.93;

/// The part of the nodes that may have a lower degree than the others, where accuracy counts: one in so many, the first ones.
const FIRST_NODES: usize = 3;

/// Whether a network tells a class and beside it how probable each class is.
pub fn tells_probabilities(graph: &Graph) -> bool {
    Meanings::of(graph, true).tells_both()
}

/// The share of samples whose predictions stay the same although each result moves by so much more as errors are taken to be
/// larger on samples to come. The results are those of each output on every sample; `probabilities` as in [`Request`].
pub fn kept(graph: &Graph, probabilities: bool, results: &[Vec<Vec<f64>>], moved: &[Vec<Vec<f64>>]) -> f64 {
    let joined = |outputs: &[Vec<Vec<f64>>]| -> Vec<Vec<f64>> {
        let samples = outputs.first().map_or(0, Vec::len);
        (0..samples).map(|sample| outputs.iter().flat_map(|output| output[sample].iter().copied()).collect()).collect()
    };
    let results = Results::of(joined(results), &Meanings::of(graph, probabilities));
    results.kept(&results.beside(&joined(moved)), SAFETY)
}

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

/// A PAF for each node, and how well the network does with it.
#[derive(Debug, Clone)]
pub struct Choice {
    mix: Mix,
    /// How well it does, fitted to a part of the samples and judged by others.
    pub fidelity: Fidelity,
    cost: Cost,
}

impl Choice {
    /// Bootstraps that its circuit is expected to take.
    pub fn bootstraps(&self) -> usize {
        self.cost.bootstraps as usize
    }
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
    /// How much wider static scales are than what the samples show.
    pub margin: ScaleMargin,
    /// How many of those that are [`offered`] nodes may have, at least one.
    pub most: usize,
    /// Whether probabilities that a model tells beside a class are kept as numbers, not just the class.
    pub probabilities: bool,
    /// The circuit that it is for.
    pub target: &'r Target,
}

/// What was walked.
#[derive(Debug, Clone)]
pub struct Choices {
    /// Those that keep what is asked for come before others, and of them the cheapest one; of others the most faithful one.
    /// At least one.
    pub best_first: Vec<Choice>,
    pafs: Vec<Paf>,
    config: Config,
    fitting: Data,
    /// Samples that everything was fitted to, as many as a compilation needs: no scale is left by one of them.
    pub fitted: Data,
}

impl Choices {
    /// The network with a choice, fitted to all samples that there is time for.
    ///
    /// # Errors
    /// As [`crate::steps::walk()`].
    pub fn fitted(
        &self,
        original: &Network,
        choice: &Choice,
        listener: &mut Listener<'_>,
    ) -> Result<Network, RecoveryError> {
        let reference = Reference::for_steps(original, &self.fitting, &self.config);
        let start = Walk::new(original, &reference, &self.fitting, &self.config);
        walked(start, &self.pafs, &mut choice.mix.clone(), listener, |_, _, _| Ok(()))
    }
}

/// Chooses PAFs for all nodes.
///
/// # Errors
/// As [`crate::steps::walk()`].
pub fn faithful(request: &Request<'_>, listener: &mut Listener<'_>) -> Result<Choices, RecoveryError> {
    let Request { original, data, wanted, margin, most, probabilities, target } = *request;
    data.check_for(&original.graph)?;
    tell(listener, Event::Begins(Undertaking::Fidelity))?;
    let config = Config { margin, ..config(wanted) };
    let (seen, judging, fitting) = split(original, data, &config, wanted);
    let pafs = offered(original, probabilities)
        .into_par_iter()
        .take(most.max(1))
        .map(Paf::by_name)
        .collect::<Result<Vec<_>, _>>()?;
    let reference = Reference::for_steps(original, &seen, &config);
    let start = Walk::new(original, &reference, &seen, &config);
    let judges = Judges::new(original, judging, probabilities)?;
    let levels = LevelGraph::new(&original.graph, original.reduction, target.options.schedule.profile)?;
    let costs = Costs::new(&levels, target)?;
    let is_large = work(original) * data.len() > CHOOSING_WORK;
    let most_mixes = if is_large { MOST_LARGE_MIXES } else { MOST_MIXES };
    let mut search = Search { start, judges, costs, most_mixes, pafs: &pafs, wanted, walked: vec![], listener };
    search.run()?;
    let best_first = search.in_order();
    let enough = (CALIBRATION_WORK / work(original).max(1)).max(CALIBRATION_SAMPLES).min(fitting.len());
    let fitted = fitting.subset(&(0..enough).collect::<Vec<_>>());
    Ok(Choices { best_first, pafs, config, fitting, fitted })
}

fn config(wanted: Wanted) -> Config {
    // With the weights solved for the original's results, polynomials by channel add nothing to the accuracy.
    let channels = matches!(wanted, Wanted::Same(_));
    Config {
        ct: CtConfig { channels, ..CtConfig::default() },
        steps: match wanted {
            Wanted::Same(_) => vec![StepName::Calibrate, StepName::Bn, StepName::Ct],
            Wanted::Accuracy => vec![StepName::Calibrate, StepName::Ls, StepName::Bn, StepName::Ct],
        },
        ..Config::default()
    }
}

/// The samples that fits look at while a choice is made, those that judge, and those that the choice is fitted to at last.
fn split(original: &Network, data: &Data, config: &Config, wanted: Wanted) -> (Data, Data, Data) {
    let most = |products: usize| (products / work(original).max(1)).max(2 * LEAST_SAMPLES).min(data.len());
    let order = shuffled(data.len(), config.seed);
    let more = if wanted == Wanted::Accuracy { MORE_FOR_ACCURACY } else { 1 };
    let (choosing, fitting) = (most(more * CHOOSING_WORK), most(FITTING_WORK));
    let (judging, seen) = order[..choosing].split_at((choosing as f64 * JUDGING) as usize);
    (data.subset(seen), data.subset(judging), data.subset(&order[..fitting]))
}

/// Products with weights that one sample takes.
fn work(network: &Network) -> usize {
    products(&network.graph)
}

fn products(graph: &Graph) -> usize {
    let products = |op: &Op| if let Op::Linear(map) = op { Operator::new(map).products() } else { 0 };
    graph.nodes().map(|(_, node)| products(&node.op)).sum()
}

/// How many of so many samples a choice is fitted to at once, at most.
pub fn fitted_at_once(graph: &Graph, samples: usize) -> usize {
    (FITTING_WORK / products(graph).max(1)).max(2 * LEAST_SAMPLES).min(samples)
}

/// Samples that no fit has seen, as they are and with noise, with the original network's results.
struct Judges {
    data: Data,
    results: Results,
    noisy: Data,
    noisy_results: Results,
}

/// How far a choice agrees with the original network on both.
struct Agreements {
    on_samples: Agreement,
    on_noisy: Agreement,
}

/// Right predictions in percent, and whether enough of them are kept.
struct Accuracies {
    original: f64,
    own: f64,
    kept: bool,
}

/// Which predictions are right.
fn right(original: &Results, results: &[Vec<f64>], labels: &[u32]) -> Vec<bool> {
    results.iter().zip(labels).map(|(result, label)| original.class(result) == *label as usize).collect()
}

/// Whether no more than [`MOST_LOST`] and its standard error are lost.
fn keeps_accuracy(original: &Results, results: &[Vec<f64>], labels: &[u32]) -> bool {
    let lost = Lost::between(&right(original, original.values(), labels), &right(original, results, labels));
    lost.points <= MOST_LOST + lost.standard_error
}

impl Judges {
    fn new(original: &Network, data: Data, probabilities: bool) -> Result<Self, RecoveryError> {
        let noisy = noisy(&data, NOISE);
        let meanings = Meanings::of(&original.graph, probabilities);
        let results = Results::of(all_results(original, &data)?, &meanings);
        let noisy_results = Results::of(all_results(original, &noisy)?, &meanings);
        Ok(Judges { data, results, noisy, noisy_results })
    }

    /// The agreement, and whether the accuracy is kept; both on the samples and on the noisy ones.
    fn judge(&self, network: &Network) -> Result<(Agreements, Option<Accuracies>), RecoveryError> {
        let (results, noisy) = (all_results(network, &self.data)?, all_results(network, &self.noisy)?);
        let agreements =
            Agreements { on_samples: self.results.beside(&results), on_noisy: self.noisy_results.beside(&noisy) };
        let accuracies = self.data.y.as_deref().map(|labels| {
            let percent = |results: &[Vec<f64>]| {
                let right = right(&self.results, results, labels).into_iter().filter(|right| *right).count();
                100.0 * right as f64 / labels.len().max(1) as f64
            };
            Accuracies {
                original: percent(self.results.values()),
                own: percent(&results),
                kept: keeps_accuracy(&self.results, &results, labels)
                    && keeps_accuracy(&self.noisy_results, &noisy, labels),
            }
        });
        Ok((agreements, accuracies))
    }

    /// The share that is expected to be predicted the same, of samples to come, if errors were so many times as large.
    fn expected(&self, agreements: &Agreements, factor: f64) -> f64 {
        let on_samples = self.results.expected(&agreements.on_samples, SAFETY * factor);
        let on_noisy = self.noisy_results.expected(&agreements.on_noisy, factor);
        NOISY_WEIGHT * on_noisy + (1.0 - NOISY_WEIGHT) * on_samples
    }

    /// The largest factor on the errors with which a share is still expected; 0 if none is.
    fn largest_factor(&self, agreements: &Agreements, wanted: f64) -> f64 {
        let (mut low, mut high) = (0.0, MOST_FACTOR);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.expected(agreements, middle) >= wanted { low = middle } else { high = middle }
        }
        low
    }
}

/// The samples with noise: at each element normally distributed (Irwin and Hall: a sum of twelve), so many times the deviation
/// that the samples show there, and within the range that they show.
fn noisy(data: &Data, strength: f32) -> Data {
    let (count, size) = (data.len() as f32, data.shape.size());
    let mut elements = vec![(0f32, 0f32, f32::INFINITY, f32::NEG_INFINITY); size];
    for sample in data.x.chunks(size.max(1)) {
        for ((sum, squares, low, high), &x) in elements.iter_mut().zip(sample) {
            (*sum, *squares, *low, *high) = (*sum + x, *squares + x * x, low.min(x), high.max(x));
        }
    }
    let mut random = SplitMix64::new(NOISE_SEED);
    let mut noisy = data.clone();
    for sample in noisy.x.chunks_mut(size.max(1)) {
        for (x, &(sum, squares, low, high)) in sample.iter_mut().zip(&elements) {
            let deviation = (squares / count - (sum / count).powi(2)).max(0.0).sqrt();
            let normal = (0..12).map(|_| random.uniform()).sum::<f64>() - 6.0;
            *x = (*x + strength * deviation * normal as f32).clamp(low, high);
        }
    }
    noisy
}

/// A mix that was walked and judged.
struct Walked {
    choice: Choice,
    agreements: Agreements,
}

/// Between which sums of squared errors the largest one lies that keeps what is asked for.
struct Bracket {
    enough: f64,
    too_much: f64,
}

impl Bracket {
    fn learn(&mut self, square: f64, kept: bool) {
        match kept {
            true => self.enough = self.enough.max(square),
            false => self.too_much = self.too_much.min(square),
        }
    }

    /// What is tried next: what was estimated, if it lies between, else their geometric mean.
    fn next(&self, estimated: f64) -> f64 {
        let is_between = estimated > self.enough && estimated < self.too_much;
        if is_between || self.enough == 0.0 || self.too_much == f64::INFINITY {
            estimated
        } else {
            (self.enough * self.too_much).sqrt()
        }
    }
}

struct Search<'a, 'l> {
    start: Walk<'a>,
    judges: Judges,
    costs: Costs<'a>,
    most_mixes: usize,
    pafs: &'a [Paf],
    wanted: Wanted,
    walked: Vec<Walked>,
    listener: &'l mut Listener<'l>,
}

impl Search<'_, '_> {
    fn run(&mut self) -> Result<(), RecoveryError> {
        match self.wanted {
            Wanted::Same(share) => self.mixes(share),
            Wanted::Accuracy => self.accurate(),
        }
    }

    /// One degree everywhere, then what the errors of single nodes add up to.
    fn mixes(&mut self, share: f64) -> Result<(), RecoveryError> {
        let (mut menus, nodes) = (vec![], self.start.original().nonlinear().count());
        self.walk(vec![FIRST.min(self.pafs.len() - 1); nodes], Some(&mut menus))?;
        let offers = mix::offers(&menus, &self.costs);
        let mut bracket = Bracket { enough: 0.0, too_much: f64::INFINITY };
        for _ in 0..self.most_mixes {
            let Some(last) = self.walked.last() else { break };
            let square = mix::square(&menus, &last.choice.mix);
            bracket.learn(square, last.choice.fidelity.kept);
            let factor = self.judges.largest_factor(&last.agreements, self.enough(share));
            let most = bracket.next(square * factor.powi(2));
            let deepest = || vec![self.pafs.len() - 1; nodes];
            let next = mix::cheapest(&offers, most).map_or_else(deepest, |offer| offer.mix.clone());
            if self.walked.iter().any(|walked| walked.choice.mix == next) {
                break;
            }
            self.walk(next, None)?;
        }
        Ok(())
    }

    /// One degree everywhere, fewer levels as long as the accuracy is kept, more until it is; then the next lower degree for
    /// the first nodes, whose errors the layers after them are solved to correct. No other mixes: a loss of accuracy is too
    /// small beside its standard error to tell them apart, and they lose more of poorer samples.
    fn accurate(&mut self) -> Result<(), RecoveryError> {
        let (mut menus, nodes) = (vec![], self.start.original().nonlinear().count());
        let mut pick = FIRST.min(self.pafs.len() - 1);
        let is_first_kept = self.keeps(vec![pick; nodes], Some(&mut menus))?;
        let kept = loop {
            let next = match is_first_kept {
                true if pick > 0 => pick - 1,
                false if pick + 1 < self.pafs.len() => pick + 1,
                _ => return Ok(()),
            };
            if self.keeps(vec![next; nodes], None)? != is_first_kept {
                break pick.max(next);
            }
            pick = next;
        };
        let shallower = |first: usize| -> Mix { (0..nodes).map(|node| kept - usize::from(node < first)).collect() };
        let offers = (0..=nodes / FIRST_NODES).map(|first| mix::offer(&menus, &self.costs, shallower(first)));
        match offers.min_by(|a, b| a.cost.expected_order(&b.cost)) {
            Some(cheapest) if cheapest.mix != shallower(0) => self.keeps(cheapest.mix, None).map(drop),
            _ => Ok(()),
        }
    }

    /// Walks a mix and tells whether it keeps what is asked for.
    fn keeps(&mut self, mix: Mix, menus: Option<&mut Vec<Menu>>) -> Result<bool, RecoveryError> {
        self.walk(mix, menus)?;
        Ok(self.walked.last().is_some_and(|walked| walked.choice.fidelity.kept))
    }

    /// Walks a mix and judges it; adds the errors of all polynomials at every node, with what is before them as it was
    /// walked.
    fn walk(&mut self, mut mix: Mix, mut menus: Option<&mut Vec<Menu>>) -> Result<(), RecoveryError> {
        let (mut levels, pafs) = (BTreeMap::new(), self.pafs);
        let network = walked(self.start.clone(), pafs, &mut mix, self.listener, |walk, node, pick| {
            let of_each: Vec<u32> = pafs.iter().map(|paf| levels_with(&node.op, paf, walk.reduction())).collect();
            levels.insert(node.name.clone(), of_each[pick]);
            if let Some(menus) = &mut menus {
                let squares = walk.relative_squares(pafs)?;
                menus.push(Menu { node: node.name.clone(), squares, levels: of_each });
            }
            Ok(())
        })?;
        let (agreements, accuracies) = self.judges.judge(&network)?;
        let fidelity = self.judged(&agreements, accuracies);
        let cost = self.costs.expected(&levels);
        self.walked.push(Walked { choice: Choice { mix, fidelity, cost }, agreements });
        Ok(())
    }

    /// The share that the next mix has to keep.
    fn enough(&self, share: f64) -> f64 {
        let is_kept = self.walked.iter().any(|walked| walked.choice.fidelity.kept);
        let flattered = FLATTERED / (self.judges.data.len() as f64).sqrt();
        if is_kept { (share + flattered).min(1.0) } else { share }
    }

    fn judged(&self, agreements: &Agreements, accuracies: Option<Accuracies>) -> Fidelity {
        let expected = self.judges.expected(agreements, 1.0);
        Fidelity {
            same: agreements.on_samples.same,
            expected,
            samples: self.judges.data.len(),
            outside: agreements.on_samples.lost,
            accuracy: accuracies.as_ref().map(|accuracies| (accuracies.original, accuracies.own)),
            kept: match self.wanted {
                Wanted::Same(share) => expected >= self.enough(share),
                Wanted::Accuracy => expected >= LEAST_SAME && accuracies.is_some_and(|accuracies| accuracies.kept),
            },
        }
    }

    fn in_order(mut self) -> Vec<Choice> {
        let expected = |walked: &Walked| walked.choice.fidelity.expected;
        self.walked.sort_by(|a, b| match (a.choice.fidelity.kept, b.choice.fidelity.kept) {
            (true, true) => a.choice.cost.expected_order(&b.choice.cost).then(expected(b).total_cmp(&expected(a))),
            (false, false) => expected(b).total_cmp(&expected(a)).then(a.choice.cost.expected_order(&b.choice.cost)),
            (kept, other) => other.cmp(&kept),
        });
        self.walked.into_iter().map(|walked| walked.choice).collect()
    }
}

/// Walks a mix; a node where a polynomial cannot be used gets the next deeper one. `visit` sees the walk before each node,
/// and which polynomial the node gets.
fn walked<'a>(
    mut walk: Walk<'a>,
    pafs: &[Paf],
    mix: &mut Mix,
    listener: &mut Listener<'_>,
    mut visit: impl FnMut(&Walk<'a>, &Node, usize) -> Result<(), RecoveryError>,
) -> Result<Network, RecoveryError> {
    let mut place = 0;
    while let Some((_, node)) = walk.advance()? {
        let reduction = walk.reduction();
        let fits = |paf: &Paf| match &node.op {
            Op::MaxPool(window) => paf.pool_guard(reduction.comparisons(window)).is_finite(),
            _ => true,
        };
        mix[place] = (mix[place]..pafs.len()).find(|&pick| fits(&pafs[pick])).unwrap_or(mix[place]);
        visit(&walk, node, mix[place])?;
        let tuned = walk.tuned(pafs[mix[place]].clone())?;
        walk.place(tuned)?;
        place += 1;
        tell(listener, Event::Done { done: place, all: mix.len() })?;
    }
    Ok(walk.finish().0)
}
