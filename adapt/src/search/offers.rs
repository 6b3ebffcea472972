//! What each node may have, and how much the network loses by it.
//!
//! One node at a time gets a PAF while all others stay exact, and the steps correct everything after it: what is left of
//! its effect at the network's results is the loss. Of the PAFs of one depth only the one that fits the node best after
//! its coefficients were tuned is offered.

use std::collections::BTreeMap;

use paf_ir::tensor::{Node, Op};
use paf_passes::approximate::levels_with;
use paf_passes::paf::Paf;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::judge::divergence;
use super::notes::Notes;
use super::walker::usable;
use crate::error::RecoveryError;
use crate::steps::{Tuned, Walk};

/// One PAF that a node may have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Index of the PAF.
    pub(super) paf: usize,
    /// Levels of one comparison.
    pub(super) depth: usize,
    /// Levels of the node.
    pub(super) levels: u32,
    /// What the network loses by it, as divergence of its results.
    pub(super) loss: f64,
}

/// The offers of one ReLU or MaxPool, of ascending depth; none if no PAF can be used there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Menu {
    /// The ONNX node.
    pub(super) node: String,
    pub(super) offers: Vec<Offer>,
}

/// Measures what each node may have, or takes it from the notes; `allowed` gives indices of PAFs by the node's name.
pub(super) fn menus(
    start: &Walk<'_>,
    pafs: &[Paf],
    allowed: impl Fn(&str) -> Vec<usize>,
    notes: &mut Notes,
    mut part_done: impl FnMut() -> Result<(), RecoveryError>,
) -> Result<Vec<Menu>, RecoveryError> {
    let exact = {
        let mut walk = start.clone();
        walk.pass_all()?;
        walk.results()
    };
    let (mut walk, mut menus) = (start.clone(), Vec::new());
    while let Some((_, node)) = walk.advance()? {
        let menu = match notes.menu(menus.len()) {
            Some(known) => known.clone(),
            None => {
                let measured = menu(&walk, node, pafs, &allowed(&node.name), &exact)?;
                notes.add_menu(measured.clone())?;
                measured
            }
        };
        menus.push(menu);
        walk.pass()?;
        part_done()?;
    }
    Ok(menus)
}

fn menu(
    walk: &Walk<'_>,
    node: &Node,
    pafs: &[Paf],
    allowed: &[usize],
    exact: &[Vec<f64>],
) -> Result<Menu, RecoveryError> {
    let mut offers = Vec::new();
    for (paf, tuned) in best_of_each_depth(walk, pafs, allowed)? {
        offers.extend(offer(walk, &node.op, (paf, &pafs[paf]), tuned, exact)?);
    }
    Ok(Menu { node: node.name.clone(), offers })
}

/// The PAF of least error of each depth, by depth, as the steps tune it for the node that waits.
fn best_of_each_depth(
    walk: &Walk<'_>,
    pafs: &[Paf],
    allowed: &[usize],
) -> Result<impl Iterator<Item = (usize, Tuned)> + use<>, RecoveryError> {
    let tuned = allowed.par_iter().map(|&paf| Ok((paf, usable(walk.tuned(pafs[paf].clone()))?)));
    let mut best: BTreeMap<usize, (usize, Tuned)> = BTreeMap::new();
    for (paf, tuned) in tuned.collect::<Result<Vec<_>, RecoveryError>>()? {
        let Some(tuned) = tuned else { continue };
        let depth = pafs[paf].depth();
        if best.get(&depth).is_none_or(|(_, other)| tuned.report.error.1 < other.report.error.1) {
            best.insert(depth, (paf, tuned));
        }
    }
    Ok(best.into_values())
}

/// What the network loses if the node that waits has this PAF and all others are exact.
fn offer(
    walk: &Walk<'_>,
    op: &Op,
    (index, paf): (usize, &Paf),
    tuned: Tuned,
    exact: &[Vec<f64>],
) -> Result<Option<Offer>, RecoveryError> {
    let mut alone = walk.clone();
    let results = alone.place(tuned).and_then(|()| alone.pass_all()).map(|()| alone.results());
    Ok(usable(results)?.map(|results| Offer {
        paf: index,
        depth: paf.depth(),
        levels: levels_with(op, paf, walk.reduction()),
        loss: divergence(exact, &results),
    }))
}
