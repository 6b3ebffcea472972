//! An external recovery: `--recover-cmd 'PROGRAM ARGS'`.
//!
//! The program is started with its arguments, split at spaces, and one more: a folder. In it lie `model.onnx`, the
//! network (with its external weights moved inside), and `request.json`:
//!
//! ```json
//! { "version": 1, "model": "model.onnx", "data": ["/path/x.npy"], "paf": "alpha7", "margin": 1.1,
//!   "nodes": [{ "node": "Relu_3", "operator": "Relu", "shape": [1, 16, 32, 32] }],
//!   "recovered": "recovered.onnx", "pafs": "model.paf.json" }
//! ```
//!
//! It leaves `recovered.onnx`, the same network with new weights, and `model.paf.json` ([`crate::paf_file`]) in the
//! folder and ends with status 0. Any other status fails the compilation with the last line that it wrote on stderr.
//! Its output goes to the user's stderr.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use paf_import::with_weights;
use paf_ir::tensor::{Graph, Op};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::error::RecoveryError;
use crate::paf_file::{Operator, PafFile, VERSION};

/// What an external recovery is asked for.
#[derive(Debug, Clone)]
pub struct CommandRequest<'r> {
    /// Program and arguments, split at spaces.
    pub command: &'r str,
    /// The ONNX file.
    pub model: &'r Path,
    /// Data files as the user gave them.
    pub data: &'r [PathBuf],
    /// The PAF that was asked for.
    pub paf: &'r str,
    /// The margin that was asked for.
    pub margin: f64,
}

/// What an external recovery left: a network and its PAFs. The folder lives as long as this.
#[derive(Debug)]
pub struct Left {
    /// The folder.
    folder: TempDir,
    /// What stands for each node.
    pub pafs: PafFile,
}

impl Left {
    /// The ONNX file with new weights.
    pub fn model(&self) -> PathBuf {
        self.folder.path().join(RECOVERED)
    }
}

const MODEL: &str = "model.onnx";
const RECOVERED: &str = "recovered.onnx";
const PAFS: &str = "model.paf.json";

/// Runs the command.
///
/// # Errors
/// [`RecoveryError::Command`] with the command's last words if it fails or leaves a file out; [`RecoveryError::File`]
/// for a damaged file of PAFs.
pub fn run(request: &CommandRequest<'_>, graph: &Graph) -> Result<Left, RecoveryError> {
    let failed = |problem: String| RecoveryError::Command { command: request.command.to_owned(), problem };
    let folder = TempDir::new().map_err(RecoveryError::io(&std::env::temp_dir()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(RecoveryError::io(&path))
    };
    write(MODEL, &with_weights(request.model, graph, graph)?)?;
    write("request.json", request_json(request, graph)?.to_string().as_bytes())?;
    execute(request.command, folder.path()).map_err(failed)?;
    for name in [RECOVERED, PAFS] {
        if !folder.path().join(name).is_file() {
            return Err(failed(format!("ended well and left no {name}")));
        }
    }
    let pafs = PafFile::read(&folder.path().join(PAFS))?;
    Ok(Left { folder, pafs })
}

fn request_json(request: &CommandRequest<'_>, graph: &Graph) -> Result<Value, RecoveryError> {
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(RecoveryError::io(path));
    let data = request.data.iter().map(absolute).collect::<Result<Vec<_>, _>>()?;
    let nonlinear = graph.nodes().filter(|(_, node)| matches!(node.op, Op::Relu | Op::MaxPool(_)));
    let nodes = nonlinear.map(|(_, node)| {
        let operator = if node.op == Op::Relu { Operator::Relu } else { Operator::MaxPool };
        json!({"node": node.name, "operator": operator, "shape": node.shape.0})
    });
    Ok(json!({
        "version": VERSION, "model": MODEL, "data": data, "paf": request.paf, "margin": request.margin,
        "nodes": nodes.collect::<Vec<_>>(), "recovered": RECOVERED, "pafs": PAFS,
    }))
}

/// Runs a command with a folder as its last argument.
fn execute(command: &str, folder: &Path) -> Result<(), String> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("no program is named")?;
    let mut child = Command::new(program)
        .args(words)
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut last_words = String::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            eprintln!("{line}");
            if !line.is_empty() {
                last_words = line;
            }
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match (status.success(), last_words.is_empty()) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("ended with {status} and no message")),
        (false, false) => Err(format!("ended with {status}: {last_words}")),
    }
}
