//! Operators that move elements in blocks, repeat or mask them: DepthToSpace, SpaceToDepth, Tile, Trilu, EyeLike, Range.

use paf_ir::Shape;

use super::constants::{ConstantValue, ElementKind};
use super::elementwise::{Binary, combine};
use super::site::{Outcome, Refusal, Site, Value, size};

/// Most elements of a Range.
const MOST_STEPS: f64 = 1e8;

/// DepthToSpace: blocks of channels become blocks of pixels.
pub(super) fn depth_to_space(site: &mut Site<'_>) -> Outcome {
    let (value, sizes, block) = blocks(site)?;
    let [n, c, h, w] = sizes;
    if !c.is_multiple_of(block * block) {
        return Err(Refusal::invalid(format!("{c} channels are no multiple of blocks of {block}x{block}")));
    }
    let depth = c / (block * block);
    let (split, permutation) = match site.attributes.text("mode")?.as_deref() {
        None | Some("DCR") => (vec![n, block, block, depth, h, w], vec![0, 3, 4, 1, 5, 2]),
        Some("CRD") => (vec![n, depth, block, block, h, w], vec![0, 1, 4, 2, 5, 3]),
        Some(other) => return Err(Refusal::invalid(format!("mode is `{other}`, not DCR or CRD"))),
    };
    let value = site.reshaped(value, Shape(split))?;
    let value = site.permuted(value, permutation)?;
    site.reshaped(value, Shape(vec![n, depth, h * block, w * block]))
}

/// SpaceToDepth: blocks of pixels become blocks of channels.
pub(super) fn space_to_depth(site: &mut Site<'_>) -> Outcome {
    let (value, [n, c, h, w], block) = blocks(site)?;
    if !h.is_multiple_of(block) || !w.is_multiple_of(block) {
        return Err(Refusal::invalid(format!("{h}x{w} pixels are no multiple of blocks of {block}x{block}")));
    }
    let value = site.reshaped(value, Shape(vec![n, c, h / block, block, w / block, block]))?;
    let value = site.permuted(value, vec![0, 3, 5, 1, 2, 4])?;
    site.reshaped(value, Shape(vec![n, c * block * block, h / block, w / block]))
}

/// The operand, its four sizes, and the side of a block.
fn blocks(site: &mut Site<'_>) -> Result<(Value, [usize; 4], usize), Refusal> {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let sizes = shape.0[..].try_into().map_err(|_| Refusal::invalid(format!("{shape} has not four axes")))?;
    let block = site.attributes.integer("blocksize")?.ok_or_else(|| Refusal::invalid("blocksize is missing"))?;
    let block = usize::try_from(block).ok().filter(|&block| block > 0 && block <= size(&shape).unwrap_or(0));
    Ok((value, sizes, block.ok_or_else(|| Refusal::invalid("blocksize is no positive number that fits"))?))
}

/// Tile: the tensor so many times along each axis.
pub(super) fn tile(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let repeats = site.integers(1, "repeats")?.ok_or_else(|| Refusal::invalid("the repeats are missing"))?;
    let repeats: Option<Vec<usize>> = repeats.iter().map(|&count| usize::try_from(count).ok()).collect();
    let repeats = repeats.filter(|repeats| repeats.len() == shape.0.len());
    let repeats = repeats.ok_or_else(|| Refusal::invalid(format!("the repeats do not fit {shape}")))?;
    let pairs = || shape.0.iter().zip(&repeats);
    let tiled: Option<Vec<usize>> = pairs().map(|(&size, &count)| size.checked_mul(count)).collect();
    size(&Shape(tiled.ok_or_else(|| Refusal::invalid("the result is too large"))?))?;
    let indices = pairs().map(|(&size, &count)| (0..count).flat_map(|_| 0..size as u32).collect()).collect();
    site.selected(value, indices)
}

/// Trilu: the elements on one side of a diagonal, zeros on the other.
pub(super) fn trilu(site: &mut Site<'_>) -> Outcome {
    let value = site.operand(0)?;
    let shape = site.shape(&value)?;
    let [.., rows, columns] = shape.0[..] else { return Err(Refusal::invalid(format!("{shape} is no matrix"))) };
    let diagonal = site.optional_constant(1, "k")?.and_then(|k| k.as_scalar()).unwrap_or(0.0);
    let is_upper = site.attributes.integer("upper")?.unwrap_or(1) != 0;
    let keeps = |row: usize, column: usize| {
        let distance = column as f64 - row as f64;
        if is_upper { distance >= diagonal } else { distance <= diagonal }
    };
    let mask = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let mask = mask.map(|(row, column)| f64::from(u8::from(keeps(row, column)))).collect();
    let mask = ConstantValue::new(Shape(vec![rows, columns]), mask, ElementKind::Real);
    combine(site, Binary::Mul, value, Value::Constant(mask))
}

/// EyeLike: a constant of the operand's shape with ones on a diagonal.
pub(super) fn eye_like(site: &mut Site<'_>) -> Outcome {
    let shape = site.shape(&site.operand(0)?)?;
    let [rows, columns] = shape.0[..] else { return Err(Refusal::invalid(format!("{shape} is no matrix"))) };
    let diagonal = site.attributes.integer("k")?.unwrap_or(0);
    let on_it = |place: usize| (place % columns) as i64 - (place / columns) as i64 == diagonal;
    let data = (0..rows * columns).map(|place| f64::from(u8::from(on_it(place)))).collect();
    Ok(Value::Constant(ConstantValue::new(shape, data, ElementKind::Real)))
}

/// Range of constants.
pub(super) fn range(site: &mut Site<'_>) -> Outcome {
    let bound = |index: usize, what: &str| {
        let constant = site.constant(index, what)?;
        let number = constant.as_scalar().ok_or_else(|| Refusal::invalid(format!("{what} is no number")))?;
        Ok::<_, Refusal>((number, constant.kind))
    };
    let ((start, kind), (limit, _), (delta, _)) =
        (bound(0, "the start")?, bound(1, "the limit")?, bound(2, "the step")?);
    let count = ((limit - start) / delta).ceil().max(0.0);
    if count.is_nan() || count > MOST_STEPS {
        return Err(Refusal::invalid(format!("{count} steps")));
    }
    let data: Vec<f64> = (0..count as usize).map(|step| start + delta * step as f64).collect();
    Ok(Value::Constant(ConstantValue::new(Shape(vec![data.len()]), data, kind)))
}
