//! The step `search`, on small trained networks: never worse than a uniform PAF, better where levels are scarce, and
//! words that help where bounds cannot be kept.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{calibration, configured, digits_network, distance, files, held_back, recovered};
use paf_adapt::config::StepName::{Bn, Calibrate, Ct, Search};
use paf_adapt::config::{SearchConfig, StepName};
use paf_adapt::events::unheard;
use paf_adapt::paf_file::PafFile;
use paf_adapt::recovery::Outcome;
use paf_adapt::search::{SearchReport, Tried};
use paf_adapt::{Config, Event, Listener, Network, RecoveryError, Target, recover};
use paf_passes::approximate::{ApproximationOptions, Margin, approximate};
use paf_passes::fold::fold;
use paf_passes::paf::Paf;
use paf_scheme::EngineProfile;
use serde_json::Value;

const MODEL: &str = "digits_resnet_tiny.onnx";

fn config(pafs: &[&str]) -> Config {
    let search = SearchConfig {
        pafs: pafs.iter().map(|paf| (*paf).to_owned()).collect(),
        held_back: 400,
        tries: 12,
        ..SearchConfig::default()
    };
    Config { search, ..configured(&[Calibrate, Bn, Ct, Search]) }
}

/// A recovery without training, for the circuit that the configuration asks for.
fn searching(model: &str, config: &Config, listener: &mut Listener<'_>) -> Result<Outcome, RecoveryError> {
    let data = calibration();
    let target = Target::new(config, &data, EngineProfile::openfhe())?;
    recover(&target, digits_network(model).graph, config, &data, None, listener)
}

fn searched(model: &str, config: &Config) -> (Network, SearchReport) {
    let outcome = searching(model, config, &mut unheard).unwrap();
    (outcome.network, outcome.search.unwrap())
}

fn chosen(report: &SearchReport) -> &Tried {
    &report.tried[report.chosen]
}

fn uniform<'r>(report: &'r SearchReport, paf: &str) -> &'r Tried {
    report.tried.iter().find(|tried| tried.uniform() == Some(paf)).unwrap()
}

#[test]
fn a_mix_beats_the_uniform_paf_of_the_same_depth() {
    let mut config = config(&["alpha4", "alpha5", "alpha6"]);
    let levels = uniform(&searched(MODEL, &config).1, "alpha5").cost.levels;
    config.search.max_levels = Some(levels);
    let (network, report) = searched(MODEL, &config);
    let (best, even) = (chosen(&report), uniform(&report, "alpha5"));
    assert!(best.cost.levels <= levels && best.uniform().is_none(), "{best:?}");
    assert!(best.judged.divergence < 0.9 * even.judged.divergence, "{best:?} and {even:?}");
    let original = digits_network(MODEL);
    let alone = common::walked(&original, "alpha5", &configured(&[Calibrate, Bn, Ct])).network;
    let (mixed, alone) = (distance(&original, &network, &held_back()), distance(&original, &alone, &held_back()));
    assert!(mixed < alone, "on images that nothing has seen: {mixed} and {alone}");
}

#[test]
fn nothing_uniform_is_better_than_what_is_chosen() {
    for (model, max_levels, max_lost) in
        [(MODEL, Some(24), None), (MODEL, None, Some(1.0)), ("digits_cnn.onnx", Some(23), None)]
    {
        let mut config = config(&["alpha4", "alpha5", "f1_g2.cheon", "alpha7"]);
        (config.search.max_levels, config.search.max_lost) = (max_levels, max_lost);
        let (network, report) = searched(model, &config);
        let best = chosen(&report);
        let names: Vec<&str> = network.pafs.values().map(|chosen| chosen.paf.name.as_str()).collect();
        assert_eq!(names, best.pafs, "the network is the one that was judged");
        assert!(best.cost.levels <= max_levels.unwrap_or(u32::MAX));
        let uniform: Vec<&Tried> = report.tried.iter().filter(|tried| tried.uniform().is_some()).collect();
        assert_eq!(uniform.len(), 4, "{model}");
        for other in uniform {
            let (more, keeps) = (other.judged.accuracy.correct > best.judged.accuracy.correct, |tried: &Tried| {
                tried.judged.lost + tried.judged.standard_error <= max_lost.unwrap_or(100.0)
            });
            assert!(keeps(best), "{best:?}");
            assert!(!(more && other.cost.levels <= best.cost.levels), "{model}: {other:?} against {best:?}");
            if max_lost.is_some() {
                assert!(!keeps(other) || other.cost.levels >= best.cost.levels, "{model}: {other:?} against {best:?}");
            }
        }
    }
}

#[test]
fn nodes_with_a_paf_of_their_own_keep_it() {
    let mut config = config(&["alpha4", "alpha5"]);
    config.node_pafs = [("stem_relu".to_owned(), "alpha7".to_owned())].into();
    let (_, report) = searched(MODEL, &config);
    assert!(report.tried.iter().all(|tried| tried.pafs[0] == "alpha7" && tried.pafs[1] != "alpha7"));
}

#[test]
fn the_same_seed_finds_the_same_mix() {
    let config = config(&["alpha4", "f1_g2.cheon"]);
    let (a, b) = (searched(MODEL, &config), searched(MODEL, &config));
    assert_eq!(a.1, b.1);
    assert_eq!(a.0.pafs, b.0.pafs);
}

#[test]
fn a_listener_hears_every_part_and_can_stop_the_search() {
    let config = config(&["alpha4", "alpha5"]);
    let mut parts = vec![];
    let mut stopping = |event: Event<'_>| {
        if let Event::Done { done, all } = event {
            parts.push((done, all));
        }
        if parts.len() < 4 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let stopped = searching(MODEL, &config, &mut stopping);
    assert!(matches!(stopped, Err(RecoveryError::Stopped)), "{stopped:?}");
    let all = 3 + 2 + config.search.tries;
    assert_eq!(parts, [(1, all), (2, all), (3, all), (4, all)], "three nodes, then mixes");
}

#[test]
fn steps_that_train_need_training() {
    let config = Config { steps: vec![Calibrate, Search, StepName::At], ..config(&["alpha4"]) };
    let mut events = 0;
    let mut count = |_: Event<'_>| {
        events += 1;
        ControlFlow::Continue(())
    };
    let error = searching(MODEL, &config, &mut count).unwrap_err();
    assert!(matches!(error, RecoveryError::NoTraining { step: "at" }), "{error}");
    assert_eq!(events, 0, "nothing was begun");
}

/// Forgets all but the first of what a search has measured.
fn interrupt(path: &Path, menus: usize, walks: usize) {
    let mut content: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (key, count) in [("menus", menus), ("walks", walks)] {
        let list = content[key].as_array_mut().unwrap();
        assert!(list.len() > count, "{key}: {}", list.len());
        list.truncate(count);
    }
    std::fs::write(path, content.to_string()).unwrap();
}

#[test]
fn a_search_that_was_stopped_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("run.search");
    let mut alone = config(&["alpha4", "alpha5", "alpha7"]);
    alone.search.max_levels = Some(24);
    let config = Config { checkpoint: Some(folder.path().join("run")), ..alone.clone() };
    let expected = searched(MODEL, &alone);
    assert_eq!(searched(MODEL, &config).1, expected.1);
    let whole = std::fs::read_to_string(&notes).unwrap();
    for (menus, walks) in [(1, 0), (2, 4)] {
        interrupt(&notes, menus, walks);
        let (network, report) = searched(MODEL, &config);
        assert_eq!((&network.pafs, &network.graph, &report), (&expected.0.pafs, &expected.0.graph, &expected.1));
        assert_eq!(std::fs::read_to_string(&notes).unwrap(), whole);
    }
    let refusal = |config: &Config| {
        let outcome = searching(MODEL, config, &mut unheard);
        outcome.map(|_| ()).unwrap_err().to_string()
    };
    let other = Config { seed: config.seed + 1, ..config.clone() };
    assert!(refusal(&other).contains("run.search: belongs to a run with another network"), "{}", refusal(&other));
    recovered(&files(folder.path(), MODEL), &config, None).unwrap();
    assert!(!notes.exists(), "it goes once the files are there");
    std::fs::write(&notes, &whole[..whole.len() / 2]).unwrap();
    assert!(refusal(&config).contains("no usable checkpoint"), "{}", refusal(&config));
}

#[test]
fn bounds_that_nothing_keeps_get_an_error_that_says_what_would_work() {
    let cases: [(Option<u32>, Option<f64>, &str); 3] = [
        (Some(5), None, "max_levels = 5: with the shallowest of its PAFs the network takes "),
        (None, Some(0.0), "max_lost = 0: of "),
        (Some(17), Some(0.0), "would work"),
    ];
    for (max_levels, max_lost, part) in cases {
        let mut config = config(&["alpha4"]);
        (config.search.max_levels, config.search.max_lost) = (max_levels, max_lost);
        let error = searching(MODEL, &config, &mut unheard).unwrap_err();
        assert!(error.to_string().contains(part) && error.exit_code() == 1, "{error}");
    }
}

/// What `paf-compile --paf-file` does with the file, up to the polynomial network.
#[test]
fn the_file_of_a_mix_gives_the_polynomial_network_that_was_judged() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(folder.path(), MODEL);
    let outcome = recovered(&files, &config(&["alpha4", "alpha5", "alpha7"]), None).unwrap();
    let best = chosen(outcome.search.as_ref().unwrap()).clone();
    let graph = paf_import::import(&files.output).unwrap().graph;
    let per_node = PafFile::read(&files.paf_output).unwrap().decisions(&graph).unwrap();
    let options = ApproximationOptions {
        per_node,
        margin: Margin::Fixed(1.5),
        ..ApproximationOptions::new(Paf::by_name("alpha14").unwrap())
    };
    let data = calibration();
    let samples = (0..8).map(|k| vec![data.sample(k).iter().map(|&x| f64::from(x)).collect()]).collect();
    let approximated = approximate(&fold(&graph).unwrap(), &options, &samples).unwrap();
    let pafs: Vec<&str> = approximated.replaced.iter().map(|replaced| replaced.paf.as_str()).collect();
    assert_eq!(pafs, best.pafs);
}

#[test]
fn keys_of_the_search_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    let cases = [
        ("max_lost = -1.0", "search.max_lost = -1: a number from 0 to 100"),
        ("pafs = []", "search.pafs"),
        ("held_back = 0", "search.held_back"),
        ("memory = \"much\"", "\"much\": "),
        ("levels = 3", "unknown field `levels`"),
    ];
    for (text, part) in cases {
        std::fs::write(&path, format!("[search]\n{text}\n")).unwrap();
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
