//! The engine suite on OpenFHE.

use paf_engine::suite::Agreement;
use paf_engine_openfhe::OpenFheEngine;

paf_engine::engine_tests!(OpenFheEngine, Agreement::Encrypted);
