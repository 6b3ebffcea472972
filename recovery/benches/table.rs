//! Accuracy by PAF and step: `cargo bench -p paf-recovery --bench table -- MODEL.onnx TRAIN.npz TEST.npz [PAF…]`.
//!
//! Prints one line a PAF: percent of test samples right without recovery (`none`: the scale is the largest magnitude
//! that the original network shows), with `calibrate`, with `bn` as well, with `ct` as well, and the seconds that the
//! last took. Everything is evaluated with static scales. `PAF_SAMPLES` and `PAF_MARGIN` change the configuration.

use std::path::Path;
use std::time::Instant;

use paf_passes::paf::Paf;
use paf_recovery::config::{Config, StepName};
use paf_recovery::evaluate::{Accuracy, logits};
use paf_recovery::steps::{direct, walk};
use paf_recovery::{Data, Network, RecoveryError};

const DEFAULT_PAFS: [&str; 10] = [
    "f1_g2.smartpaf",
    "f1_g2.cheon",
    "f2_g2.smartpaf",
    "f2_g2.cheon",
    "f2_g3.smartpaf",
    "f2_g3.cheon",
    "f1sq_g1sq.smartpaf",
    "f1sq_g1sq.cheon",
    "alpha7",
    "alpha10",
];

const STEPS: [&[StepName]; 3] =
    [&[StepName::Calibrate], &[StepName::Calibrate, StepName::Bn], &[StepName::Calibrate, StepName::Bn, StepName::Ct]];

fn main() -> Result<(), RecoveryError> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [model, train, test, pafs @ ..] = &arguments[..] else {
        println!("give MODEL.onnx TRAIN.npz TEST.npz");
        return Ok(());
    };
    let network = Network::exact(paf_import::import(Path::new(model))?.graph)?;
    let config = configured();
    let train = Data::read(Path::new(train), None)?.drawn(config.samples, config.seed);
    let test = Data::read(Path::new(test), None)?;
    println!("{model}: {} training samples, {} test samples, margin {}", train.len(), test.len(), config.margin);
    let exact = accuracy(&network, &test)?;
    println!("{:<20} {:>7.2} ± {:.2}", "original", exact.percent(), exact.standard_error());
    println!("{:<20} {:>7} {:>7} {:>7} {:>7}", "", "none", "scales", "+bn", "+ct");
    let pafs: Vec<&str> =
        if pafs.is_empty() { DEFAULT_PAFS.to_vec() } else { pafs.iter().map(String::as_str).collect() };
    for name in pafs {
        row(&network, name, &train, &test, &config)?;
    }
    Ok(())
}

fn configured() -> Config {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<f64>().ok());
    let default = Config::default();
    Config {
        samples: number("PAF_SAMPLES").map_or(default.samples, |samples| samples as usize),
        margin: number("PAF_MARGIN").unwrap_or(default.margin),
        ..default
    }
}

fn row(original: &Network, name: &str, train: &Data, test: &Data, config: &Config) -> Result<(), RecoveryError> {
    let paf = Paf::by_name(name)?;
    let pafs = |_: &str| paf.clone();
    let none = accuracy(&direct(original, &pafs, train)?, test)?;
    print!("{name:<20} {:>7.2}", none.percent());
    let mut seconds = 0.0;
    for steps in STEPS {
        let config = Config { steps: steps.to_vec(), ..config.clone() };
        let start = Instant::now();
        match walk(original, &pafs, train, &config, &mut |_, _| {}) {
            Ok(walked) => {
                seconds = start.elapsed().as_secs_f64();
                print!(" {:>7.2}", accuracy(&walked.network, test)?.percent());
            }
            Err(error) => print!(" ({error})"),
        }
    }
    println!("  {seconds:.0} s");
    Ok(())
}

fn accuracy(network: &Network, test: &Data) -> Result<Accuracy, RecoveryError> {
    let labels = test.y.as_deref().ok_or_else(|| RecoveryError::Data("the test data have no labels".into()))?;
    Ok(Accuracy::of(&logits(network, test)?, labels))
}
