//! Import against references that others computed: ONNX's reference evaluator, the ONNX backend tests and tract.

#[path = "import/against_tract.rs"]
mod against_tract;
#[path = "backend/cases.rs"]
mod backend_cases;
#[path = "import/bad_models.rs"]
mod bad_models;
#[path = "import/built_models.rs"]
mod built_models;
#[path = "import/damaged_files.rs"]
mod damaged_files;
#[path = "import/networks.rs"]
mod networks;
#[path = "import/operators.rs"]
mod operators;
#[path = "import/support.rs"]
mod support;
