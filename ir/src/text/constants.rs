//! Constants, printed once and referred to by number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Line;
use crate::error::IrError;
use crate::tensor::{Constant, Shape, Tensor};

/// Collects constants while printing; equal ones share an id.
#[derive(Default)]
pub(crate) struct ConstantTable {
    constants: Vec<Constant>,
}

impl ConstantTable {
    pub(crate) fn id(&mut self, constant: &Constant) -> usize {
        let same = self.constants.iter().position(|other| Arc::ptr_eq(other, constant));
        let known = same.or_else(|| self.constants.iter().position(|other| other == constant));
        known.unwrap_or_else(|| {
            self.constants.push(constant.clone());
            self.constants.len() - 1
        })
    }

    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        for (id, constant) in self.constants.iter().enumerate() {
            let _ = writeln!(text, "const @{id} f64{} = {:?}", constant.shape, constant.data);
        }
        text
    }
}

/// Constants read so far, by id.
pub(crate) type Constants = BTreeMap<usize, Constant>;

/// Reads a line that begins with `const`; `Ok(false)` if it is something else.
pub(crate) fn parse_constant(line: &mut Line<'_>, constants: &mut Constants) -> Result<bool, IrError> {
    if !line.take("const ") {
        return Ok(false);
    }
    line.expect("@")?;
    let id = line.number()?;
    line.expect("f64")?;
    let shape = Shape(line.list()?);
    line.expect("=")?;
    let data = line.list()?;
    if shape.checked_size() != Some(data.len()) {
        return Err(line.error(format!("{} values do not fill the shape {shape}", data.len())));
    }
    constants.insert(id, Arc::new(Tensor::new(shape, data)));
    Ok(true)
}

/// A reference `@N` to a constant.
pub(crate) fn constant(line: &mut Line<'_>, constants: &Constants) -> Result<Constant, IrError> {
    line.expect("@")?;
    let id: usize = line.number()?;
    constants.get(&id).cloned().ok_or_else(|| line.error(format!("no constant @{id}")))
}
