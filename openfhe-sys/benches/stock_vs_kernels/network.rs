//! A small network from end to end; only its evaluation is timed.

use std::path::Path;
use std::sync::Arc;

use openfhe_sys::kernels::{self, Code};
use paf_compiler::options::CompileOptions;
use paf_compiler::pipeline::compile;
use paf_ir::tensor::Shape;
use paf_runtime::npy::Array;
use paf_runtime::{Client, DEFAULT_PREPARE_BUDGET, EvaluationKeys, Samples, Server};

use crate::Result;
use crate::table::{Table, all_threads};

const MODEL: &str = "data/onnx/netkit_mnist_mlp.onnx";
const RUNS: usize = 5;

/// Skipped where the network, which is not part of the repository, is not beside it or in `PAF_SHARED`.
pub(crate) fn measure(table: &mut Table) -> Result<()> {
    let shared = std::env::var_os("PAF_SHARED").map(std::path::PathBuf::from);
    let model = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared")).join(MODEL);
    if !model.is_file() {
        println!("skipped: there is no {MODEL}; set PAF_SHARED");
        return Ok(());
    }
    let circuit = Arc::new(compile(&CompileOptions::for_model(model))?.circuit);
    let client = Client::new(circuit.client())?;
    let (secret, public) = client.generate_pair()?;
    // OpenFHE's own code takes keys over all primes, which it makes; ours takes them too.
    kernels::select(Code::OpenFhe)?;
    let keys = EvaluationKeys::generate(&secret, &client.key_list()?, &mut |_, _| {})?;
    kernels::select(table.code())?;
    let mut server = Server::new(Arc::clone(&circuit), Arc::clone(client.scheme()), keys)?;
    server.prepare(DEFAULT_PREPARE_BUDGET, &mut |_, _| {})?;
    let port = &circuit.program.inputs[0];
    let data = (0..port.shape.size()).map(|i| (i % 7) as f64 / 10.0).collect();
    let shape = Shape([&[1], &port.shape.0[..]].concat());
    let samples = Samples::new(&circuit.program.inputs, vec![Array { shape, data }], None)?;
    table.row_with(
        "netkit_mnist_mlp eval",
        RUNS,
        all_threads(),
        || Ok(client.encrypt(&public, &samples, 0)?),
        |inputs| {
            server.evaluate(inputs, &mut |_| {})?;
            Ok(())
        },
    )
}
