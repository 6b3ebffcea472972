//! What goes wrong within this crate; what leaves it is a [`RecoveryError`].

use paf_adapt::RecoveryError;
use paf_ir::IrError;
use paf_passes::paf::NoSuchPaf;

/// An error of candle's, or one that has its words already.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrainError {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Anything else.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl From<IrError> for TrainError {
    fn from(error: IrError) -> Self {
        TrainError::Recovery(error.into())
    }
}

impl From<NoSuchPaf> for TrainError {
    fn from(error: NoSuchPaf) -> Self {
        TrainError::Recovery(error.into())
    }
}

impl From<TrainError> for RecoveryError {
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Tensor(error) => RecoveryError::Training { step: "train", problem: error.to_string() },
            TrainError::Recovery(error) => error,
        }
    }
}
