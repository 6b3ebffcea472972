//! Small trained networks that nobody here made: their polynomial form predicts as tract does. `cargo bench -p
//! paf-compiler --bench agreement` shows the same for all of them.

mod common;

use common::agreement::{Agreement, compile, exact_results, graph_results};
use paf_compiler::options::Margin;
use testkit::networks::TrainedNetwork;

/// Most points that top-1 may differ from tract's.
const ACCURACY_POINTS: f64 = 1.0;
const IMAGES: usize = 200;

#[test]
#[ignore = "needs PAF_SHARED"]
fn small_networks_predict_as_tract_does() {
    for name in ["marabou_mnist2x10", "onnx2c_mnist14_tiny", "zkml_mnist_cnn_tiny", "zkml_lenet_4_8_32_tanh"] {
        let network = TrainedNetwork::named(name);
        let passed = compile(&network.file(), "alpha10", Margin::Automatic, &network.calibration(1000));
        let test = network.test(IMAGES);
        let exact = exact_results(&network, &test.images);
        let agreement = Agreement::of(&exact, &graph_results(&passed, &test.images), &test.labels);
        println!("{name}: {agreement:?}");
        assert_eq!(agreement.images, IMAGES);
        assert!(agreement.points() <= ACCURACY_POINTS, "{name}: {agreement:?}");
    }
}
