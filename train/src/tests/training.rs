//! Training for real, on images of 8×8 pixels.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use paf_adapt::config::{Augment, Loss, Normalization, OptimizerKind, TrainConfig, TrainingOrder, Upstream};
use paf_adapt::evaluate::{Accuracy, input_values, logits, node_values};
use paf_adapt::events::unheard;
use paf_adapt::network::{Network, Origin};
use paf_adapt::training::{Phase, Trained, TrainingRun};
use paf_adapt::{Data, Event, Listener, RecoveryError, Training};
use paf_ir::tensor::{Graph, Op};
use paf_passes::approximate::{Scaling, Values};
use paf_passes::paf::Paf;

use super::{calibrated, digits, model_graph};
use crate::CandleTraining;

fn train(network: &Network, run: &TrainingRun<'_>, listener: &mut Listener<'_>) -> Result<Trained, RecoveryError> {
    CandleTraining.train(network, run, listener)
}

/// A shallow composite, far from ReLU until it is trained.
const PAF: &str = "f1_g2.smartpaf";

/// Percent, of an accuracy around 96 % on 360 images.
const STANDARD_ERROR: f64 = 1.0;

/// Rates for some hundred images and a dozen epochs; the paper's are for tens of thousands.
fn quick(order: TrainingOrder) -> TrainConfig {
    TrainConfig {
        order,
        coefficient_rate: 1e-2,
        weight_rate: 1e-3,
        weight_decay: 0.0,
        batch: 50,
        epochs: 2,
        groups: 2,
        last_groups: 6,
        held_back: 0.2,
        ..TrainConfig::default()
    }
}

struct Case {
    original: Graph,
    network: Network,
    data: Data,
}

fn case(model: &str, data: Data) -> Case {
    let original = model_graph(model);
    let network = calibrated(&original, &Paf::by_name(PAF).unwrap(), &data);
    Case { original, network, data }
}

fn unlabelled() -> Data {
    digits("digits_calibration.npy", None)
}

impl Case {
    fn run<'r>(&'r self, config: &'r TrainConfig) -> TrainingRun<'r> {
        TrainingRun {
            original: &self.original,
            data: &self.data,
            config,
            seed: 7,
            frozen: BTreeSet::new(),
            checkpoint: None,
        }
    }

    fn train(&self, config: &TrainConfig) -> Trained {
        train(&self.network, &self.run(config), &mut unheard).unwrap()
    }
}

#[test]
fn every_order_lowers_the_loss_on_samples_it_has_not_seen() {
    let test = digits("digits_test.npy", Some("digits_test_labels.npy"));
    let accuracy = |network: &Network| {
        let labels = test.y.as_deref().unwrap();
        Accuracy::of(&logits(network, &test).unwrap(), labels).percent()
    };
    for model in ["digits_cnn.onnx", "digits_resnet_tiny.onnx"] {
        let case = case(model, unlabelled());
        for order in [TrainingOrder::Progressive, TrainingOrder::Alternate, TrainingOrder::Together] {
            let trained = case.train(&quick(order));
            let (before, after) = (trained.before, trained.after);
            println!("{model} {order:?}: {before:?} to {after:?}, original {:?}", trained.original);
            assert!(trained.improved() && trained.groups_taken > 0, "{model} {order:?}");
            assert!(after.loss < 0.5 * before.loss, "{model} {order:?}: {} to {}", before.loss, after.loss);
            let (before, after) = (accuracy(&case.network), accuracy(&trained.network));
            println!("    test {before} to {after}");
            assert!(after >= before - STANDARD_ERROR, "{model} {order:?}: {before} to {after}");
        }
    }
}

#[test]
fn polynomials_of_relu_are_trained_for_each_channel() {
    let (original, data) = (model_graph("digits_cnn.onnx"), unlabelled());
    let network = calibrated(&original, &Paf::by_name("relu4").unwrap(), &data);
    let case = Case { original, network, data };
    let trained = case.train(&quick(TrainingOrder::Alternate));
    println!("{:?} to {:?}", trained.before, trained.after);
    assert!(trained.after.loss < 0.5 * trained.before.loss);
    for chosen in trained.network.pafs.values() {
        let rectifier = chosen.paf.rectifier().unwrap();
        assert!(rectifier.settled && chosen.coefficients_from == Origin::At);
    }
}

#[test]
fn steps_that_lead_astray_get_smaller() {
    let original = model_graph("digits_cnn.onnx");
    let data = unlabelled();
    let network = calibrated(&original, &Paf::by_name("alpha8").unwrap(), &data);
    let case = Case { original, network, data };
    let config =
        TrainConfig { coefficient_rate: 1.0, weight_rate: 0.0, last_groups: 4, ..quick(TrainingOrder::Alternate) };
    let trained = case.train(&config);
    let (astray, well): (Vec<_>, Vec<_>) = trained.history.iter().partition(|epoch| !epoch.training_loss.is_finite());
    assert!(!astray.is_empty() && astray.len() <= 8, "{} of {}", astray.len(), trained.history.len());
    assert!(well.iter().any(|epoch| epoch.group == 1), "a group that went astray is done again");
    assert!(well.iter().all(|epoch| epoch.held_back.loss.is_finite()));
}

#[test]
fn every_phase_lowers_the_loss_by_itself_and_leaves_the_rest_alone() {
    let case = case("digits_cnn.onnx", unlabelled());
    for (phase, coefficient_rate, weight_rate) in [(Phase::Coefficients, 1e-2, 0.0), (Phase::Weights, 0.0, 1e-3)] {
        let trained = case.train(&TrainConfig { coefficient_rate, weight_rate, ..quick(TrainingOrder::Alternate) });
        assert!(trained.improved(), "{phase:?}: {:?} to {:?}", trained.before, trained.after);
        let group: Vec<_> = trained.history.iter().filter(|epoch| epoch.phase == phase).take(2).collect();
        assert!(group[1].training_loss < group[0].training_loss, "{phase:?}: {group:?}");
        let coefficients = |network: &Network| network.pafs.values().map(|paf| paf.paf.clone()).collect::<Vec<_>>();
        let same_coefficients = coefficients(&trained.network) == coefficients(&case.network);
        let same_weights = trained.network.graph == case.network.graph;
        assert_eq!((same_coefficients, same_weights), (phase == Phase::Weights, phase == Phase::Coefficients));
    }
}

#[test]
fn progressive_approximation_visits_every_operator_and_then_all() {
    let case = case("digits_cnn.onnx", unlabelled());
    let trained =
        case.train(&TrainConfig { epochs: 1, groups: 1, last_groups: 1, ..quick(TrainingOrder::Progressive) });
    let stages: Vec<&str> = trained.history.iter().map(|epoch| epoch.stage.as_str()).collect();
    let names: Vec<&str> = case.network.nonlinear().map(|(_, node)| node.name.as_str()).chain(["all"]).collect();
    assert_eq!(stages, names);
}

#[test]
fn losses_optimizers_and_augmentation_all_train() {
    let labelled = digits("digits_test.npy", Some("digits_test_labels.npy"));
    let case = case("digits_resnet_tiny.onnx", labelled);
    let base = TrainConfig { last_groups: 3, ..quick(TrainingOrder::Together) };
    let sgd = OptimizerKind::Sgd { momentum: 0.9 };
    for config in [
        TrainConfig { loss: Loss::Labels, ..base.clone() },
        TrainConfig { loss: Loss::Both { distillation: 0.5, temperature: 2.0 }, ..base.clone() },
        TrainConfig { optimizer: sgd, coefficient_rate: 1e-3, ..base.clone() },
        TrainConfig { augment: Augment::Crop, ..base.clone() },
        TrainConfig { normalization: Normalization::Batch, ..base.clone() },
        TrainConfig { order: TrainingOrder::Alternate, upstream: Upstream::All, average: false, ..base },
    ] {
        let trained = case.train(&config);
        assert!(trained.improved(), "{config:?}: {:?} to {:?}", trained.before, trained.after);
    }
}

#[test]
fn the_same_seed_gives_the_same_network_and_another_seed_another() {
    let case = case("digits_cnn.onnx", unlabelled());
    let config = TrainConfig { last_groups: 2, groups: 1, ..quick(TrainingOrder::Progressive) };
    let (first, again) = (case.train(&config), case.train(&config));
    assert!(first.network.graph == again.network.graph, "the same seed");
    assert_eq!(first.network.pafs, again.network.pafs);
    let other = train(&case.network, &TrainingRun { seed: 8, ..case.run(&config) }, &mut unheard).unwrap();
    assert!(first.network.graph != other.network.graph, "another seed");
}

/// Runs with a checkpoint, and keeps a copy of what it was after some epochs.
fn train_and_copy(case: &Case, config: &TrainConfig, path: &Path, copy: &Path, epochs: usize) -> Trained {
    let mut count = 0;
    let run = TrainingRun { checkpoint: Some(path), ..case.run(config) };
    train(&case.network, &run, &mut |event| {
        if let Event::Epoch(_) = event {
            // It is told before it is saved: the file on disk is that of the one before.
            if count == epochs {
                std::fs::copy(path, copy).unwrap();
            }
            count += 1;
        }
        ControlFlow::Continue(())
    })
    .unwrap()
}

#[test]
fn a_run_that_was_killed_ends_as_if_it_had_not_been() {
    let mut case = case("digits_cnn.onnx", unlabelled());
    case.network.pafs.values_mut().for_each(|paf| paf.scale = paf.scale.times(0.4));
    let config = TrainConfig { last_groups: 2, epochs: 3, ..quick(TrainingOrder::Progressive) };
    let folder = tempfile::tempdir().unwrap();
    let (path, copy) = (folder.path().join("run"), folder.path().join("killed"));
    for epochs in [1, 4, 9] {
        std::fs::remove_file(&path).ok();
        let whole = train_and_copy(&case, &config, &path, &copy, epochs);
        let mut told = 0;
        let run = TrainingRun { checkpoint: Some(&copy), ..case.run(&config) };
        let mut count = |event: Event<'_>| {
            told += usize::from(matches!(event, Event::Epoch(_)));
            ControlFlow::Continue(())
        };
        let resumed = train(&case.network, &run, &mut count).unwrap();
        assert_eq!(told + epochs, whole.history.len(), "only what was missing is run again");
        assert_eq!(whole.network.graph, resumed.network.graph, "after {epochs} epochs");
        assert_eq!(whole.network.pafs, resumed.network.pafs);
        assert_eq!(whole.after, resumed.after);
    }
}

#[test]
fn a_run_that_is_stopped_between_two_batches_goes_on_and_ends_the_same() {
    let case = case("digits_cnn.onnx", unlabelled());
    let config = TrainConfig { groups: 1, last_groups: 1, ..quick(TrainingOrder::Progressive) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = TrainingRun { checkpoint: Some(&path), ..case.run(&config) };
    let mut batches = 0;
    let stopped = train(&case.network, &run, &mut |_| {
        batches += 1;
        if batches < 30 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(stopped, Err(RecoveryError::Stopped)), "{:?}", stopped.map(|trained| trained.after));
    assert_eq!(batches, 30, "nothing is told after it");
    let (resumed, whole) = (train(&case.network, &run, &mut unheard).unwrap(), case.train(&config));
    assert_eq!((resumed.after, resumed.network.pafs), (whole.after, whole.network.pafs));
    assert_eq!(resumed.network.graph, whole.network.graph);
}

#[test]
fn checkpoints_of_other_runs_and_damaged_ones_are_refused() {
    let case = case("digits_cnn.onnx", unlabelled());
    let config = TrainConfig { groups: 0, last_groups: 1, epochs: 1, ..quick(TrainingOrder::Progressive) };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = TrainingRun { checkpoint: Some(&path), ..case.run(&config) };
    train(&case.network, &run, &mut unheard).unwrap();
    let refusal = |run: &TrainingRun<'_>| match train(&case.network, run, &mut unheard) {
        Err(RecoveryError::File { path: named, problem }) => {
            assert_eq!(named, path);
            problem
        }
        other => panic!("{:?}", other.map(|trained| trained.after)),
    };
    assert!(
        refusal(&TrainingRun { seed: 8, checkpoint: Some(&path), ..case.run(&config) })
            .contains("another configuration")
    );
    let bytes = std::fs::read(&path).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], &bytes[..7], &[]] {
        std::fs::write(&path, damaged).unwrap();
        assert!(refusal(&run).contains("no usable checkpoint"));
    }
}

#[test]
fn what_cannot_be_trained_is_refused_by_name() {
    let case = case("digits_cnn.onnx", unlabelled());
    let config = TrainConfig { groups: 0, last_groups: 1, epochs: 1, ..quick(TrainingOrder::Progressive) };
    let refusal = |network: &Network, run: TrainingRun<'_>| train(network, &run, &mut unheard).unwrap_err().to_string();
    let labels = TrainConfig { loss: Loss::Labels, ..config.clone() };
    assert!(refusal(&case.network, case.run(&labels)).contains("needs labels"));
    let negative = TrainConfig { weight_rate: -1.0, ..config.clone() };
    assert!(refusal(&case.network, case.run(&negative)).contains("weight_rate = -1"));
    let mut wrong = case.data.clone();
    wrong.y = Some(vec![10; wrong.len()]);
    assert!(refusal(&case.network, TrainingRun { data: &wrong, ..case.run(&config) }).contains("label 0 is 10"));
    let mut tight = case.network.clone();
    tight.pafs.values_mut().for_each(|paf| {
        paf.paf = Paf::by_name("alpha14").unwrap();
        paf.margin = 0.01;
        paf.scale = paf.scale.times(0.001);
    });
    let problem = refusal(&tight, case.run(&config));
    assert!(problem.contains("margin"), "{problem}");
}

#[test]
fn values_beyond_a_scale_do_not_spoil_the_scales_after_it() {
    let mut case = case("digits_resnet_tiny.onnx", unlabelled());
    case.network = calibrated(&case.original, &Paf::by_name("alpha7").unwrap(), &case.data);
    let sound = case.network.pafs.clone();
    let (_, first) = case.network.pafs.iter_mut().next().unwrap();
    first.scale = first.scale.times(0.5);
    let trained = case.train(&TrainConfig { last_groups: 1, ..quick(TrainingOrder::Together) });
    for (id, paf) in &trained.network.pafs {
        let (found, sound) = (paf.scale.largest(), sound[id].scale.largest());
        assert!(found < 1.5 * sound, "{}: {found}, calibrated {sound}", case.original.node(*id).name);
    }
    assert!(trained.after.accuracy > 0.9, "{:?}", trained.after);
}

fn reach_of(scale: &Scaling, values: &Values) -> f64 {
    let of_sample = |sample: Vec<f64>| {
        let (scales, part) = scale.parts(sample.len());
        let parts = sample.chunks(part).enumerate();
        parts.flat_map(|(k, part)| part.iter().map(move |x| x.abs() / scales[k % scales.len()])).fold(0.0, f64::max)
    };
    values.samples().into_iter().map(of_sample).fold(0.0, f64::max)
}

/// Largest part of its scale that an argument of a sign reaches.
fn largest_reach(network: &Network, data: &Data) -> f64 {
    let mut values = vec![input_values(data, 0..data.len())];
    let mut reached = 0f64;
    for (id, node) in network.graph.nodes().skip(1) {
        let operands: Vec<_> = node.inputs.iter().map(|input| &values[input.index()]).collect();
        if let Some(paf) = network.pafs.get(&id) {
            reached = reached.max(reach_of(&paf.scale, operands[0]));
            if let Op::MaxPool(window) = &node.op {
                let of_comparisons = Cell::new(0f64);
                operands[0].pool(window, network.reduction, &|a, b| {
                    of_comparisons.set(of_comparisons.get().max(reach_of(&paf.scale, &a.zip(b, |a, b| a - b))));
                    a.max(b, &paf.paf, &paf.scale)
                });
                reached = reached.max(of_comparisons.get());
            }
        }
        let value = node_values(network, id, &operands);
        values.push(value);
    }
    reached
}

#[test]
fn trained_scales_hold_every_sample_however_narrow_they_were() {
    for (model, order) in [
        ("digits_resnet_tiny.onnx", TrainingOrder::Together),
        ("digits_cnn.onnx", TrainingOrder::Progressive),
        ("digits_cnn.onnx", TrainingOrder::Alternate),
    ] {
        let mut case = case(model, unlabelled());
        case.network.pafs.values_mut().for_each(|paf| paf.scale = paf.scale.times(0.4));
        let narrow = largest_reach(&case.network, &case.data);
        let config = TrainConfig { groups: 2, last_groups: 2, ..quick(order) };
        let trained = case.train(&config);
        let reach = largest_reach(&trained.network, &case.data);
        assert!(narrow > 1.5 && reach < 1.0 && reach > 0.5, "{model}, {order:?}: {narrow} before, {reach} after");
    }
}

#[test]
fn frozen_weights_stay_and_origins_are_told() {
    let case = case("digits_cnn.onnx", unlabelled());
    let config = TrainConfig { groups: 0, last_groups: 2, ..quick(TrainingOrder::Progressive) };
    let frozen: BTreeSet<_> = case.original.nodes().map(|(id, _)| id).collect();
    let trained = train(&case.network, &TrainingRun { frozen, ..case.run(&config) }, &mut unheard).unwrap();
    assert_eq!(trained.network.graph, case.original);
    assert!(trained.network.pafs.values().all(|paf| paf.coefficients_from == Origin::Pa));
    let free = case.train(&TrainConfig { order: TrainingOrder::Together, ..config });
    let changed =
        free.network.graph.nodes().zip(case.original.nodes()).filter(|(a, b)| a.1.op != b.1.op).collect::<Vec<_>>();
    assert!(!changed.is_empty());
    assert!(changed.into_iter().all(|(node, _)| matches!(node.1.op, Op::Linear(_) | Op::BatchNorm(_))));
}

#[test]
fn without_pafs_the_weights_train_alone() {
    let mut case = case("digits_mlp.onnx", digits("digits_test.npy", Some("digits_test_labels.npy")));
    case.network = Network::exact(case.original.clone()).unwrap();
    let config = TrainConfig { loss: Loss::Labels, last_groups: 3, ..quick(TrainingOrder::Progressive) };
    let trained = case.train(&config);
    assert!(trained.after.loss <= trained.before.loss, "{:?} to {:?}", trained.before, trained.after);
    assert!(trained.history[1].training_loss < trained.history[0].training_loss, "{:?}", trained.history);
    assert!(trained.history.iter().all(|epoch| epoch.phase == Phase::Weights));
}
