//! Classes switch to another form while that makes the whole graph better: single ones, and all those at once that could
//! read one value which none of them reads.
//!
//! A switch is priced by what it changes: forms that come into use or fall out of it, counted by their readers, and
//! the depths above. Whole graphs are never gone through again.

use std::collections::BTreeSet;

use super::{ClassIndex, Cost, Form, Forms};
use crate::optimize::language::Term;

/// Rounds of single switches; each looks at every class in use.
const SWITCH_ROUNDS: usize = 4;

/// How far a walk down from a class has come.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Unseen,
    Entered,
    Done,
}

/// One form a class, and the graph that the root needs of them. That graph is free of cycles.
#[derive(Clone)]
pub(super) struct FormSelection<'f, 'g> {
    forms: &'f Forms<'g>,
    choices: Vec<Option<usize>>,
    root: ClassIndex,
    /// How many operands in use name the class; the root has one more.
    uses: Vec<u32>,
    /// Depth of classes in use.
    depths: Vec<u32>,
    weight: u64,
    /// All unseen between walks.
    marks: Vec<Mark>,
}

impl<'f, 'g> FormSelection<'f, 'g> {
    /// The graph of a choice for every class; `None` if it is cyclic or a form is missing.
    pub(super) fn new(forms: &'f Forms<'g>, choices: Vec<Option<usize>>, root: ClassIndex) -> Option<Self> {
        choices[root]?;
        let count = forms.len();
        let (uses, depths, marks) = (vec![0; count], vec![0; count], vec![Mark::Unseen; count]);
        let mut selection = FormSelection { forms, choices, root, uses, depths, weight: 0, marks };
        let entering = selection.unused_below(&[root], 0)?;
        selection.enter(&entering);
        selection.uses[root] += 1;
        Some(selection)
    }

    /// The chosen term of a class.
    pub(super) fn term(&self, class: ClassIndex) -> Option<&'g Term> {
        self.choices[class].map(|number| self.forms.of_class[class][number].term)
    }

    /// Classes in use, operands first.
    pub(super) fn order(&mut self) -> Vec<ClassIndex> {
        let is_entered = |_: &Self, _| true;
        self.walk(&[self.root], is_entered).expect("the graph in use is free of cycles")
    }

    /// The better of what switching finds from the operands and from the root. From the operands, readers agree on forms that
    /// are there; from the root, what has a level to spare takes the cheap form that costs it before readers do without that.
    pub(super) fn improved(self) -> Self {
        let (mut upwards, mut downwards) = (self.clone(), self);
        upwards.improve(|order| order);
        downwards.improve(|mut order| {
            order.reverse();
            order
        });
        if downwards.cost() < upwards.cost() { downwards } else { upwards }
    }

    /// Switches in an order until nothing gets better, or for [`SWITCH_ROUNDS`].
    fn improve(&mut self, ordered: impl Fn(Vec<ClassIndex>) -> Vec<ClassIndex>) {
        for _ in 0..SWITCH_ROUNDS {
            let before = self.cost();
            for class in ordered(self.order()) {
                for number in 0..self.forms.of_class[class].len() {
                    self.try_form(class, number);
                }
            }
            for operand in 0..self.forms.len() {
                self.try_readers(operand);
            }
            if self.cost() == before {
                return;
            }
        }
    }

    fn cost(&self) -> Cost {
        Cost { depth: self.depths[self.root], weight: self.weight }
    }

    fn form(&self, class: ClassIndex) -> &'f Form<'g> {
        &self.forms.of_class[class][self.choices[class].expect("classes in use have a form")]
    }

    /// Switches a class to a form if that lowers the cost.
    fn try_form(&mut self, class: ClassIndex, number: usize) {
        let Some((previous, entering)) = self.entering(class, number) else { return };
        let before = self.cost();
        let leaving = self.exchange(class, number, &entering);
        let may_help = self.weight < before.weight || self.depth_of(class) < self.depths[class];
        if may_help {
            self.update_depths(class);
        }
        if !may_help || self.cost() >= before {
            self.exchange(class, previous, &leaving);
            self.update_depths(class);
        }
    }

    /// Switches all classes to a value not in use that have a form which reads it alone, if that lowers the cost: where each of
    /// them computes the value anew, the first one that reads it gains nothing yet.
    fn try_readers(&mut self, operand: ClassIndex) {
        if self.uses[operand] > 0 || self.choices[operand].is_none_or(|_| self.form(operand).levels == 0) {
            return;
        }
        let (forms, readers) = (self.forms, &self.forms.readers[operand]);
        let reads_alone = |class: ClassIndex| {
            let reading = forms.of_class[class].iter().position(|form| form.operands == [operand])?;
            (self.uses[class] > 0).then_some((class, reading))
        };
        let switches: Vec<(ClassIndex, usize)> = readers.iter().filter_map(|&class| reads_alone(class)).collect();
        if switches.len() < 2 {
            return;
        }
        let before = self.cost();
        let mut taken = vec![];
        for (class, number) in switches {
            let Some((previous, entering)) = self.entering(class, number) else { continue };
            let leaving = self.exchange(class, number, &entering);
            self.update_depths(class);
            taken.push((class, previous, leaving));
        }
        if self.cost() >= before {
            for (class, previous, leaving) in taken.into_iter().rev() {
                self.exchange(class, previous, &leaving);
                self.update_depths(class);
            }
        }
    }

    /// The form that a class in use has, and what comes into use if it switches to another one; `None` if it cannot.
    fn entering(&mut self, class: ClassIndex, number: usize) -> Option<(usize, Vec<ClassIndex>)> {
        let previous = self.choices[class].filter(|previous| *previous != number && self.uses[class] > 0)?;
        let form = &self.forms.of_class[class][number];
        let has_forms = form.operands.iter().all(|&operand| self.choices[operand].is_some());
        if !has_forms {
            return None;
        }
        self.marks[class] = Mark::Entered;
        let entering = self.unused_below(&form.operands, self.depths[class]);
        self.marks[class] = Mark::Unseen;
        Some((previous, entering?))
    }

    /// Classes not in use that `starts` need, operands first; `None` if one needs itself or a class that is marked as
    /// entered. Classes in use are looked through down to `depth`: what is less deep cannot need a class of that depth.
    fn unused_below(&mut self, starts: &[ClassIndex], depth: u32) -> Option<Vec<ClassIndex>> {
        let mut found = self.walk(starts, |this, class| this.uses[class] == 0 || this.depths[class] >= depth)?;
        found.retain(|class| self.uses[*class] == 0);
        Some(found)
    }

    /// Classes below `starts`, operands first, entering those that `enters` says; `None` for a cycle.
    fn walk(&mut self, starts: &[ClassIndex], enters: impl Fn(&Self, ClassIndex) -> bool) -> Option<Vec<ClassIndex>> {
        let mut done = Vec::new();
        let mut entered = Vec::new();
        let mut is_cyclic = false;
        let mut stack: Vec<(ClassIndex, bool)> = starts.iter().rev().map(|start| (*start, false)).collect();
        while let Some((class, operands_done)) = stack.pop() {
            if operands_done {
                self.marks[class] = Mark::Done;
                done.push(class);
                continue;
            }
            match self.marks[class] {
                Mark::Done => continue,
                Mark::Entered => {
                    is_cyclic = true;
                    break;
                }
                Mark::Unseen => {}
            }
            if !enters(self, class) {
                continue;
            }
            self.marks[class] = Mark::Entered;
            entered.push(class);
            stack.push((class, true));
            stack.extend(self.form(class).operands.iter().rev().map(|operand| (*operand, false)));
        }
        entered.into_iter().for_each(|class| self.marks[class] = Mark::Unseen);
        (!is_cyclic).then_some(done)
    }

    /// Takes classes into use, operands first.
    fn enter(&mut self, entering: &[ClassIndex]) {
        for &class in entering {
            let form = self.form(class);
            self.weight += form.weight;
            self.depths[class] = self.depth_of(class);
            form.operands.iter().for_each(|&operand| self.uses[operand] += 1);
        }
    }

    /// Gives a class another form, for which `entering` come into use. Returns what falls out of use, operands first.
    fn exchange(&mut self, class: ClassIndex, number: usize, entering: &[ClassIndex]) -> Vec<ClassIndex> {
        self.enter(entering);
        let old = self.form(class);
        self.choices[class] = Some(number);
        let new = self.form(class);
        self.weight = self.weight + new.weight - old.weight;
        new.operands.iter().for_each(|&operand| self.uses[operand] += 1);
        let mut leaving = Vec::new();
        self.release(old, &mut leaving);
        let mut next = 0;
        while let Some(&class) = leaving.get(next) {
            self.weight -= self.form(class).weight;
            self.release(self.form(class), &mut leaving);
            next += 1;
        }
        leaving.reverse();
        leaving
    }

    fn release(&mut self, form: &Form, leaving: &mut Vec<ClassIndex>) {
        for &operand in &form.operands {
            self.uses[operand] -= 1;
            if self.uses[operand] == 0 {
                leaving.push(operand);
            }
        }
    }

    fn depth_of(&self, class: ClassIndex) -> u32 {
        let form = self.form(class);
        form.depth_above(form.operands.iter().map(|&operand| self.depths[operand]).max().unwrap_or(0))
    }

    /// Brings the depths of a class and of all that need it up to date, the least deep first.
    fn update_depths(&mut self, class: ClassIndex) {
        let mut pending = BTreeSet::from([(self.depths[class], class)]);
        while let Some((_, class)) = pending.pop_first() {
            let depth = self.depth_of(class);
            if depth == self.depths[class] {
                continue;
            }
            self.depths[class] = depth;
            let readers = self.forms.readers[class].iter().copied();
            let in_use = readers.filter(|&reader| self.uses[reader] > 0 && self.form(reader).operands.contains(&class));
            pending.extend(in_use.map(|reader| (self.depths[reader], reader)));
        }
    }
}
