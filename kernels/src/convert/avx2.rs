//! Base conversion with AVX2.

use super::{Conversion, portable};

#[target_feature(enable = "avx2")]
pub(super) fn convert(outputs: &mut [&mut [u64]], inputs: &[&[u64]], conversion: &Conversion) {
    portable::convert(outputs, inputs, conversion);
}
