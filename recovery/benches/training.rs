//! Seconds an epoch of training takes, and what it brings after calibration, BN and CT:
//! `cargo bench -p paf-recovery --bench training -- MODEL.onnx TRAIN.npz TEST.npz PAF [CONFIG.toml]`.
//!
//! `PAF` is a name, or `none` for the control: the exact network trained the same way. `CONFIG.toml` holds the keys of
//! `TrainConfig`.

use std::path::Path;

use paf_adapt::config::TrainConfig;
use paf_adapt::evaluate::Accuracy;
use paf_adapt::events::unheard;
use paf_adapt::progress::ProgressText;
use paf_adapt::steps::walk;
use paf_adapt::training::TrainingRun;
use paf_adapt::{Config, Data, Network, Training};
use paf_import::import;
use paf_passes::paf::Paf;
use paf_train::{CandleTraining, quick_logits};

/// Samples of the steps before training; it measures scales again on all.
const CALIBRATION: usize = 200;
const MARGIN: f64 = 1.5;

/// Samples that are evaluated together.
const BATCH: usize = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, training, test, paf, config @ ..] = arguments.as_slice() else {
        println!("skipped: it needs MODEL.onnx TRAIN.npz TEST.npz PAF [CONFIG.toml]");
        return Ok(());
    };
    let config: TrainConfig = match config.first() {
        Some(path) => toml::from_str(&std::fs::read_to_string(path)?)?,
        None => TrainConfig::default(),
    };
    let original = import(Path::new(model))?.graph;
    let (data, test) = (Data::read(Path::new(training), None)?, Data::read(Path::new(test), None)?);
    let network = match paf.as_str() {
        "none" => Network::exact(original.clone())?,
        name => {
            let paf = Paf::by_name(name)?;
            let steps = Config {
                margin: paf_adapt::config::ScaleMargin::Fixed(MARGIN),
                samples: CALIBRATION,
                ..Config::default()
            };
            let drawn = data.drawn(CALIBRATION, steps.seed);
            walk(&Network::exact(original.clone())?, &|_| paf.clone(), &drawn, &steps, &mut unheard)?.network
        }
    };
    println!(
        "original {}, before {}",
        accuracy(&Network::exact(original.clone())?, &test)?,
        accuracy(&network, &test)?
    );
    let run = TrainingRun {
        original: &original,
        data: &data,
        config: &config,
        seed: 1,
        frozen: Default::default(),
        checkpoint: None,
    };
    let mut progress = ProgressText::in_lines(std::io::stdout());
    let trained = CandleTraining.train(&network, &run, &mut |event| progress.hear(event))?;
    drop(progress);
    println!("held back: original {:?}, before {:?}, after {:?}", trained.original, trained.before, trained.after);
    println!("after {}", accuracy(&trained.network, &test)?);
    Ok(())
}

fn accuracy(network: &Network, test: &Data) -> Result<String, Box<dyn std::error::Error>> {
    let labels = test.y.as_deref().ok_or("the test data have no labels")?;
    let logits = quick_logits(network, test, BATCH)?;
    let logits: Vec<Vec<f64>> = logits.iter().map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect();
    let accuracy = Accuracy::of(&logits, labels);
    Ok(format!("{:.2} % ± {:.2}", accuracy.percent(), accuracy.standard_error()))
}
