//! Where the elements of a tensor lie in slots.
//!
//! A tensor occupies `ciphertexts` slot vectors of `period` slots each; the vectors of the encryption scheme are
//! longer or equal and repeat the content with that period. Element `e` (row-major) lies at global slot
//! `slots[e] = ciphertext · period + slot`. Slots without an element hold zero or a bounded leftover
//! ([`Gaps`]); no operation may depend on them.
//!
//! The multiplexed layouts of Lee et al. (Low-complexity deep convolutional neural networks on fully homomorphic
//! encryption using multiplexed parallel convolutions, ICML 2022) are one special case: a plane of `g·h × g·w` slots holds
//! `g²` channels.

use std::sync::Arc;

/// What slots without an element hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// Zero, up to noise.
    Zero,
    /// Leftovers of the same magnitude as the elements.
    Leftover,
}

/// Most slots of a layout over all its ciphertexts; what a text or file says beyond it is not allocated.
pub const MAX_SLOTS: usize = 1 << 24;

/// Element-to-slot map of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    slots: Arc<[u32]>,
    /// Slots after which the content repeats; a power of two.
    pub period: usize,
    /// Number of ciphertexts; more than one only where the period is the full slot count.
    pub ciphertexts: usize,
    /// What the other slots hold.
    pub gaps: Gaps,
}

/// One digit of a mixed-radix layout: `(element / divisor) mod size` moves the slot by `stride`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digit {
    /// Elements that share a digit value consecutively.
    pub divisor: usize,
    /// Number of digit values.
    pub size: usize,
    /// Slots between consecutive digit values.
    pub stride: i64,
}

impl Layout {
    /// A layout from an explicit table. `None` if two elements share a slot, one lies outside, the period is no power
    /// of two, or there are more than [`MAX_SLOTS`] slots.
    pub fn new(slots: Vec<u32>, period: usize, ciphertexts: usize, gaps: Gaps) -> Option<Self> {
        let mut taken = vec![false; slot_count(period, ciphertexts)?];
        for &slot in &slots {
            let place = taken.get_mut(slot as usize)?;
            if std::mem::replace(place, true) {
                return None;
            }
        }
        Some(Layout { slots: slots.into(), period, ciphertexts, gaps })
    }

    /// `size` elements one after another, in vectors of at most `max_period` slots, a power of two.
    pub fn dense(size: usize, max_period: usize) -> Self {
        let period = size.next_power_of_two().min(max_period);
        let slots: Vec<u32> = (0..size as u32).collect();
        Layout { slots: slots.into(), period, ciphertexts: size.div_ceil(period).max(1), gaps: Gaps::Zero }
    }

    /// Number of elements.
    pub fn size(&self) -> usize {
        self.slots.len()
    }

    /// Global slot of an element.
    pub fn slot(&self, element: usize) -> usize {
        self.slots[element] as usize
    }

    /// The table, element by element.
    pub fn table(&self) -> &[u32] {
        &self.slots
    }

    /// One more than the highest slot in use.
    pub fn extent(&self) -> usize {
        self.slots.iter().max().map_or(0, |&slot| slot as usize + 1)
    }

    /// The layout of a view: output element `i` stays where input element `view[i]` is.
    /// `None` if an input element is taken twice.
    pub fn view(&self, view: &[u32]) -> Option<Self> {
        let slots = view.iter().map(|&element| self.slots[element as usize]).collect();
        Layout::new(slots, self.period, self.ciphertexts, Gaps::Leftover)
    }

    /// Puts elements into slot vectors, gaps zero: `ciphertexts` vectors of `period` values.
    pub fn pack(&self, elements: &[f64]) -> Vec<Vec<f64>> {
        let mut vectors = vec![vec![0.0; self.period]; self.ciphertexts];
        for (&slot, &value) in self.slots.iter().zip(elements) {
            vectors[slot as usize / self.period][slot as usize % self.period] = value;
        }
        vectors
    }

    /// Reads the elements back from slot vectors of at least `period` values.
    pub fn unpack(&self, vectors: &[Vec<f64>]) -> Vec<f64> {
        let read = |&slot: &u32| vectors[slot as usize / self.period][slot as usize % self.period];
        self.slots.iter().map(read).collect()
    }

    /// Whether the layout's vectors can be ciphertexts of that many slots: the slots are a multiple of the period, and
    /// equal to it where there are several ciphertexts.
    pub fn fits(&self, slots: usize) -> bool {
        let places = slot_count(self.period, self.ciphertexts);
        places.is_some_and(|places| self.extent() <= places)
            && slots.is_multiple_of(self.period)
            && (self.ciphertexts == 1 || self.period == slots)
    }

    /// The layout as mixed-radix digits, innermost first, if it is one. Slot = first slot + Σ digit · stride.
    pub fn digits(&self) -> Option<Vec<Digit>> {
        let (mut digits, mut divisor) = (Vec::new(), 1);
        while divisor < self.size() {
            let heads = Heads { slots: &self.slots, divisor };
            let size = heads.regular_run()?;
            digits.push(Digit { divisor, size, stride: heads.step(1) });
            divisor *= size;
        }
        (divisor == self.size()).then_some(digits)
    }

    /// Rebuilds a layout from its digits. `None` where [`Layout::new`] gives none or a digit is empty.
    pub fn from_digits(first: u32, digits: &[Digit], period: usize, ciphertexts: usize, gaps: Gaps) -> Option<Self> {
        let size = digits.iter().try_fold(1usize, |size, digit| size.checked_mul(digit.size))?;
        if size > slot_count(period, ciphertexts)? || digits.iter().any(|digit| digit.divisor == 0 || digit.size == 0) {
            return None;
        }
        let slot_of = |element: usize| {
            let slot = digits.iter().try_fold(i64::from(first), |slot, digit| {
                let value = element / digit.divisor % digit.size;
                slot.checked_add(digit.stride.checked_mul(value as i64)?)
            });
            u32::try_from(slot?).ok()
        };
        Layout::new((0..size).map(slot_of).collect::<Option<_>>()?, period, ciphertexts, gaps)
    }
}

/// Slots of a layout over all its ciphertexts, if they are possible ones.
fn slot_count(period: usize, ciphertexts: usize) -> Option<usize> {
    let slots = period.checked_mul(ciphertexts)?;
    (period.is_power_of_two() && (1..=MAX_SLOTS).contains(&slots)).then_some(slots)
}

/// The slot of every element whose number is a multiple of a divisor of their number; at least two of them.
struct Heads<'l> {
    slots: &'l [u32],
    divisor: usize,
}

impl Heads<'_> {
    fn len(&self) -> usize {
        self.slots.len() / self.divisor
    }

    /// Slots from the head before to this one.
    fn step(&self, index: usize) -> i64 {
        let slot = |index: usize| i64::from(self.slots[index * self.divisor]);
        slot(index) - slot(index - 1)
    }

    /// Length of the longest arithmetic run that tiles the whole list in blocks of the same stride.
    fn regular_run(&self) -> Option<usize> {
        let (stride, count) = (self.step(1), self.len());
        let longest = (1..count).take_while(|&index| self.step(index) == stride).count() + 1;
        (2..=longest).rev().find(|&size| {
            let in_block = |index: &usize| !index.is_multiple_of(size);
            count.is_multiple_of(size) && (1..count).filter(in_block).all(|index| self.step(index) == stride)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_rebuild_the_table() {
        let multiplexed: Vec<u32> = (0..4 * 6 * 6)
            .map(|e| {
                let (c, y, x) = (e / 36, e / 6 % 6, e % 6);
                (2 * y + c / 2) * 12 + 2 * x + c % 2
            })
            .collect();
        let layout = Layout::new(multiplexed, 256, 1, Gaps::Zero).unwrap();
        let digits = layout.digits().unwrap();
        assert_eq!(Layout::from_digits(0, &digits, 256, 1, Gaps::Zero).unwrap(), layout);
    }

    #[test]
    fn two_elements_in_one_slot_are_refused() {
        assert!(Layout::new(vec![0, 1, 1], 4, 1, Gaps::Zero).is_none());
        assert!(Layout::new(vec![0, 4], 4, 1, Gaps::Zero).is_none());
    }

    #[test]
    fn pack_and_unpack_are_inverse() {
        let layout = Layout::new(vec![3, 0, 6], 4, 2, Gaps::Zero).unwrap();
        assert_eq!(layout.unpack(&layout.pack(&[1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]);
    }
}
