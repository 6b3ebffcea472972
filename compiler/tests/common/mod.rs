//! What the tests and benchmarks of whole compilations share.

#![allow(dead_code, reason = "each binary uses a part")]

pub(crate) mod agreement;
pub(crate) mod bench;

use std::path::{Path, PathBuf};

use paf_compiler::options::CompileOptions;
use paf_compiler::pipeline::{Compiled, compile};
use paf_import::import;
use paf_ir::Shape;
use testkit::arrays::{batch, write_floats};
use testkit::networks::TrainedNetwork;

/// Compiles, or fails with the compiler's message.
pub(crate) fn compiled(options: &CompileOptions) -> Compiled {
    compile(options).unwrap_or_else(|error| panic!("{}: {error}", options.model.origin().display()))
}

/// Compiles a trained network for the training images that calibrate it; options name neither.
pub(crate) fn compiled_for(network: &TrainedNetwork, options: CompileOptions) -> Compiled {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let images = network.calibration(network.calibration_images());
    let calibration = write_images(network, &images, folder.path()).into();
    let model = CompileOptions::for_model(network.file()).model;
    compiled(&CompileOptions { calibration, model, ..options })
}

/// Writes images for a network into a folder; gives the file.
pub(crate) fn write_images(network: &TrainedNetwork, images: &[Vec<f64>], folder: &Path) -> PathBuf {
    let path = folder.join(network.name()).with_extension("npy");
    write_floats(&path, &batch(&input_shape(&network.file()), images));
    path
}

/// The shape of one sample of a model's first input.
fn input_shape(model: &Path) -> Shape {
    let graph = import(model).expect("a supported network").graph;
    let (input, batch) = graph.inputs[0];
    batch.sample_shape(&graph.node(input).shape)
}
