//! What a search has measured, on disk: one that was stopped goes on where it was, and finds the same.
//!
//! A search is a sequence of decisions that follow from measurements; these take the time. So it runs again from its
//! beginning, and what was measured before is read instead.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paf_files::{BoundFile, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::judge::Judged;
use super::offers::Menu;
use super::walker::Assignment;
use crate::config::Config;
use crate::cost::Cost;
use crate::data::Data;
use crate::error::RecoveryError;
use crate::network::Network;
use crate::target::Target;

/// What a walk came to; `None` for a mix with a PAF that cannot be used where it stands.
pub(super) type WalkOutcome = Option<(Cost, Judged)>;

/// Everything measured so far, kept in a file if there is one.
#[derive(Default)]
pub(super) struct Notes {
    /// Bound to what the search was started with.
    file: Option<BoundFile>,
    menus: Vec<Menu>,
    walks: BTreeMap<Assignment, WalkOutcome>,
}

/// The file's content.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    fingerprint: String,
    menus: Vec<Menu>,
    walks: Vec<(Assignment, WalkOutcome)>,
}

/// The file of a search whose run has this checkpoint.
pub(crate) fn file_beside(checkpoint: &Path) -> PathBuf {
    let mut name = checkpoint.as_os_str().to_owned();
    name.push(".search");
    name.into()
}

impl Notes {
    /// Reads what an earlier run of the same search left.
    ///
    /// # Errors
    /// [`RecoveryError::File`] for damage and for another search; [`RecoveryError::Io`].
    pub(super) fn open(
        original: &Network,
        data: &Data,
        config: &Config,
        target: &Target,
    ) -> Result<Self, RecoveryError> {
        let Some(path) = config.checkpoint.as_deref().map(file_beside) else { return Ok(Notes::default()) };
        let fingerprint = fingerprint(original, data, config, target)?;
        let file = BoundFile::new(path, fingerprint);
        let content = file.read(opened).map_err(RecoveryError::checkpoint(file.path()))?.unwrap_or_default();
        Ok(Notes { file: Some(file), menus: content.menus, walks: content.walks.into_iter().collect() })
    }

    /// What a node may have, by its place among the ReLUs and MaxPools.
    pub(super) fn menu(&self, place: usize) -> Option<&Menu> {
        self.menus.get(place)
    }

    /// Keeps the next node's menu.
    pub(super) fn add_menu(&mut self, menu: Menu) -> Result<(), RecoveryError> {
        self.menus.push(menu);
        self.write()
    }

    /// What the walk of a mix came to, if it was walked.
    pub(super) fn walk(&self, assignment: &Assignment) -> Option<WalkOutcome> {
        self.walks.get(assignment).copied()
    }

    /// Keeps what a walk came to.
    pub(super) fn add_walk(&mut self, assignment: Assignment, outcome: WalkOutcome) -> Result<(), RecoveryError> {
        self.walks.insert(assignment, outcome);
        self.write()
    }

    fn write(&self) -> Result<(), RecoveryError> {
        let Some(file) = &self.file else { return Ok(()) };
        let walks = self.walks.iter().map(|(assignment, outcome)| (assignment.clone(), *outcome)).collect();
        let content = Content { fingerprint: file.fingerprint().to_owned(), menus: self.menus.clone(), walks };
        let text = serde_json::to_string(&content)
            .map_err(|error| RecoveryError::damaged_checkpoint(file.path(), error.to_string()))?;
        file.write(text.as_bytes()).map_err(RecoveryError::io(file.path()))
    }
}

/// The fingerprint in a file, and all of its content.
fn opened(bytes: &[u8]) -> Result<(String, Content), String> {
    let content: Content = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok((content.fingerprint.clone(), content))
}

/// What the search is started with, in 64 hexadecimal digits. How training goes on after it does not matter.
fn fingerprint(original: &Network, data: &Data, config: &Config, target: &Target) -> Result<String, RecoveryError> {
    let decisive =
        (&config.steps, &config.node_pafs, config.seed, config.margin, config.samples, &config.ct, &config.bn);
    let text = serde_json::to_string(&(decisive, &config.search));
    let mut hash = Sha256::new();
    hash.update(text.map_err(|error| RecoveryError::Usage(error.to_string()))?.as_bytes());
    hash.update(format!("{:?}{:?}", original.graph, target.options).as_bytes());
    data.add_to(&mut hash);
    target.samples.iter().flatten().flatten().for_each(|value| hash.update(value.to_le_bytes()));
    Ok(hex(&hash.finalize()))
}
