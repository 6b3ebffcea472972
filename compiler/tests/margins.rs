//! Automatic scales hold what images reach that calibration has not seen, and are not much wider than that.

use paf_import::import;
use paf_ir::tensor::{Graph, GraphEvaluator};
use paf_passes::approximate::{Approximated, ApproximationOptions, Margin, approximate};
use paf_passes::decisions::CalibrationSamples;
use paf_passes::fold::fold;
use paf_passes::paf::Paf;
use testkit::arrays::read_array;
use testkit::testdata;

/// Images that calibrate, of 600.
const CALIBRATION: usize = 200;

fn images(file: &str, count: usize) -> CalibrationSamples {
    let pixels = read_array(&testdata(file)).data;
    pixels.chunks_exact(64).take(count).map(|image| vec![image.to_vec()]).collect()
}

/// With a PAF that is precise inside of its scale and wrong by any amount outside.
fn approximated(graph: &Graph, margin: Margin) -> Approximated {
    let options = ApproximationOptions { margin, ..ApproximationOptions::new(Paf::by_name("alpha12").expect("a PAF")) };
    approximate(graph, &options, &images("digits_calibration.npy", CALIBRATION)).expect("a calibrated network")
}

/// Test images whose results are off by more than a hundredth of the largest result.
fn lost(graph: &Graph, approximated: &Approximated) -> usize {
    let images = images("digits_test.npy", usize::MAX);
    let scaled: CalibrationSamples =
        images.iter().map(|image| vec![image[0].iter().map(|x| x * approximated.inputs[0].scale).collect()]).collect();
    let exact = GraphEvaluator::new(graph).outputs_of_all(&images).expect("images fit");
    let results = GraphEvaluator::new(&approximated.graph).outputs_of_all(&scaled).expect("images fit");
    let largest = exact.iter().flatten().flatten().fold(0.0f64, |most, y| most.max(y.abs()));
    let is_close = |exact: f64, result: f64| (result * approximated.output_scales[0] - exact).abs() <= 0.01 * largest;
    let pairs = exact.iter().zip(&results);
    pairs.filter(|(exact, result)| !exact[0].iter().zip(&result[0]).all(|(&a, &b)| is_close(a, b))).count()
}

#[test]
fn unseen_images_stay_within_automatic_scales() {
    for name in ["digits_mlp.onnx", "digits_cnn.onnx"] {
        let graph = fold(&import(&testdata(name)).expect("a supported network").graph).expect("a verified graph");
        let (automatic, none) = (approximated(&graph, Margin::Automatic), approximated(&graph, Margin::Fixed(1.0)));
        assert!(lost(&graph, &none) > 0, "{name}: every image is within what calibration shows");
        assert_eq!(lost(&graph, &automatic), 0, "{name}");
        for (wide, narrow) in automatic.replaced.iter().zip(&none.replaced) {
            let margin = wide.scale / narrow.scale;
            assert!((1.0..=2.0).contains(&margin), "{name}: `{}` has a margin of {margin}", wide.node);
        }
    }
}
