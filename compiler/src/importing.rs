//! How models are imported: what the options say of their inputs, and tract for constants.

use paf_import::{Evaluated, ImportOptions};

use crate::calibration;
use crate::options::CompileOptions;

/// The options of an import.
pub(crate) fn import_options(options: &CompileOptions) -> ImportOptions {
    ImportOptions {
        sizes: options.sizes.clone(),
        outputs: options.outputs.clone(),
        input_shapes: calibration::shapes(&options.calibration),
        evaluate: Some(evaluate),
        trailing: options.trailing,
        ..ImportOptions::default()
    }
}

/// Constants that the import has no operator for, computed by tract.
fn evaluate(model: &[u8]) -> Result<Vec<Evaluated>, String> {
    let evaluated = |computed: paf_oracle::Computed| Evaluated {
        shape: computed.shape,
        values: computed.values,
        element_type: computed.element_type,
    };
    Ok(paf_oracle::constants(model)?.into_iter().map(evaluated).collect())
}
