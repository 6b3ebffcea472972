//! The circuit that a network is adapted for.

use std::sync::Arc;

use paf_passes::decisions::CalibrationSamples;
use paf_passes::lower::LowerOptions;
use paf_passes::paf::{DEFAULT_PAF, Paf};
use paf_scheme::EngineProfile;

use crate::config::Config;
use crate::data::Data;
use crate::error::RecoveryError;

/// How the adapted network will be lowered: what a search costs its mixes by, and how pools compare on the way.
#[derive(Debug, Clone)]
pub struct Target {
    /// The options of the compilation.
    pub options: LowerOptions,
    /// The samples that it will be calibrated on.
    pub samples: Arc<CalibrationSamples>,
}

impl Target {
    /// The circuit that a compilation for an engine makes without options, in the memory that the search is given; it is
    /// calibrated on samples of the data.
    ///
    /// # Errors
    /// [`RecoveryError::Data`] for too few samples.
    pub fn new(config: &Config, data: &Data, profile: &'static EngineProfile) -> Result<Self, RecoveryError> {
        let mut options = LowerOptions::new(Paf::by_name(DEFAULT_PAF)?, profile);
        options.schedule.memory = config.search.memory.map(|size| size.0);
        Ok(Target { options, samples: Arc::new(data.calibration(config)?) })
    }
}
