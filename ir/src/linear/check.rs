//! What weights and geometry must be so that a map can be expanded.

use super::{Conv, LinearMap, MAX_SIDE, Primitive, Window, ZERO};
use crate::error::IrError;
use crate::tensor::{MAX_ELEMENTS, Shape, element_count};

impl Primitive {
    /// Checks that weights and geometry agree and that sizes are from 1 to [`MAX_ELEMENTS`], so that
    /// [`Primitive::matrix`] cannot go out of bounds.
    ///
    /// # Errors
    /// [`IrError::Type`].
    pub fn check(&self) -> Result<(), IrError> {
        self.check_geometry()?;
        if let Some(weight) = self.constant().filter(|weight| weight.shape.checked_size() != Some(weight.data.len())) {
            return fail(format!("{} weights under the shape {}", weight.data.len(), weight.shape));
        }
        for sizes in [self.input_sizes(), self.output_sizes()] {
            if element_count(&sizes).is_none() {
                let message = format!("the size of a factor is the product of {sizes:?}, not from 1 to {MAX_ELEMENTS}");
                return fail(message);
            }
        }
        Ok(())
    }

    fn check_geometry(&self) -> Result<(), IrError> {
        match self {
            Primitive::Conv(conv) => conv.check(),
            Primitive::Dense { weight, .. } if weight.shape.0.len() != 2 => {
                fail(format!("dense weights must have two axes, got {}", weight.shape))
            }
            Primitive::AveragePool(window) => window.check(),
            Primitive::Select { input, indices } => check_select(input, indices),
            Primitive::Permute { input, permutation } => {
                let mut sorted = permutation.clone();
                sorted.sort_unstable();
                if sorted.into_iter().eq(0..input.0.len()) {
                    return Ok(());
                }
                fail(format!("{permutation:?} is no permutation of the axes of {input}"))
            }
            Primitive::Diagonal { repeat: 0, .. } => fail("a diagonal repeats 0 times"),
            Primitive::Dense { .. } | Primitive::Diagonal { .. } => Ok(()),
        }
    }
}

fn fail(message: impl Into<String>) -> Result<(), IrError> {
    Err(IrError::ty("linear", message))
}

fn check_select(input: &Shape, indices: &[Vec<u32>]) -> Result<(), IrError> {
    if input.0.len() != indices.len() {
        return fail(format!("select of {input} has {} index lists", indices.len()));
    }
    for (axis, (list, &size)) in indices.iter().zip(&input.0).enumerate() {
        if let Some(bad) = list.iter().find(|&&index| index != ZERO && index as usize >= size) {
            return fail(format!("select index {bad} on axis {axis} of {input}"));
        }
    }
    Ok(())
}

impl Window {
    /// Whether every window has a tap inside the input.
    pub(crate) fn every_window_reads(&self) -> bool {
        let reads = |axis: usize, out: usize| {
            let first = self.pads[axis].saturating_sub(out * self.strides[axis]).div_ceil(self.dilations[axis]);
            first < self.kernel[axis] && self.input_index(axis, out, first).is_some()
        };
        (0..2).all(|axis| (0..self.output[axis]).all(|out| reads(axis, out)))
    }

    /// Checks that no size is zero and that none is above [`MAX_SIDE`].
    ///
    /// # Errors
    /// [`IrError::Type`].
    pub fn check(&self) -> Result<(), IrError> {
        let sizes = [&self.input[..], &self.kernel, &self.strides, &self.dilations, &self.output];
        if sizes.iter().any(|list| list.contains(&0)) {
            return Err(IrError::ty("window", format!("a size is zero: {self:?}")));
        }
        if sizes.into_iter().chain([&self.pads[..]]).flatten().any(|&size| size > MAX_SIDE) {
            return Err(IrError::ty("window", format!("a size is above {MAX_SIDE}: {self:?}")));
        }
        Ok(())
    }
}

impl Conv {
    fn check(&self) -> Result<(), IrError> {
        self.window.check()?;
        let weight = &self.weight.shape.0;
        let fits = weight.len() == 4
            && self.groups > 0
            && weight[0].is_multiple_of(self.groups)
            && weight[1].checked_mul(self.groups) == Some(self.window.input[0])
            && weight[2..] == self.window.kernel;
        if fits {
            return Ok(());
        }
        let message = format!(
            "weights {} and kernel {:?} do not fit {} input channels in {} groups",
            self.weight.shape, self.window.kernel, self.window.input[0], self.groups
        );
        Err(IrError::ty("conv", message))
    }
}

impl LinearMap {
    /// Checks every factor and that consecutive sizes agree.
    ///
    /// # Errors
    /// [`IrError::Type`].
    pub fn check(&self) -> Result<(), IrError> {
        if element_count(&[self.inputs]).is_none() {
            return fail(format!("{} inputs, not from 1 to {MAX_ELEMENTS}", self.inputs));
        }
        let mut size = self.inputs;
        for factor in &self.factors {
            factor.check()?;
            if factor.input_size() != size {
                return fail(format!("a factor takes {} elements and gets {size}", factor.input_size()));
            }
            size = factor.output_size();
        }
        if size != self.outputs {
            return fail(format!("{} outputs declared, {size} made", self.outputs));
        }
        match &self.bias {
            Some(bias) if bias.repeat == 0 || bias.values.data.is_empty() => fail("empty bias"),
            _ if !self.scale.is_finite() => fail("the scale is not finite"),
            _ => Ok(()),
        }
    }

    /// Checks that no weight or bias is NaN or infinite.
    pub(crate) fn check_finite(&self) -> Result<(), IrError> {
        let constants = self.factors.iter().filter_map(Primitive::constant);
        let mut constants = constants.chain(self.bias.iter().map(|bias| &bias.values));
        if constants.all(|constant| constant.data.iter().all(|value| value.is_finite())) {
            return Ok(());
        }
        fail("a weight is NaN or infinite")
    }
}
