//! The engine suite on plain numbers.

use paf_engine::suite::Agreement;
use paf_engine_clear::ClearEngine;

paf_engine::engine_tests!(ClearEngine, Agreement::Exact);
