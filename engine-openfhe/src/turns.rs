//! Who may use OpenFHE beside whom.
//!
//! Operations, encryption and the reading of bytes look into static maps of OpenFHE: contexts, evaluation keys, tables of
//! transforms. They run [`beside`] each other. What changes these maps runs [`alone`], and is short: keys and ciphertexts
//! are made and parsed before, beside others. No function of this crate calls one of the two while it has what the other
//! gives, or while it has the same: a thread would wait for itself.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use openfhe_sys as fhe;
use paf_engine::{Result, check_process};

use crate::failed;

/// The ring dimension whose transforms OpenFHE has tables for; a prime has one table, of one ring dimension.
static TABLES: RwLock<u32> = RwLock::new(0);

/// OpenFHE as it is, as long as this lives.
pub(crate) struct Beside(#[expect(dead_code, reason = "it holds a lock")] RwLockReadGuard<'static, u32>);

/// OpenFHE for its owner alone, as long as this lives.
pub(crate) struct Alone(RwLockWriteGuard<'static, u32>);

/// Waits until OpenFHE can work with a context.
///
/// # Errors
/// [`EngineError::Forked`](paf_engine::EngineError::Forked), or what OpenFHE reports.
pub(crate) fn beside(context: &fhe::Context) -> Result<Beside> {
    check_process()?;
    loop {
        let tables = TABLES.read().unwrap_or_else(PoisonError::into_inner);
        if *tables == context.ring_dimension() {
            return Ok(Beside(tables));
        }
        drop(tables);
        alone()?.prepare(context)?;
    }
}

/// Waits until nobody uses OpenFHE.
///
/// # Errors
/// [`EngineError::Forked`](paf_engine::EngineError::Forked).
pub(crate) fn alone() -> Result<Alone> {
    check_process()?;
    Ok(Alone(TABLES.write().unwrap_or_else(PoisonError::into_inner)))
}

impl Alone {
    /// Makes the tables of a context's transforms.
    ///
    /// # Errors
    /// What OpenFHE reports.
    pub(crate) fn prepare(&mut self, context: &fhe::Context) -> Result<()> {
        // Tables are replaced one after another: none are right until all are.
        *self.0 = 0;
        fhe::prepare_transforms(context).map_err(failed("tables of the transforms"))?;
        *self.0 = context.ring_dimension();
        Ok(())
    }
}
