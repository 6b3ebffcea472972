//! `paf-run check`.

mod bench;
#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use bench::Bench;
use common::network_case;
use serde_json::Value;

#[test]
fn the_command_reports_layers_and_refuses_what_is_less_precise_than_asked() {
    let bench = Bench::new(&network_case());
    let facts = bench.json("check circuit.bin --input x.npy --sample 2");
    let layers = facts["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for layer in layers {
        assert!(layer["agreement_bits"].as_f64().unwrap() > 20.0 && layer["expected_bits"].as_f64().unwrap() > 20.0);
        let (bits, expected) = (layer["mean_bits"].as_f64().unwrap(), layer["expected_mean_bits"].as_f64().unwrap());
        assert_eq!(layer["under_expectation"], bits < expected - facts["margin_bits"].as_f64().unwrap());
    }
    let under = layers.iter().find(|layer| layer["under_expectation"] == true);
    assert_eq!(facts["first_under_expectation"], under.map_or(Value::Null, |layer| layer["layer"].clone()));

    let lines = bench.succeeds("check circuit.bin --input x.npy --least-bits 20");
    assert!(lines.contains("the noise model"), "{lines}");
    for layer in layers {
        let name = layer["layer"].as_str().unwrap();
        let line = lines.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
        let bits = line.split(" bits").filter_map(|text| text.split_whitespace().last()?.parse::<f64>().ok());
        let bits: Vec<f64> = bits.collect();
        assert!(bits.len() == 4 && bits.iter().all(|&bits| bits > 20.0), "{line}");
    }
    assert!(lines.lines().any(|line| line.starts_with("dense ") && line.contains("level  0")), "{lines}");
    bench.fails("check circuit.bin --input x.npy --least-bits 45", 1, "layer x agrees with the clear run to");
    bench.fails("check circuit.bin --input x.npy --sample 3", 1, "there is no sample 3, the inputs hold 3");
    assert_eq!(bench.run("check circuit.bin --input x.npy --least-bits many").status.code(), Some(2));
}
