//! Small trained networks that nobody here made: their polynomial form predicts as tract does, and compiling them takes
//! few terms. `cargo bench -p paf-compiler --bench agreement` shows the same for all of them. They are not part of the
//! repository; without them each test says that it is skipped.

mod common;

use common::agreement::{compare, compile};
use common::shared_data;
use common::zoo::{NETWORKS, Network};

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
        let passed = compile(&network.file(&data), "alpha10", 1.1, &network.calibration(&data, 1000));
        let agreement = compare(&network, &data, &passed, &network.test(&data, IMAGES));
        println!("{name}: {agreement:?}");
        assert_eq!(agreement.images, IMAGES);
        assert!(agreement.points() <= ACCURACY_POINTS, "{name}: {agreement:?}");
    }
}
