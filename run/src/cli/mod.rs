//! The command line: arguments here, one function a command in [`commands`].

mod check;
mod commands;
mod costs;
mod decrypt;
mod encrypt;
mod error;
mod eval;
mod facts;
mod infer;
mod keygen;
mod memory;
mod progress;
mod report;
mod results;
mod secrets;
mod simulate;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use paf_circuit::Circuit;
use paf_circuit::container::KeyId;
use paf_engine_openfhe::OpenFheEngine;
use paf_engine_openfhe::machine::{self, Machine};
use paf_files::Bytes;
use paf_runtime::{Checkpoints, InsecureTestParameters, Server};

use decrypt::Share;
#[cfg(doc)]
use error::CommandError;
use error::Result;
use report::Format;

/// Runs circuits made by paf-compile, clear or encrypted.
#[derive(Debug, Parser)]
#[command(name = "paf-run", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print facts as JSON on stdout, and no progress.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the client's part of a circuit: parameters, key list, layouts, no weights.
    Client {
        /// The circuit.
        circuit: PathBuf,
        /// The client file to write.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Print what a file says, or what is used of this machine.
    Info {
        /// A circuit, client, key or ciphertext file.
        #[arg(required_unless_present = "machine")]
        file: Option<PathBuf>,
        /// Print the kernels, the threads and the allocator in use.
        #[arg(long, conflicts_with = "file")]
        machine: bool,
        /// Predict with the table of this file, which calibrate-machine wrote. Without it the table in the user's
        /// folder for settings is taken if there is one, else the one that the circuit was compiled with.
        #[arg(long, value_name = "FILE", conflicts_with = "machine")]
        machine_costs: Option<PathBuf>,
    },
    /// Measure how fast this machine is, so that `info` and `paf-compile --machine-costs` can predict for it. Run it
    /// while nothing else runs.
    CalibrateMachine {
        /// The table to write: `paf/machine-costs.json` in the user's folder for settings unless given.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Run a circuit on plain numbers.
    Simulate {
        /// The circuit.
        circuit: PathBuf,
        #[command(flatten)]
        input: Input,
        /// Where to write the results.
        #[arg(long)]
        output: Option<PathBuf>,
        /// Classes of the samples, [k]: states the accuracy.
        #[arg(long, value_name = "Y.npy")]
        labels: Option<PathBuf>,
        /// The ONNX file that the circuit was made of, run by tract: states how many predictions are the same.
        #[arg(long, value_name = "MODEL.onnx")]
        model: Option<PathBuf>,
        /// Add the noise that encryption would add.
        #[arg(long)]
        noise: bool,
        /// Seed of the noise.
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Keys, encryption, evaluation and decryption in one process, compared with the clear run.
    Infer {
        /// The circuit.
        circuit: PathBuf,
        #[command(flatten)]
        input: Input,
        /// Where to write the results.
        #[arg(long)]
        output: Option<PathBuf>,
        #[command(flatten)]
        memory: Memory,
        #[command(flatten)]
        insecure: Insecure,
    },
    /// Compare an encrypted run with the clear one, layer by layer, in one process.
    Check {
        /// The circuit.
        circuit: PathBuf,
        /// Samples, shape [k, …]; once for each input of the network, in order.
        #[arg(long = "input", value_name = "X.npy", required = true)]
        files: Vec<PathBuf>,
        /// The sample to run, from 0.
        #[arg(long, value_name = "N", default_value_t = 0)]
        sample: usize,
        /// How many samples to run, from that one on.
        #[arg(long, value_name = "K", default_value_t = 1, value_parser = parse_limit)]
        limit: usize,
        /// Fail if a layer agrees to fewer bits than this.
        #[arg(long, value_name = "BITS", value_parser = parse_bits)]
        least_bits: Option<f64>,
        #[command(flatten)]
        memory: Memory,
        #[command(flatten)]
        insecure: Insecure,
    },
    /// Make the keys that a circuit needs.
    Keygen {
        /// A client or circuit file.
        client: PathBuf,
        /// Where to write the secret key; it stays with the client.
        #[arg(long)]
        secret: PathBuf,
        /// Where to write the public and evaluation keys; they go to the server.
        #[arg(long)]
        public: PathBuf,
        /// Replace keys that are there: what was encrypted for them cannot be decrypted any more.
        #[arg(long)]
        force: bool,
        /// Ask for a passphrase, and put the secret key under it.
        #[arg(long, conflicts_with = "passphrase_file")]
        passphrase: bool,
        #[command(flatten)]
        protection: Protection,
        #[command(flatten)]
        insecure: Insecure,
    },
    /// Encrypt inputs, under the public key or with the secret key. With both, the public key must be that of the secret
    /// one.
    Encrypt {
        /// A client or circuit file.
        client: PathBuf,
        /// The public and evaluation keys. Whoever could replace this file could read the inputs: give --secret or
        /// --key-id too.
        #[arg(long, required_unless_present = "secret")]
        public: Option<PathBuf>,
        /// The secret key; `-` reads it from standard input.
        #[arg(long)]
        secret: Option<PathBuf>,
        #[command(flatten)]
        protection: Protection,
        /// The id that the keys must have: 64 hexadecimal digits, as keygen and info print them.
        #[arg(long, value_name = "ID", value_parser = parse_key_id)]
        key_id: Option<KeyId>,
        #[command(flatten)]
        input: Input,
        /// Where to write the ciphertexts.
        #[arg(long)]
        output: PathBuf,
        #[command(flatten)]
        insecure: Insecure,
    },
    /// Run a circuit on encrypted inputs.
    Eval {
        /// The circuit.
        circuit: PathBuf,
        /// The public and evaluation keys.
        #[arg(long)]
        public: PathBuf,
        /// The encrypted inputs.
        #[arg(long)]
        input: PathBuf,
        /// Where to write the encrypted results.
        #[arg(long)]
        output: PathBuf,
        /// Give the client nothing but the outputs: refuses a circuit whose results hold leftovers of inner layers, and encrypts
        /// results anew.
        #[arg(long)]
        sanitize: bool,
        #[command(flatten)]
        keep: Keep,
        #[command(flatten)]
        memory: Memory,
        #[command(flatten)]
        insecure: Insecure,
    },
    /// Decrypt results.
    Decrypt {
        /// A client or circuit file.
        client: PathBuf,
        /// The secret key; `-` reads it from standard input.
        #[arg(long)]
        secret: PathBuf,
        #[command(flatten)]
        protection: Protection,
        /// The encrypted results.
        #[arg(long)]
        input: PathBuf,
        /// The encrypted inputs that these must be the results of.
        #[arg(long = "for", value_name = "X.ct")]
        inputs: Option<PathBuf>,
        /// Where to write the results.
        #[arg(long)]
        output: PathBuf,
        /// Write only what others may see: `class` for the place of the largest score alone, or a number of BITS, for scores
        /// rounded to steps of 2^-BITS of the largest one that calibration showed.
        #[arg(long, value_name = "class|BITS", value_parser = parse_share)]
        share: Option<Share>,
        /// Add fresh noise first that hides the noise of the ciphertexts, where others see the results of so many inputs:
        /// takes 19 bits of precision for one, a bit more for four times as many.
        #[arg(long, value_name = "RESULTS", requires = "share")]
        flood: Option<NonZeroU32>,
        #[command(flatten)]
        insecure: Insecure,
    },
}

#[derive(Debug, Clone, Copy, Args)]
struct Insecure {
    /// Take a file with parameters that protect nothing: for tests.
    #[arg(long)]
    insecure_test_parameters: bool,
}

impl From<Insecure> for InsecureTestParameters {
    fn from(insecure: Insecure) -> Self {
        if insecure.insecure_test_parameters { InsecureTestParameters::Allow } else { InsecureTestParameters::Refuse }
    }
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Protection {
    /// The file of the secret key's passphrase, its first line. Without it a passphrase is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Input {
    /// Samples, shape [k, …]; once for each input of the network, in order.
    #[arg(long = "input", value_name = "X.npy", required = true)]
    files: Vec<PathBuf>,
    /// Take only the first samples.
    #[arg(long, value_name = "K", value_parser = parse_limit)]
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, Args)]
struct Memory {
    /// Memory for weights that are encoded ahead, the others being encoded at each use: 4G unless given, and none for
    /// a circuit with bootstraps.
    #[arg(long, value_name = "SIZE")]
    prepare_memory: Option<Bytes>,
    /// Memory for evaluation keys, the others being read from their file when they are needed: what the circuit was
    /// planned with unless given, 0 for all of them.
    #[arg(long, value_name = "SIZE")]
    key_memory: Option<Bytes>,
    /// Try even if the circuit is predicted not to fit into memory.
    #[arg(long)]
    ignore_memory: bool,
}

impl Memory {
    fn prepare_budget(self, server: &Server<OpenFheEngine>) -> u64 {
        self.prepare_memory.map_or_else(|| server.prepare_budget(), |size| size.0)
    }

    /// Bytes of evaluation keys in memory at a time; 0 for all.
    fn key_memory(self, circuit: &Circuit) -> u64 {
        self.key_memory.map_or(circuit.prediction.key_memory, |size| size.0)
    }

    /// Refuses a circuit that will not fit, by its own operations and as it was planned.
    ///
    /// # Errors
    /// [`CommandError::Memory`].
    fn check(self, circuit: &Circuit) -> Result<()> {
        if self.ignore_memory {
            return Ok(());
        }
        let computed = paf_runtime::peak_bytes(circuit, self.key_memory(circuit));
        let as_planned = self.key_memory.is_none_or(|size| size.0 == circuit.prediction.key_memory);
        let predicted = if as_planned { circuit.prediction.peak_bytes } else { 0 };
        memory::check_memory(computed.max(predicted))
    }
}

#[derive(Debug, Clone, Args)]
struct Keep {
    /// Write checkpoints to this folder as the evaluation goes; --resume goes on from them after a kill.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    checkpoint: Option<PathBuf>,
    /// Go on from the checkpoints in this folder, from the beginning if there is none, and write further ones there.
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Least seconds between two checkpoints; 0 writes one before each bootstrap and between all layers.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "5")]
    checkpoint_every: Duration,
}

impl Keep {
    fn open(&self) -> Result<Option<Checkpoints>> {
        Ok(match (&self.checkpoint, &self.resume) {
            (Some(folder), _) => Some(Checkpoints::start(folder, self.checkpoint_every)?),
            (None, Some(folder)) => Some(Checkpoints::resume(folder, self.checkpoint_every)?),
            (None, None) => None,
        })
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&limit| limit > 0).ok_or_else(|| "give a number of samples, at least 1".to_owned())
}

fn parse_share(text: &str) -> Result<Share, String> {
    match text {
        "class" => Ok(Share::Class),
        bits => match bits.parse() {
            Ok(bits @ 1..=52) => Ok(Share::Bits(bits)),
            _ => Err("give `class` or a number of bits, from 1 to 52".to_owned()),
        },
    }
}

fn parse_key_id(text: &str) -> Result<KeyId, String> {
    text.parse::<KeyId>().map_err(|error| format!("{error}, as keygen prints them"))
}

fn parse_bits(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|bits: &f64| bits.is_finite()).ok_or_else(|| "give a number of bits".to_owned())
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds, 0 or more".to_owned())
}

impl Command {
    /// Whether the command makes or reads what must not leave the client: the secret key, or values that it encrypts.
    fn holds_secrets(&self) -> bool {
        match self {
            Command::Keygen { .. } | Command::Encrypt { .. } | Command::Decrypt { .. } => true,
            Command::Infer { .. } | Command::Check { .. } => true,
            Command::Client { .. } | Command::Info { .. } | Command::CalibrateMachine { .. } => false,
            Command::Simulate { .. } | Command::Eval { .. } => false,
        }
    }
}

/// Sets up this process and runs one command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    machine::exit_when_out_of_memory();
    let machine = &machine::set_up()?;
    let format = if arguments.json { Format::Json } else { Format::Text };
    if arguments.command.holds_secrets() {
        machine::forbid_core_dumps()?;
    }
    if let Some(reason) = &machine.kernels.refused {
        paf_files::say!("warning: {reason}; OpenFHE's own code runs, which is several times slower");
    }
    match &arguments.command {
        Command::Client { circuit, output } => commands::client(circuit, output, format),
        Command::Info { file: Some(file), machine_costs, .. } => {
            commands::info(file, costs::chosen(machine_costs.as_deref())?.as_ref(), format)
        }
        Command::Info { file: None, .. } => commands::info_machine(machine, format),
        Command::CalibrateMachine { output } => costs::calibrate_machine(machine, output.as_deref(), format),
        Command::Simulate { circuit, input, output, labels, model, noise, seed } => {
            let noise = if *noise { paf_runtime::Noise::Seed(*seed) } else { paf_runtime::Noise::Off };
            let (output, labels, model) = (output.as_deref(), labels.as_deref(), model.as_deref());
            simulate::simulate(&simulate::Options { circuit, input, output, noise, labels, model }, format)
        }
        Command::Infer { circuit, input, output, memory, insecure } => {
            let (memory, insecure) = (*memory, (*insecure).into());
            infer::infer(&infer::Options { circuit, input, output: output.as_deref(), memory, insecure }, format)
        }
        Command::Keygen { client, secret, public, force, passphrase, protection, insecure } => {
            let files = keygen::Files { client, secret, public, force: *force };
            keygen::keygen(&files, *passphrase, protection, (*insecure).into(), format)
        }
        Command::Encrypt { client, public, secret, protection, key_id, input, output, insecure } => {
            let (public, secret, insecure) = (public.as_deref(), secret.as_deref(), (*insecure).into());
            let keys = encrypt::KeyFiles { public, secret, protection, id: *key_id };
            encrypt::encrypt(&encrypt::Options { client, keys, input, output, insecure }, format)
        }
        Command::Check { circuit, files, sample, limit, least_bits, memory, insecure } => {
            let (sample, limit, least_bits) = (*sample, *limit, *least_bits);
            let (memory, insecure) = (*memory, (*insecure).into());
            check::check(&check::Options { circuit, files, sample, limit, least_bits, memory, insecure }, format)
        }
        Command::Eval { circuit, public, input, output, sanitize, keep, memory, insecure } => {
            let files = eval::Files { circuit, public, input, output, sanitize: *sanitize };
            eval::eval(&files, *memory, keep, (*insecure).into(), format)
        }
        Command::Decrypt { client, secret, protection, input, inputs, output, share, flood, insecure } => {
            let (inputs, share, flood, insecure) = (inputs.as_deref(), *share, *flood, (*insecure).into());
            let options =
                decrypt::Options { client, secret, protection, input, inputs, output, share, flood, insecure };
            decrypt::decrypt(&options, format)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
