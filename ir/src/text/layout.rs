//! Text form of layouts and plans.

use super::Line;
use crate::diagonals::{Giant, Plan};
use crate::error::IrError;
use crate::layout::{Digit, Gaps, Layout};

pub(crate) fn print_layout(layout: &Layout) -> String {
    let gaps = if layout.gaps == Gaps::Zero { "zero" } else { "leftover" };
    let head = format!("period={} ciphertexts={} gaps={gaps}", layout.period, layout.ciphertexts);
    match layout.digits() {
        Some(digits) => {
            let first = layout.table().first().copied().unwrap_or(0);
            let flat: Vec<i64> = digits.iter().flat_map(|d| [d.size as i64, d.stride]).collect();
            format!("layout {head} first={first} digits={flat:?}")
        }
        None => format!("layout {head} table={:?}", layout.table()),
    }
}

pub(crate) fn parse_layout(line: &mut Line<'_>) -> Result<Layout, IrError> {
    line.expect("layout")?;
    let period = line.keyed("period")?;
    let ciphertexts = line.keyed("ciphertexts")?;
    line.expect("gaps=")?;
    let gaps = match line.word()? {
        "zero" => Gaps::Zero,
        "leftover" => Gaps::Leftover,
        other => return Err(line.error(format!("gaps are zero or leftover, not `{other}`"))),
    };
    let layout = if line.take("table=") {
        Layout::new(line.list()?, period, ciphertexts, gaps)
    } else {
        let first = line.keyed("first")?;
        let flat: Vec<i64> = line.keyed_list("digits")?;
        if !flat.len().is_multiple_of(2) || flat.iter().step_by(2).any(|&size| size < 1) {
            return Err(line.error(format!("digits {flat:?} are not pairs of a positive size and a stride")));
        }
        Layout::from_digits(first, &digits_of(&flat), period, ciphertexts, gaps)
    };
    layout.ok_or_else(|| line.error("the layout does not fit its slots"))
}

/// Digits from `[size, stride, size, stride, …]`, innermost first.
pub fn digits_of(flat: &[i64]) -> Vec<Digit> {
    let mut divisor: usize = 1;
    let mut digits = Vec::new();
    for pair in flat.chunks_exact(2) {
        let size = usize::try_from(pair[0]).unwrap_or(0).max(1);
        digits.push(Digit { divisor, size, stride: pair[1] });
        divisor = divisor.saturating_mul(size);
    }
    digits
}

pub(crate) fn print_plan(plan: &Plan) -> String {
    let giants: Vec<String> =
        plan.giants.iter().map(|giant| format!("{}: {:?}", giant.rotation, giant.babies)).collect();
    let outer = if plan.outer_stride == 0 { String::new() } else { format!(" outer={}", plan.outer_stride) };
    format!("plan modulus={}{outer} folds={:?} giants {{{}}}", plan.modulus, plan.folds, giants.join("; "))
}

pub(crate) fn parse_plan(line: &mut Line<'_>) -> Result<Plan, IrError> {
    line.expect("plan")?;
    let modulus = line.keyed("modulus")?;
    let outer_stride = if line.take("outer=") { line.number()? } else { 0 };
    let folds = line.keyed_list("folds")?;
    line.expect("giants")?;
    line.expect("{")?;
    let mut giants = Vec::new();
    while !line.take("}") {
        let rotation = line.number()?;
        line.expect(":")?;
        giants.push(Giant { rotation, babies: line.list()? });
        line.take(";");
    }
    Ok(Plan { modulus, giants, outer_stride, folds })
}
