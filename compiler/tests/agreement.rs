//! Small trained networks that nobody here made: their polynomial form predicts as tract does, and compiling them takes
//! few terms. `cargo bench -p paf-compiler --bench agreement` shows the same for all of them. They are not part of the
//! repository; without them each test says that it is skipped.

mod common;

use common::agreement::{Agreement, compile, exact_results, graph_results};
use common::shared_data;
use common::zoo::{NETWORKS, Network};
use paf_compiler::options::Margin;

/// Most points that top-1 may differ from tract's.
const ACCURACY_POINTS: f64 = 1.0;
const IMAGES: usize = 200;

fn network(name: &str) -> Network {
    NETWORKS.into_iter().find(|network| network.name() == name).expect("a network of the list")
}

#[test]
fn small_networks_predict_as_tract_does() {
    let Some(data) = shared_data() else { return };
    for name in ["marabou_mnist2x10", "onnx2c_mnist14_tiny", "zkml_mnist_cnn_tiny", "zkml_lenet_4_8_32_tanh"] {
        let network = network(name);
        let passed = compile(&network.file(&data), "alpha10", Margin::Automatic, &network.calibration(&data, 1000));
        let test = network.test(&data, IMAGES);
        let exact = exact_results(&network, &data, &test.images);
        let agreement = Agreement::of(&exact, &graph_results(&passed, &test.images), &test.labels);
        println!("{name}: {agreement:?}");
        assert_eq!(agreement.images, IMAGES);
        assert!(agreement.points() <= ACCURACY_POINTS, "{name}: {agreement:?}");
    }
}
