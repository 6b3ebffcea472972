//! An external recovery: `--recover-cmd 'PROGRAM ARGS'`.
//!
//! The program is started with its arguments, split at spaces, and one more: a folder. In it lie `model.onnx`, the
//! network (with its external weights moved inside), and `request.json`:
//!
//! ```json
//! { "version": 1, "model": "model.onnx", "data": ["/path/x.npy"], "paf": "alpha7", "margin": "auto",
//!   "nodes": [{ "node": "Relu_3", "operator": "Relu", "shape": [1, 16, 32, 32] }],
//!   "recovered": "recovered.onnx", "pafs": "model.paf.json" }
//! ```
//!
//! It leaves `recovered.onnx`, the same network with new weights, and `model.paf.json` ([`crate::paf_file`]) in the
//! folder and ends with status 0. Any other status fails the compilation with the last line that it wrote on stderr.
//! What it writes, a [`crate::Listener`] hears.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use paf_files::{ChildProgram, TemporaryFolder};
use paf_import::{ModelSource, with_weights};
use paf_ir::tensor::{Graph, Op};
use paf_passes::approximate::Margin;
use serde_json::{Value, json};

use crate::error::RecoveryError;
use crate::events::{Event, Listener, tell};
use crate::paf_file::{PafFile, PafOperator, VERSION};

/// What an external recovery is asked for.
#[derive(Debug, Clone)]
pub struct CommandRequest<'r> {
    /// Program and arguments, split at spaces.
    pub command: &'r str,
    /// The ONNX model.
    pub model: &'r ModelSource,
    /// Data files as the user gave them.
    pub data: &'r [PathBuf],
    /// The PAF that was asked for.
    pub paf: &'r str,
    /// The margin that was asked for; `"auto"` in the request where it is to follow from the data.
    pub margin: Margin,
}

/// What an external recovery left: a network and its PAFs. The folder lives as long as this.
#[derive(Debug)]
pub struct Left {
    /// The folder.
    folder: TemporaryFolder,
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
pub fn run(request: &CommandRequest<'_>, graph: &Graph, listener: &mut Listener<'_>) -> Result<Left, RecoveryError> {
    let folder = TemporaryFolder::new().map_err(RecoveryError::io(&std::env::temp_dir()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).map_err(RecoveryError::io(&path))
    };
    write(MODEL, &with_weights(request.model, graph, graph)?)?;
    write("request.json", request_json(request, graph)?.to_string().as_bytes())?;
    execute(request.command, folder.path(), listener)?;
    for name in [RECOVERED, PAFS] {
        if !folder.path().join(name).is_file() {
            let problem = format!("ended well and left no {name}");
            return Err(RecoveryError::Command { command: request.command.to_owned(), problem });
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
        let operator = if node.op == Op::Relu { PafOperator::Relu } else { PafOperator::MaxPool };
        json!({"node": node.name, "operator": operator, "shape": node.shape.0})
    });
    let margin = match request.margin {
        Margin::Automatic => json!("auto"),
        Margin::Fixed(margin) => json!(margin),
    };
    Ok(json!({
        "version": VERSION, "model": MODEL, "data": data, "paf": request.paf, "margin": margin,
        "nodes": nodes.collect::<Vec<_>>(), "recovered": RECOVERED, "pafs": PAFS,
    }))
}

/// Runs a command with a folder as its last argument; the listener hears its lines.
fn execute(command_line: &str, folder: &Path, listener: &mut Listener<'_>) -> Result<(), RecoveryError> {
    let failed = |problem: String| RecoveryError::Command { command: command_line.to_owned(), problem };
    let mut words = command_line.split_whitespace();
    let program = words.next().ok_or_else(|| failed("no program is named".into()))?;
    let mut command = Command::new(program);
    command.args(words).arg(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = ChildProgram::start(&mut command).map_err(|error| failed(format!("cannot be started: {error}")))?;
    let last_words = listen(&mut child, listener)?;
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    match (status.success(), last_words) {
        (true, _) => Ok(()),
        (false, None) => Err(failed(format!("ended with {status} and no message"))),
        (false, Some(words)) => Err(failed(format!("ended with {status}: {words}"))),
    }
}

/// A line of a program's output.
enum Line {
    Output(String),
    Error(String),
}

/// Tells every line until the program closes its outputs, and gives the last one on stderr.
fn listen(child: &mut ChildProgram, listener: &mut Listener<'_>) -> Result<Option<String>, RecoveryError> {
    let (sender, lines) = mpsc::channel();
    let (stdout, stderr) = child.take_outputs();
    forward(stdout, Line::Output, sender.clone());
    forward(stderr, Line::Error, sender);
    let mut last_words = None;
    for line in lines {
        let (Line::Output(text) | Line::Error(text)) = &line;
        tell(listener, Event::Said(text))?;
        last_words = match line {
            Line::Error(text) if !text.is_empty() => Some(text),
            _ => last_words,
        };
    }
    Ok(last_words)
}

/// Reads lines on a thread of its own until the program or whoever listens has ended.
fn forward(pipe: Option<impl Read + Send + 'static>, line: fn(String) -> Line, sender: mpsc::Sender<Line>) {
    let Some(pipe) = pipe else { return };
    std::thread::spawn(move || {
        for text in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&text).trim_end().to_owned();
            if sender.send(line(text)).is_err() {
                return;
            }
        }
    });
}
