//! Layouts: digits, tables and their limits.

mod common;

use paf_ir::Layout;
use paf_ir::layout::{Digit, Gaps, MAX_SLOTS};
use paf_ir::text::digits_of;
use proptest::prelude::*;

fn rebuilt(layout: &Layout) -> Option<Layout> {
    let digits = layout.digits()?;
    let first = layout.table()[0];
    Layout::from_digits(first, &digits, layout.period, layout.ciphertexts, layout.gaps)
}

prop_compose! {
    /// Up to four digits on disjoint slot ranges, in any order and either direction.
    fn mixed_radix()(
        sizes in prop::collection::vec((2usize..5, any::<bool>()), 0..5),
        gap in 1i64..3,
    )(order in Just((0..sizes.len()).collect::<Vec<_>>()).prop_shuffle(), sizes in Just(sizes), gap in Just(gap))
    -> (u32, Vec<Digit>) {
        let mut flat = vec![[0; 2]; sizes.len()];
        let (mut stride, mut first) = (gap, 0);
        for &digit in &order {
            let (size, backwards) = sizes[digit];
            flat[digit] = [size as i64, if backwards { -stride } else { stride }];
            first += if backwards { stride * (size as i64 - 1) } else { 0 };
            stride *= size as i64;
        }
        (first as u32, digits_of(&flat.concat()))
    }
}

proptest! {
    #[test]
    fn digits_rebuild_every_mixed_radix_layout((first, digits) in mixed_radix()) {
        let layout = Layout::from_digits(first, &digits, 2048, 1, Gaps::Leftover).unwrap();
        prop_assert_eq!(layout.size(), digits.iter().map(|digit| digit.size).product::<usize>());
        prop_assert_eq!(rebuilt(&layout), Some(layout));
    }

    #[test]
    fn digits_describe_a_layout_or_there_are_none(layout in common::layout(16, 8)) {
        if let Some(rebuilt) = rebuilt(&layout) {
            prop_assert_eq!(rebuilt, layout);
        }
    }

    #[test]
    fn packing_is_undone_by_unpacking(layout in common::layout(16, 40), x in common::numbers(40)) {
        let x = &x[..layout.size()];
        prop_assert_eq!(layout.unpack(&layout.pack(x)), x);
        prop_assert!(layout.fits(16) && layout.extent() <= layout.period * layout.ciphertexts);
    }

    #[test]
    fn any_digits_give_a_layout_or_none(
        first in any::<u32>(),
        flat in prop::collection::vec(prop_oneof![0i64..9, any::<i64>()], 0..8),
        bits in 0u32..12,
    ) {
        if let Some(layout) = Layout::from_digits(first, &digits_of(&flat), 1 << bits, 1, Gaps::Zero) {
            prop_assert!(layout.extent() <= 1 << bits);
        }
    }
}

#[test]
fn an_empty_layout_has_no_digits() {
    for layout in [Layout::new(vec![], 4, 1, Gaps::Zero).unwrap(), Layout::dense(0, 4)] {
        assert_eq!((layout.size(), layout.extent(), layout.digits()), (0, 0, None));
        assert_eq!(layout.unpack(&layout.pack(&[])), [0.0; 0]);
    }
}

#[test]
fn one_element_needs_no_digit() {
    let layout = Layout::new(vec![5], 8, 1, Gaps::Zero).unwrap();
    assert_eq!(layout.digits(), Some(vec![]));
    assert_eq!(rebuilt(&layout), Some(layout));
}

#[test]
fn dense_layouts_grow_into_several_ciphertexts() {
    for (size, max_period, period, ciphertexts) in
        [(1, 8, 1, 1), (5, 8, 8, 1), (8, 8, 8, 1), (9, 8, 8, 2), (17, 8, 8, 3)]
    {
        let layout = Layout::dense(size, max_period);
        assert_eq!((layout.period, layout.ciphertexts, layout.size()), (period, ciphertexts, size));
        assert_eq!(Some(layout), Layout::new((0..size as u32).collect(), period, ciphertexts, Gaps::Zero));
    }
}

#[test]
fn a_view_takes_each_element_once() {
    let layout = Layout::new(vec![6, 4, 2, 0], 8, 1, Gaps::Zero).unwrap();
    let view = layout.view(&[3, 1]).unwrap();
    assert_eq!((view.table(), view.gaps), (&[0, 4][..], Gaps::Leftover));
    assert_eq!(layout.view(&[1, 1]), None);
}

#[test]
fn impossible_layouts_are_none() {
    let table = |period, ciphertexts| Layout::new(vec![0], period, ciphertexts, Gaps::Zero);
    for (period, ciphertexts) in [(0, 1), (3, 1), (4, 0), (1 << 63, 2), (1 << 40, 1), (MAX_SLOTS, 2)] {
        assert_eq!(table(period, ciphertexts), None, "{ciphertexts} times {period}");
    }
    assert!(table(MAX_SLOTS, 1).is_some());
    let digits = |first, flat: &[i64]| Layout::from_digits(first, &digits_of(flat), 8, 1, Gaps::Zero);
    for (first, flat) in [
        (0, &[9, 1][..]),
        (0, &[2, 8]),
        (0, &[2, -1]),
        (8, &[]),
        (0, &[4, 1, 2, 1]),
        (0, &[3, i64::MAX]),
        (u32::MAX, &[2, i64::MAX]),
        (0, &[1 << 40, 1, 1 << 40, 1]),
    ] {
        assert_eq!(digits(first, flat), None, "from {first}: {flat:?}");
    }
    let empty_digit = [Digit { divisor: 1, size: 0, stride: 1 }];
    assert_eq!(Layout::from_digits(0, &empty_digit, 8, 1, Gaps::Zero), None);
    let no_divisor = [Digit { divisor: 0, size: 2, stride: 1 }];
    assert_eq!(Layout::from_digits(0, &no_divisor, 8, 1, Gaps::Zero), None);
}

#[test]
fn several_ciphertexts_need_the_full_period() {
    let layout = |period, ciphertexts| Layout::new(vec![0], period, ciphertexts, Gaps::Zero).unwrap();
    assert!(layout(8, 1).fits(8) && layout(8, 1).fits(16) && layout(8, 3).fits(8));
    assert!(!layout(8, 1).fits(4) && !layout(8, 2).fits(16));
    let mut changed = layout(8, 2);
    changed.period = 0;
    assert!(!changed.fits(8));
}
