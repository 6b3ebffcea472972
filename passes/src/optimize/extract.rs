//! Extraction: one term a class, least depth first, then least cost with shared terms counted once.
//!
//! A bottom-up pass gives every class its shallowest term, among those the one whose own term graph is cheapest. Then
//! single classes switch to another term while that makes the whole graph better (`switch.rs`): it finds what the
//! bottom-up pass cannot see, that two readers should agree on one form of a value.

mod bottom_up;
mod switch;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use egg::{Id, Language};

use super::language::{Graph, Term};
use switch::FormSelection;

/// Depth in levels, then cost: what extraction minimizes, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// Levels from the inputs to the deepest output.
    depth: u32,
    /// Sum of [`weight`] over distinct terms.
    weight: u64,
}

/// Relative cost of executing a term once: a ciphertext product with relinearization is 100.
fn weight(term: &Term, is_by_element: impl Fn(&Id) -> bool) -> u64 {
    match term {
        Term::Linear(_) => 500,
        Term::Mul(_) => 100,
        Term::View(_) => 50,
        Term::Scale([constant, _]) if is_by_element(constant) => 25,
        Term::Offset([constant, _]) if is_by_element(constant) => 15,
        Term::Scale(_) => 12,
        Term::Add(_) | Term::Sub(_) | Term::Offset(_) => 1,
        _ => 0,
    }
}

/// Levels a term consumes itself.
fn levels(term: &Term) -> u32 {
    u32::from(matches!(term, Term::Linear(_) | Term::Scale(_) | Term::Mul(_)))
}

/// The least depth of a term: an offset by element is a sum with a map of zeros and its bias, which takes a level of an
/// input.
fn least_depth(term: &Term, is_by_element: impl Fn(&Id) -> bool) -> u32 {
    u32::from(matches!(term, Term::Offset([constant, _]) if is_by_element(constant)))
}

/// The constants and maps of a term, and its operands. Arithmetic on constants is folded and never extracted.
fn parts(term: &Term) -> Option<(&[Id], &[Id])> {
    match term {
        Term::Times(_) | Term::Over(_) | Term::Plus(_) | Term::Apply(_) => None,
        Term::Linear(children) => Some(children.split_at(4)),
        Term::View(children) | Term::Scale(children) | Term::Offset(children) => Some(children.split_at(1)),
        _ => Some((&[], term.children())),
    }
}

/// A class by its place in the order of ids.
type ClassIndex = usize;

/// A term with what extraction asks of it.
struct Form<'g> {
    term: &'g Term,
    operands: Vec<ClassIndex>,
    levels: u32,
    least_depth: u32,
    weight: u64,
}

/// The terms of every class that carry a value, and who reads it.
struct Forms<'g> {
    /// Ids of classes, ascending.
    ids: Vec<Id>,
    of_class: Vec<Vec<Form<'g>>>,
    readers: Vec<Vec<ClassIndex>>,
}

impl<'g> Forms<'g> {
    fn new(egraph: &'g Graph) -> Self {
        let mut ids: Vec<Id> = egraph.classes().map(|class| class.id).collect();
        ids.sort_unstable();
        let mut readers = vec![Vec::new(); ids.len()];
        let index = |id: Id| ids.binary_search(&egraph.find(id)).expect("operands are classes of the graph");
        let of_class: Vec<Vec<Form>> = ids
            .iter()
            .map(|id| egraph[*id].nodes.iter().filter_map(|term| Form::new(egraph, term, index)).collect())
            .collect();
        for (class, forms) in of_class.iter().enumerate() {
            forms.iter().flat_map(|form| &form.operands).for_each(|&operand| readers[operand].push(class));
        }
        readers.iter_mut().for_each(|list: &mut Vec<ClassIndex>| list.dedup());
        Forms { ids, of_class, readers }
    }

    fn len(&self) -> usize {
        self.ids.len()
    }
}

impl<'g> Form<'g> {
    /// `None` for arithmetic on constants, and for a term with a constant that is not finite.
    fn new(egraph: &Graph, term: &'g Term, index: impl Fn(Id) -> ClassIndex) -> Option<Self> {
        let (parameters, operands) = parts(term)?;
        let is_known = |id: &Id| egraph[*id].nodes.iter().any(|term| parts(term).is_some());
        let operands = operands.iter().map(|child| index(*child)).collect();
        let is_by_element = |constant: &Id| egraph[*constant].data.is_by_element();
        let (least_depth, weight) = (least_depth(term, is_by_element), weight(term, is_by_element));
        let form = Form { term, operands, levels: levels(term), least_depth, weight };
        parameters.iter().all(is_known).then_some(form)
    }

    /// The depth of the form if its deepest operand has this one.
    fn depth_above(&self, operands: u32) -> u32 {
        operands.max(self.least_depth) + self.levels
    }
}

/// The chosen term of every class.
pub(super) struct Extraction<'g> {
    egraph: &'g Graph,
    choices: BTreeMap<Id, &'g Term>,
    order: Vec<Id>,
}

impl<'g> Extraction<'g> {
    /// Chooses terms for `root` and all it needs; `None` if no choice is free of cycles.
    pub(super) fn new(egraph: &'g Graph, root: Id) -> Option<Self> {
        let forms = Forms::new(egraph);
        let root = forms.ids.binary_search(&egraph.find(root)).ok()?;
        let mut selection = FormSelection::new(&forms, bottom_up::best_forms(&forms), root)?.improved();
        let order = selection.order().into_iter().map(|class| forms.ids[class]).collect();
        let chosen = (0..forms.len()).filter_map(|class| Some((forms.ids[class], selection.term(class)?)));
        Some(Extraction { egraph, choices: chosen.collect(), order })
    }

    /// The term of a class.
    pub(super) fn term(&self, id: Id) -> &Term {
        self.choices[&self.egraph.find(id)]
    }

    /// Classes that the root needs, operands first.
    pub(super) fn order(&self) -> &[Id] {
        &self.order
    }
}
