//! The rounds of a pool on tensors of any kind: values, nodes of a graph that is built, tensors on a tape.

use std::collections::BTreeMap;

use paf_ir::linear::LinearMap;

use super::pool::Round;

/// What one kind of tensor does in the rounds of a pool, whose selections are made ready as `M`.
pub trait Comparing<M = LinearMap> {
    /// A tensor.
    type Tensor: Clone;
    /// What can go wrong.
    type Error;

    /// Some of the elements of a tensor.
    ///
    /// # Errors
    /// What goes wrong.
    fn select(&mut self, selection: &M, x: &Self::Tensor) -> Result<Self::Tensor, Self::Error>;

    /// The maximum of two tensors, element by element.
    ///
    /// # Errors
    /// What goes wrong.
    fn max(&mut self, a: Self::Tensor, b: Self::Tensor) -> Result<Self::Tensor, Self::Error>;

    /// The maximum of a tensor and zero, element by element.
    ///
    /// # Errors
    /// What goes wrong.
    fn rectified(&mut self, x: Self::Tensor) -> Result<Self::Tensor, Self::Error>;
}

/// Runs all rounds on a tensor. Of the earlier tensors only those that are read again are kept.
///
/// # Errors
/// What goes wrong on the way.
pub fn reduced<M, C: Comparing<M>>(
    comparing: &mut C,
    rounds: &[Round<M>],
    x: C::Tensor,
) -> Result<C::Tensor, C::Error> {
    let (mut kept, mut x) = (BTreeMap::new(), x);
    for (index, round) in rounds.iter().enumerate() {
        if rounds[index..].iter().any(|later| later.earlier() == Some(index)) {
            kept.insert(index, x.clone());
        }
        let earlier = round.earlier().and_then(|earlier| kept.remove(&earlier));
        x = one_round(comparing, round, &x, earlier.as_ref().unwrap_or(&x))?;
    }
    Ok(x)
}

fn one_round<M, C: Comparing<M>>(
    comparing: &mut C,
    round: &Round<M>,
    x: &C::Tensor,
    earlier: &C::Tensor,
) -> Result<C::Tensor, C::Error> {
    match round {
        Round::Select(selection) => comparing.select(selection, x),
        Round::Max(first, second) => {
            let (first, second) = (comparing.select(first, x)?, comparing.select(second, x)?);
            comparing.max(first, second)
        }
        Round::MaxWithEarlier { first, rest, .. } => {
            let (first, rest) = (comparing.select(first, x)?, comparing.select(rest, earlier)?);
            comparing.max(first, rest)
        }
        Round::MaxWithZero { first, rest, .. } => {
            let (first, rest) = (comparing.select(first, x)?, comparing.select(rest, earlier)?);
            let rest = comparing.rectified(rest)?;
            comparing.max(first, rest)
        }
        Round::Tree(taps) => {
            let taps = taps.iter().map(|tap| comparing.select(tap, x).map(Some)).collect::<Result<_, _>>()?;
            maximum_of_all(comparing, taps)
        }
        Round::TreeWithZero(taps) => {
            let taps = taps.iter().map(|tap| comparing.select(tap, x).map(Some));
            let taps = std::iter::once(Ok(None)).chain(taps).collect::<Result<_, _>>()?;
            maximum_of_all(comparing, taps)
        }
    }
}

/// Halves, then the maximum of both, as SmartPAF reduces a window. `None` stands for zero, once and never alone.
fn maximum_of_all<M, C: Comparing<M>>(
    comparing: &mut C,
    mut taps: Vec<Option<C::Tensor>>,
) -> Result<C::Tensor, C::Error> {
    if taps.len() > 1 {
        let second = taps.split_off(taps.len() / 2);
        if let [None] = taps[..] {
            let second = maximum_of_all(comparing, second)?;
            return comparing.rectified(second);
        }
        let (first, second) = (maximum_of_all(comparing, taps)?, maximum_of_all(comparing, second)?);
        return comparing.max(first, second);
    }
    Ok(taps.pop().flatten().expect("a window has elements beside zero"))
}
