//! `--paf auto` on own networks: what it promises, measured by other means than its own.

use paf_circuit::encode_circuit;
use paf_compiler::error::{CompileError, OptionsError};
use paf_compiler::options::{Calibration, CompileOptions, PafChoice};
use paf_compiler::pipeline::compile;
use paf_import::import;
use paf_ir::tensor::{Graph, evaluate};
use paf_passes::PassError;
use paf_passes::approximate::{Approximated, ApproximationOptions, Margin, Reduction, approximate, least_depth};
use paf_passes::choose::{Chosen, Goal, candidates, choose};
use paf_passes::decisions::CalibrationSamples;
use paf_passes::fold::fold;
use paf_passes::optimize::{depth, optimize};
use paf_passes::paf::Paf;
use testkit::arrays::read_array;
use testkit::testdata;

const NETWORKS: [&str; 2] = ["digits_cnn.onnx", "digits_resnet_tiny.onnx"];

fn network(name: &str) -> (Graph, CalibrationSamples) {
    let graph = fold(&import(&testdata(name)).unwrap().graph).unwrap();
    let array = read_array(&testdata("digits_calibration.npy"));
    let samples = array.data.chunks_exact(64).take(100).map(|sample| vec![sample.to_vec()]).collect();
    (graph, samples)
}

fn options(paf: &str) -> ApproximationOptions {
    ApproximationOptions { margin: Margin::Fixed(1.1), ..ApproximationOptions::new(Paf::by_name(paf).unwrap()) }
}

/// The error as `--max-error` defines it: every sample by the meaning of the tensor IR, graph before and after.
fn error(graph: &Graph, approximated: &Approximated, samples: &CalibrationSamples) -> f64 {
    let (mut squares, mut count, mut largest) = (0.0, 0, 0f64);
    for sample in samples {
        let exact = evaluate(graph, sample).unwrap().remove(0);
        let scaled = vec![sample[0].iter().map(|x| x * approximated.inputs[0].scale).collect()];
        let got = evaluate(&approximated.graph, &scaled).unwrap().remove(0);
        for (exact, got) in exact.iter().zip(got) {
            squares += (got * approximated.output_scales[0] - exact).powi(2);
            largest = largest.max(exact.abs());
            count += 1;
        }
    }
    (squares / f64::from(count)).sqrt() / largest
}

fn chosen(graph: &Graph, samples: &CalibrationSamples, goal: Goal) -> (Approximated, Chosen) {
    choose(graph, &options("alpha7"), samples, goal).unwrap()
}

#[test]
fn no_single_paf_has_less_error_at_the_same_levels() {
    for name in NETWORKS {
        let (graph, samples) = network(name);
        for paf in ["alpha5", "alpha7", "alpha9"] {
            let single = approximate(&graph, &options(paf), &samples).unwrap();
            let levels = least_depth(&graph, &Paf::by_name(paf).unwrap(), Reduction::default());
            let (auto, _) = chosen(&graph, &samples, Goal::MaxLevels(levels));
            let (auto, single) = (error(&graph, &auto, &samples), error(&graph, &single, &samples));
            assert!(auto <= single, "{name}: {auto:.2e} with {levels} levels, {paf} has {single:.2e}");
        }
    }
}

#[test]
fn levels_and_errors_are_as_reported() {
    for name in NETWORKS {
        let (graph, samples) = network(name);
        for bound in [0.1, 0.01, 0.001] {
            let (auto, chosen) = chosen(&graph, &samples, Goal::MaxError(bound));
            let measured = error(&graph, &auto, &samples);
            assert!(measured <= bound, "{name}: {measured:.2e} instead of {bound}");
            assert!((measured - chosen.measured.rms).abs() < 1e-6 * measured, "{name}: {measured:.4e}, {chosen:?}");
            let off = chosen.predicted_error / measured;
            assert!((0.5..2.0).contains(&off), "{name}: {off:.2} times the error was predicted");
            assert_eq!(depth(&optimize(&auto.graph).unwrap().0), chosen.levels, "{name}: {chosen:?}");
        }
    }
}

#[test]
fn single_pafs_within_an_error_are_not_shallower() {
    for name in NETWORKS {
        let (graph, samples) = network(name);
        for bound in [0.05, 0.005] {
            let (_, chosen) = chosen(&graph, &samples, Goal::MaxError(bound));
            for paf in candidates().unwrap() {
                let single = approximate(&graph, &options(&paf.name), &samples).unwrap();
                if error(&graph, &single, &samples) <= bound {
                    let levels = least_depth(&graph, &paf, Reduction::default());
                    assert!(chosen.levels <= levels, "{name}: {} has {levels}, {chosen:?}", paf.name);
                }
            }
        }
    }
}

fn auto(name: &str) -> CompileOptions {
    CompileOptions {
        calibration: testdata("digits_calibration.npy").into(),
        pafs: vec!["auto".parse().unwrap()],
        max_levels: Some(27),
        insecure: true,
        ..CompileOptions::for_model(testdata(name))
    }
}

#[test]
fn the_same_choice_gives_the_same_bytes() {
    let options = auto("digits_cnn.onnx");
    let (one, two) = (compile(&options).unwrap(), compile(&options).unwrap());
    assert_eq!(one.chosen, two.chosen);
    assert!(encode_circuit(&one.circuit) == encode_circuit(&two.circuit));
    assert!(one.circuit.counts().levels <= 27);
}

#[test]
fn a_node_keeps_the_paf_it_is_given() {
    let mut options = auto("digits_cnn.onnx");
    options.pafs.push(PafChoice { node: Some("relu".into()), paf: "f1_g2.cheon".into() });
    let nodes = compile(&options).unwrap().chosen.unwrap().nodes;
    assert_eq!((nodes[0].node.as_str(), nodes[0].paf.as_str(), nodes[0].levels), ("relu", "f1_g2.cheon", 6));
    assert_ne!(nodes[1].paf, "f1_g2.cheon");
    options.pafs.push("max_pool=alpha4".parse().unwrap());
    assert!(matches!(compile(&options), Err(CompileError::Pass(PassError::NothingToChoose))));
}

#[test]
fn too_few_levels_name_the_least_that_works() {
    let options = CompileOptions { max_levels: Some(2), ..auto("digits_mlp.onnx") };
    let Err(CompileError::Pass(PassError::TooFewLevels { wanted: 2, least })) = compile(&options) else {
        panic!("two levels are too few");
    };
    assert_eq!(
        compile(&CompileOptions { max_levels: Some(least), ..options.clone() }).unwrap().circuit.counts().levels,
        least
    );
    assert!(compile(&CompileOptions { max_levels: Some(least - 1), ..options }).is_err());
}

#[test]
fn an_error_that_no_paf_reaches_names_the_least_that_works() {
    let options = CompileOptions { max_levels: None, max_error: Some(1e-9), ..auto("digits_mlp.onnx") };
    let Err(CompileError::Pass(PassError::ErrorTooSmall { least, levels, .. })) = compile(&options) else {
        panic!("an error of 1e-9 is out of reach");
    };
    let compiled = compile(&CompileOptions { max_error: Some(1.001 * least), ..options }).unwrap();
    assert_eq!(compiled.circuit.counts().levels, levels);
}

#[test]
fn json_and_report_say_what_was_chosen() {
    let compiled = compile(&auto("digits_cnn.onnx")).unwrap();
    let chosen = compiled.chosen.as_ref().unwrap();
    let facts: serde_json::Value = serde_json::from_str(&paf_compiler::report::json(&compiled)).unwrap();
    assert_eq!(facts["choice"]["levels"], chosen.levels);
    assert_eq!(facts["choice"]["measured_error"], chosen.measured.rms);
    for (node, fact) in chosen.nodes.iter().zip(facts["pafs"].as_array().unwrap()) {
        assert_eq!((fact["node"].as_str(), fact["paf"].as_str()), (Some(&*node.node), Some(&*node.paf)));
    }
    let text = paf_compiler::report::text(&compiled, None);
    assert!(text.contains(&format!("{} x ", chosen.nodes[0].paf)) && text.contains("predicted"), "{text}");
}

#[test]
fn options_that_do_not_go_together() {
    let auto = || vec!["auto".parse::<PafChoice>().unwrap()];
    let base = CompileOptions {
        calibration: testdata("digits_calibration.npy").into(),
        ..CompileOptions::for_model(testdata("digits_mlp.onnx"))
    };
    let error = |options: &CompileOptions| match compile(options) {
        Err(CompileError::Options(error)) => error,
        other => panic!("{:?}", other.err()),
    };
    let cases = [
        (CompileOptions { pafs: auto(), ..base.clone() }, OptionsError::ChoiceWithoutGoal),
        (CompileOptions { max_error: Some(0.1), ..base.clone() }, OptionsError::GoalWithoutChoice),
        (
            CompileOptions { max_levels: Some(20), pafs: vec!["alpha5".parse().unwrap()], ..base.clone() },
            OptionsError::GoalWithoutChoice,
        ),
        (CompileOptions { pafs: auto(), max_error: Some(-0.1), ..base.clone() }, OptionsError::MaxError(-0.1)),
        (
            CompileOptions { pafs: auto(), max_error: Some(0.1), max_levels: Some(9), ..base.clone() },
            OptionsError::TwoGoals,
        ),
        (
            CompileOptions { pafs: auto(), max_error: Some(0.1), calibration: Calibration::default(), ..base.clone() },
            OptionsError::ChoiceWithoutSamples,
        ),
        (
            CompileOptions { pafs: vec!["relu=auto".parse().unwrap()], ..base.clone() },
            OptionsError::ChoiceForOneNode { node: "relu".into() },
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(error(&options), expected);
    }
    let nan = error(&CompileOptions { pafs: auto(), max_error: Some(f64::NAN), ..base });
    assert!(matches!(nan, OptionsError::MaxError(error) if error.is_nan()));
}
