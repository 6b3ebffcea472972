//! The best term of every class by its own graph, to a fixed point.
//!
//! Classes are visited in the order of their least depths, so that a class is rarely visited again: only forms without
//! a level of their own can improve what was seen before.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};

use super::{ClassIndex, Cost, Form, Forms};
use crate::optimize::language::Term;

/// The best form of a class so far.
struct Best {
    cost: Cost,
    /// Number of the form in its class.
    form: usize,
    /// Weight of the form itself.
    weight: u64,
    /// The classes of the form's own graph, ascending, its own among them. A linear map ends it: what lies beyond is
    /// needed whatever is chosen here.
    needed: Vec<ClassIndex>,
    is_linear: bool,
}

/// The number of the best form of every class; `None` for classes without one that is free of cycles.
pub(super) fn best_forms(forms: &Forms) -> Vec<Option<usize>> {
    let mut search = Search { forms, best: (0..forms.len()).map(|_| None).collect() };
    let order = by_least_depth(forms);
    let mut ranks = vec![None; forms.len()];
    order.iter().enumerate().for_each(|(rank, &class)| ranks[class] = Some(rank));
    let mut pending: BTreeSet<usize> = (0..order.len()).collect();
    while let Some(rank) = pending.pop_first() {
        let class = order[rank];
        if search.update(class) {
            pending.extend(forms.readers[class].iter().filter_map(|&reader| ranks[reader]));
        }
    }
    search.best.into_iter().map(|best| best.map(|best| best.form)).collect()
}

/// Classes in the order of their least depths, operands of the shallowest form first (Knuth, A generalization of
/// Dijkstra's algorithm, 1977). A class without a form free of cycles is not among them.
fn by_least_depth(forms: &Forms) -> Vec<ClassIndex> {
    let distinct = |form: &Form| form.operands.iter().copied().collect::<BTreeSet<ClassIndex>>();
    let mut missing: Vec<Vec<usize>> =
        forms.of_class.iter().map(|list| list.iter().map(|form| distinct(form).len()).collect()).collect();
    let (mut order, mut depths) = (Vec::with_capacity(forms.len()), vec![None; forms.len()]);
    let leaves = (0..forms.len()).filter(|&class| missing[class].contains(&0));
    let mut heap: BinaryHeap<Reverse<(u32, ClassIndex)>> = leaves.map(|class| Reverse((0, class))).collect();
    while let Some(Reverse((depth, class))) = heap.pop() {
        if depths[class].is_some() {
            continue;
        }
        depths[class] = Some(depth);
        order.push(class);
        for &reader in &forms.readers[class] {
            for (form, missing) in forms.of_class[reader].iter().zip(&mut missing[reader]) {
                if form.operands.contains(&class) {
                    *missing -= 1;
                    if *missing == 0 {
                        // The last operand to come is a deepest one.
                        heap.push(Reverse((form.depth_above(depth), reader)));
                    }
                }
            }
        }
    }
    order
}

struct Search<'f, 'g> {
    forms: &'f Forms<'g>,
    best: Vec<Option<Best>>,
}

impl Search<'_, '_> {
    /// Looks for a better form of a class; whether there is one.
    fn update(&mut self, class: ClassIndex) -> bool {
        let mut cheapest: Option<(Cost, usize)> = None;
        for (number, form) in self.forms.of_class[class].iter().enumerate() {
            let Some(depth) = self.depth(class, form) else { continue };
            let bound = cheapest.map_or(self.best[class].as_ref().map(|best| best.cost), |(cost, _)| Some(cost));
            if bound.is_some_and(|bound| depth > bound.depth) {
                continue;
            }
            let cost = Cost { depth, weight: form.weight + self.weight_below(form) };
            if bound.is_none_or(|bound| cost < bound) {
                cheapest = Some((cost, number));
            }
        }
        let Some((cost, number)) = cheapest else { return false };
        let form = &self.forms.of_class[class][number];
        let needed = self.needed(class, form);
        let is_linear = matches!(form.term, Term::Linear(_));
        self.best[class] = Some(Best { cost, form: number, weight: form.weight, needed, is_linear });
        true
    }

    /// Depth of a form; `None` if an operand has no form yet or needs the class itself.
    fn depth(&self, class: ClassIndex, form: &Form) -> Option<u32> {
        let mut depth = 0;
        for &operand in &form.operands {
            let operand = self.best[operand].as_ref()?;
            if operand.needed.binary_search(&class).is_ok() {
                return None;
            }
            depth = depth.max(operand.cost.depth);
        }
        Some(form.depth_above(depth))
    }

    /// What an operand brings to the graph of its reader.
    fn view<'a>(&'a self, operand: &'a ClassIndex) -> &'a [ClassIndex] {
        match &self.best[*operand] {
            Some(best) if !best.is_linear => &best.needed,
            _ => std::slice::from_ref(operand),
        }
    }

    fn weight_of(&self, class: ClassIndex) -> u64 {
        self.best[class].as_ref().map_or(0, |best| best.weight)
    }

    /// Weight of all that the operands bring, counted once.
    fn weight_below(&self, form: &Form) -> u64 {
        let mut sum = 0;
        let mut add = |class| sum += self.weight_of(class);
        match &form.operands[..] {
            [] => {}
            [one] => self.view(one).iter().for_each(|class| add(*class)),
            [a, b] => merge(self.view(a), self.view(b), add),
            _ => self.union_of_operands(form).into_iter().for_each(add),
        }
        sum
    }

    fn union_of_operands(&self, form: &Form) -> Vec<ClassIndex> {
        form.operands.iter().fold(Vec::new(), |union, operand| {
            let mut larger = Vec::with_capacity(union.len() + 8);
            merge(&union, self.view(operand), |class| larger.push(class));
            larger
        })
    }

    fn needed(&self, class: ClassIndex, form: &Form) -> Vec<ClassIndex> {
        let mut needed = self.union_of_operands(form);
        let place = needed.partition_point(|other| *other < class);
        needed.insert(place, class);
        needed
    }
}

/// Visits the union of two ascending lists, ascending.
fn merge(a: &[ClassIndex], b: &[ClassIndex], mut visit: impl FnMut(ClassIndex)) {
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let order = a[i].cmp(&b[j]);
        visit(if order == Ordering::Greater { b[j] } else { a[i] });
        i += usize::from(order != Ordering::Greater);
        j += usize::from(order != Ordering::Less);
    }
    a[i..].iter().chain(&b[j..]).for_each(|class| visit(*class));
}
