//! Accuracy by PAF and step: `cargo bench -p paf-recovery --bench table -- MODEL.onnx TRAIN.npz TEST.npz [--paf P,…]
//! [--column C,…] [--config C.toml] [--control] [--also TEST2.npz]`.
//!
//! Columns: `none` (no recovery: the scale is the largest magnitude that the original network shows), `calibrate`, `bn`
//! and `ct` (each with those before it), `ls` (all three and `ls` before `bn`), `at` (`ct`, then training of all at once), `ls-at`
//! (`ls`, then that) and `pa` (`ct`, then training one operator after the other, then all at once). The control is the exact network trained as in `at`. Everything is
//! evaluated with static scales; losses are to the original network, with the standard error of the paired difference.
//!
//! With `--also`, every cell is evaluated on a second set of test data too, which only the lines of JSON tell.
//!
//! Each cell is a line of JSON as soon as it is known; at the end the table comes as Markdown.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use paf_adapt::config::{Config, StepName, TrainConfig};
use paf_adapt::evaluate::{Accuracy, Lost, top1};
use paf_adapt::events::unheard;
use paf_adapt::progress::ProgressText;
use paf_adapt::recovery::frozen;
use paf_adapt::steps::{direct, walk};
use paf_adapt::training::TrainingRun;
use paf_adapt::{Data, Network, RecoveryError, Training};
use paf_passes::paf::Paf;
use paf_train::{CandleTraining, quick_logits};
use serde_json::json;

/// Samples that are evaluated together.
const BATCH: usize = 100;

#[derive(Debug, Parser)]
struct Arguments {
    /// The ONNX file
    model: PathBuf,
    /// Training data with labels where the loss needs them
    train: PathBuf,
    /// Test data with labels
    test: PathBuf,
    /// More test data with labels, evaluated beside the others
    #[arg(long)]
    also: Option<PathBuf>,
    /// PAFs, one a row
    #[arg(
        long = "paf",
        value_delimiter = ',',
        default_value = "f1_g2.cheon,f2_g2.cheon,f2_g3.cheon,f1sq_g1sq.cheon,alpha7,alpha10"
    )]
    pafs: Vec<String>,
    /// What is measured of each PAF
    #[arg(long = "column", value_delimiter = ',', default_value = "none,calibrate,bn,ct")]
    columns: Vec<Column>,
    /// Configuration of paf-recover
    #[arg(long)]
    config: Option<PathBuf>,
    /// Train the exact network too
    #[arg(long)]
    control: bool,
    /// Progress of training on stderr
    #[arg(long)]
    progress: bool,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Column {
    None,
    Calibrate,
    Bn,
    Ct,
    Ls,
    At,
    LsAt,
    Pa,
}

impl Column {
    fn steps(self) -> Vec<StepName> {
        use StepName::{At, Bn, Calibrate, Ct, Ls, Pa};
        match self {
            Column::None => vec![],
            Column::Calibrate => vec![Calibrate],
            Column::Bn => vec![Calibrate, Bn],
            Column::Ct => vec![Calibrate, Bn, Ct],
            Column::Ls => vec![Calibrate, Ls, Bn, Ct],
            Column::At => vec![Calibrate, Bn, Ct, At],
            Column::LsAt => vec![Calibrate, Ls, Bn, Ct, At],
            Column::Pa => vec![Calibrate, Bn, Ct, Pa, At],
        }
    }

    fn title(self) -> &'static str {
        match self {
            Column::None => "none",
            Column::Calibrate => "calibrate",
            Column::Bn => "+BN",
            Column::Ct => "+CT",
            Column::Ls => "+LS+BN+CT",
            Column::At => "+CT+AT",
            Column::LsAt => "+LS+BN+CT+AT",
            Column::Pa => "+CT+PA+AT",
        }
    }
}

struct Table {
    arguments: Arguments,
    config: Config,
    original: Network,
    train: Data,
    test: Test,
    also: Option<Test>,
}

/// Test data, and whether the original network is right about each sample.
struct Test {
    data: Data,
    original_right: Vec<bool>,
}

struct Row {
    name: String,
    cells: Vec<Cell>,
}

/// A cell, or why it is empty.
type Cell = Result<Measured, String>;

struct Measured {
    on_test: (Accuracy, Lost),
    also: Option<(Accuracy, Lost)>,
    /// Time that all the steps of the column took.
    seconds: f64,
}

fn main() -> Result<(), RecoveryError> {
    if std::env::args().all(|argument| argument.starts_with("--")) || std::env::args().len() < 4 {
        println!("skipped: it needs MODEL.onnx TRAIN.npz TEST.npz; --help says more");
        return Ok(());
    }
    let table = Table::new(Arguments::parse())?;
    table.print_head();
    let mut rows = vec![];
    if table.arguments.control {
        rows.push(table.control()?);
    }
    for name in &table.arguments.pafs {
        rows.push(table.row(name)?);
    }
    table.print(&rows);
    Ok(())
}

impl Table {
    fn new(arguments: Arguments) -> Result<Self, RecoveryError> {
        let config = arguments.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let original = Network::exact(paf_import::import(&arguments.model)?.graph)?;
        let train = Data::read(&arguments.train, None)?;
        let test = Test::read(&arguments.test, &original)?;
        let also = arguments.also.as_deref().map(|path| Test::read(path, &original)).transpose()?;
        Ok(Table { arguments, config, original, train, test, also })
    }

    fn print_head(&self) {
        println!(
            "{}",
            json!({
                "model": self.arguments.model.file_name().map(|name| name.to_string_lossy()),
                "training_samples": self.train.len(), "test_samples": self.test.data.len(),
                "original_percent": self.test.original().percent(),
                "standard_error": self.test.original().standard_error(),
                "also": self.also.as_ref().map(|test| json!({
                    "test_samples": test.data.len(), "original_percent": test.original().percent(),
                    "standard_error": test.original().standard_error(),
                })),
                "config": self.config,
            })
        );
    }

    fn row(&self, name: &str) -> Result<Row, RecoveryError> {
        let paf = Paf::by_name(name)?;
        let cells = self.arguments.columns.iter().map(|column| self.cell(name, &paf, *column)).collect();
        Ok(Row { name: name.to_owned(), cells })
    }

    fn cell(&self, name: &str, paf: &Paf, column: Column) -> Cell {
        let cell = self.recovered(paf, column).and_then(|(network, seconds)| self.measured(&network, seconds));
        self.tell(name, column.title(), cell.map_err(|error| error.to_string()))
    }

    /// The network after a column's steps, and the seconds that they took.
    fn recovered(&self, paf: &Paf, column: Column) -> Result<(Network, f64), RecoveryError> {
        let pafs = |_: &str| paf.clone();
        let drawn = self.train.drawn(self.config.samples, self.config.seed);
        let start = Instant::now();
        if column == Column::None {
            return Ok((direct(&self.original, &pafs, &drawn)?, start.elapsed().as_secs_f64()));
        }
        let config = Config { steps: column.steps(), ..self.config.clone() };
        let mut network = walk(&self.original, &pafs, &drawn, &config, &mut unheard)?.network;
        if let Some(training) = config.training() {
            network = self.trained(&network, &training)?;
        }
        Ok((network, start.elapsed().as_secs_f64()))
    }

    fn trained(&self, network: &Network, config: &TrainConfig) -> Result<Network, RecoveryError> {
        let run = TrainingRun {
            original: &self.original.graph,
            data: &self.train,
            config,
            seed: self.config.seed,
            frozen: frozen(&network.graph),
            checkpoint: None,
        };
        let mut progress = ProgressText::in_lines(std::io::stderr());
        let trained = CandleTraining.train(network, &run, &mut |event| match self.arguments.progress {
            true => progress.hear(event),
            false => unheard(event),
        })?;
        Ok(trained.network)
    }

    /// The exact network, trained as those of the column `+CT+AT` are.
    fn control(&self) -> Result<Row, RecoveryError> {
        let config = Config { steps: Column::At.steps(), ..self.config.clone() };
        let start = Instant::now();
        let network = match config.training() {
            Some(training) => self.trained(&self.original, &training)?,
            None => self.original.clone(),
        };
        let measured = self.measured(&network, start.elapsed().as_secs_f64())?;
        let cell = self.tell("exact", "control", Ok(measured));
        Ok(Row { name: "exact, trained (control)".into(), cells: vec![cell] })
    }

    fn measured(&self, network: &Network, seconds: f64) -> Result<Measured, RecoveryError> {
        let also = self.also.as_ref().map(|test| test.measure(network)).transpose()?;
        Ok(Measured { on_test: self.test.measure(network)?, also, seconds })
    }

    fn tell(&self, paf: &str, column: &str, cell: Cell) -> Cell {
        let seed = self.config.seed;
        match &cell {
            Ok(Measured { on_test: (accuracy, lost), also, seconds }) => println!(
                "{}",
                json!({
                    "paf": paf, "column": column, "percent": accuracy.percent(),
                    "standard_error": accuracy.standard_error(), "lost": lost.points,
                    "lost_standard_error": lost.standard_error, "seconds": seconds, "seed": seed,
                    "also": also.as_ref().map(|(accuracy, lost)| json!({
                        "percent": accuracy.percent(), "lost": lost.points, "lost_standard_error": lost.standard_error,
                    })),
                })
            ),
            Err(problem) => println!("{}", json!({"paf": paf, "column": column, "problem": problem, "seed": seed})),
        }
        cell
    }

    /// Accuracy, loss with its standard error, and seconds.
    fn print(&self, rows: &[Row]) {
        let titles: Vec<&str> = self.arguments.columns.iter().map(|column| column.title()).collect();
        let original = self.test.original();
        println!("\noriginal {:.2} ± {:.2} %\n", original.percent(), original.standard_error());
        println!("| PAF | {} |\n|---|{}", titles.join(" | "), "---|".repeat(titles.len()));
        for Row { name, cells } in rows {
            let empty = titles.len() - cells.len();
            let cells: Vec<String> = cells.iter().map(markdown).collect();
            println!("| {name} |{} {} |", " |".repeat(empty), cells.join(" | "));
        }
    }
}

impl Test {
    fn read(path: &Path, original: &Network) -> Result<Self, RecoveryError> {
        let data = Data::read(path, None)?;
        let original_right = right(original, &data)?;
        Ok(Test { data, original_right })
    }

    fn original(&self) -> Accuracy {
        accuracy(&self.original_right)
    }

    /// How many samples a network is right about, and what it loses to the original one.
    fn measure(&self, network: &Network) -> Result<(Accuracy, Lost), RecoveryError> {
        let right = right(network, &self.data)?;
        Ok((accuracy(&right), Lost::between(&self.original_right, &right)))
    }
}

fn markdown(cell: &Cell) -> String {
    match cell {
        Ok(Measured { on_test: (accuracy, lost), seconds, .. }) => {
            format!("{:.2} (−{:.2} ± {:.2}; {seconds:.0} s)", accuracy.percent(), lost.points, lost.standard_error)
                .replace("−-", "+")
        }
        Err(problem) => problem.clone(),
    }
}

/// Whether the network is right about each sample.
fn right(network: &Network, test: &Data) -> Result<Vec<bool>, RecoveryError> {
    let labels = test.y.as_deref().ok_or_else(|| RecoveryError::Data("the test data have no labels".into()))?;
    let logits = quick_logits(network, test, BATCH)?;
    let class = |row: &Vec<f32>| top1(&row.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
    Ok(logits.iter().zip(labels).map(|(row, label)| class(row) == *label as usize).collect())
}

fn accuracy(right: &[bool]) -> Accuracy {
    Accuracy { correct: right.iter().filter(|&&right| right).count(), count: right.len() }
}
