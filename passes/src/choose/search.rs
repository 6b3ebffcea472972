//! The least error at every depth.
//!
//! A network is a graph of steps, each with choices of more levels or more error. Errors of all steps add up, levels add
//! up along a path. Chains and branches that meet again are reduced to one table of the least error within each number
//! of levels, which is exact: a chain adds levels and errors of every pair, branches share the levels of the deepest.
//! Where branches cross, what is left is taken as a chain of groups; then levels are only bounded from above, and what
//! the true depth leaves over is spent step by step.

use std::rc::Rc;

/// One way to do a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Levels it takes.
    pub levels: u32,
    /// What it adds to the error; not negative.
    pub error: f64,
}

/// A step and the earlier steps that it reads; without operands it is an input.
#[derive(Debug, Clone, PartialEq)]
pub struct ChoiceStep {
    /// Indices of earlier steps.
    pub operands: Vec<usize>,
    /// At least one.
    pub choices: Vec<Choice>,
}

/// A choice for every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Levels of the deepest path.
    pub levels: u32,
    /// Sum of the errors.
    pub error: f64,
    /// Index of the choice of each step.
    pub picks: Vec<usize>,
}

/// Selections of ascending depth and descending error, none of which another one beats in both.
pub fn front(steps: &[ChoiceStep], outputs: &[usize]) -> Vec<Selection> {
    let mut reduction = Reduction::new(steps, outputs);
    let exact = reduction.reduce();
    let table = if exact { reduction.only_table() } else { reduction.as_chain() };
    let mut selections: Vec<Selection> = table.iter().map(|entry| selection(steps, outputs, entry.picks())).collect();
    if !exact {
        selections.iter_mut().for_each(|selection| spend_slack(steps, outputs, selection));
    }
    selections.extend(same_choice_everywhere(steps).map(|picks| selection(steps, outputs, picks)));
    unbeaten(selections, |selection| (selection.levels, selection.error))
}

/// Levels of the deepest path to an output.
pub fn depth(steps: &[ChoiceStep], outputs: &[usize], picks: &[usize]) -> u32 {
    let mut depths: Vec<u32> = Vec::with_capacity(steps.len());
    for (step, &pick) in steps.iter().zip(picks) {
        let operands = step.operands.iter().map(|&operand| depths[operand]).max().unwrap_or(0);
        depths.push(operands + step.choices[pick].levels);
    }
    outputs.iter().map(|&output| depths[output]).max().unwrap_or(0)
}

fn selection(steps: &[ChoiceStep], outputs: &[usize], chosen: impl IntoIterator<Item = (usize, usize)>) -> Selection {
    let mut picks = vec![0; steps.len()];
    chosen.into_iter().for_each(|(step, choice)| picks[step] = choice);
    let error = steps.iter().zip(&picks).map(|(step, &pick)| step.choices[pick].error).sum();
    Selection { levels: depth(steps, outputs, &picks), error, picks }
}

/// Each index of a choice taken by all steps that have it: one PAF for all nodes.
fn same_choice_everywhere(steps: &[ChoiceStep]) -> impl Iterator<Item = Vec<(usize, usize)>> {
    let most = steps.iter().map(|step| step.choices.len()).max().unwrap_or(0);
    (0..most).map(|index| {
        steps.iter().enumerate().map(|(step, choices)| (step, index.min(choices.choices.len() - 1))).collect()
    })
}

/// Takes a better choice wherever the whole stays as deep as it is.
fn spend_slack(steps: &[ChoiceStep], outputs: &[usize], selection: &mut Selection) {
    for (index, step) in steps.iter().enumerate() {
        let mut better: Vec<usize> = (0..step.choices.len()).collect();
        better.retain(|&choice| step.choices[choice].error < step.choices[selection.picks[index]].error);
        better.sort_by(|&a, &b| step.choices[a].error.total_cmp(&step.choices[b].error));
        let before = selection.picks[index];
        let fits = |choice: &usize| {
            selection.picks[index] = *choice;
            depth(steps, outputs, &selection.picks) <= selection.levels
        };
        let found = better.into_iter().find(fits);
        selection.picks[index] = found.unwrap_or(before);
    }
    selection.error = steps.iter().zip(&selection.picks).map(|(step, &pick)| step.choices[pick].error).sum();
}

/// Ascending levels, strictly descending error; of equals the first stays.
pub(super) fn unbeaten<T>(mut all: Vec<T>, cost: impl Fn(&T) -> (u32, f64)) -> Vec<T> {
    all.sort_by(|a, b| {
        let ((levels_a, error_a), (levels_b, error_b)) = (cost(a), cost(b));
        levels_a.cmp(&levels_b).then(error_a.total_cmp(&error_b))
    });
    let mut least = f64::INFINITY;
    all.retain(|item| {
        let better = cost(item).1 < least;
        least = least.min(cost(item).1);
        better
    });
    all
}

/// A choice of part of the steps.
#[derive(Debug, Clone)]
struct Entry {
    levels: u32,
    error: f64,
    chosen: Rc<Picks>,
}

#[derive(Debug)]
enum Picks {
    Nothing,
    One { step: usize, choice: usize },
    Both(Rc<Picks>, Rc<Picks>),
}

impl Entry {
    fn picks(&self) -> Vec<(usize, usize)> {
        let (mut picks, mut stack) = (Vec::new(), vec![&self.chosen]);
        while let Some(chosen) = stack.pop() {
            match &**chosen {
                Picks::Nothing => {}
                Picks::One { step, choice } => picks.push((*step, *choice)),
                Picks::Both(a, b) => stack.extend([a, b]),
            }
        }
        picks
    }

    fn with(&self, other: &Entry, levels: u32) -> Entry {
        let chosen = match (&*self.chosen, &*other.chosen) {
            (Picks::Nothing, _) => other.chosen.clone(),
            (_, Picks::Nothing) => self.chosen.clone(),
            _ => Rc::new(Picks::Both(self.chosen.clone(), other.chosen.clone())),
        };
        Entry { levels, error: self.error + other.error, chosen }
    }
}

/// The least error within each number of levels.
type Table = Vec<Entry>;

fn nothing() -> Table {
    vec![Entry { levels: 0, error: 0.0, chosen: Rc::new(Picks::Nothing) }]
}

fn table_of(step: usize, choices: &[Choice]) -> Table {
    let entry = |(choice, &Choice { levels, error }): (usize, &Choice)| Entry {
        levels,
        error,
        chosen: Rc::new(Picks::One { step, choice }),
    };
    unbeaten(choices.iter().enumerate().map(entry).collect(), |entry| (entry.levels, entry.error))
}

/// One after the other.
fn in_series(first: &Table, second: &Table) -> Table {
    let pairs = first.iter().flat_map(|a| second.iter().map(|b| a.with(b, a.levels + b.levels)));
    unbeaten(pairs.collect(), |entry| (entry.levels, entry.error))
}

/// Side by side: within each number of levels the best of both.
fn in_parallel(a: &Table, b: &Table) -> Table {
    let within = |table: &Table, levels: u32| table.iter().rfind(|entry| entry.levels <= levels).cloned();
    let levels = a.iter().chain(b).map(|entry| entry.levels);
    let both = levels.filter_map(|levels| Some(within(a, levels)?.with(&within(b, levels)?, levels)));
    unbeaten(both.collect(), |entry| (entry.levels, entry.error))
}

struct Edge {
    from: usize,
    to: usize,
    table: Table,
}

/// A graph whose edges are steps, operands and what they were reduced to. A step is an edge between two points of its
/// own; points ascend along every path.
struct Reduction {
    edges: Vec<Edge>,
    sink: usize,
}

const SOURCE: usize = 0;

impl Reduction {
    fn new(steps: &[ChoiceStep], outputs: &[usize]) -> Self {
        let (before, after) = (|step: usize| 2 * step + 1, |step: usize| 2 * step + 2);
        let sink = 2 * steps.len() + 1;
        let mut edges = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let readers = step.operands.iter().map(|&operand| after(operand));
            let sources: Vec<usize> = if step.operands.is_empty() { vec![SOURCE] } else { readers.collect() };
            edges.extend(sources.into_iter().map(|from| Edge { from, to: before(index), table: nothing() }));
            edges.push(Edge { from: before(index), to: after(index), table: table_of(index, &step.choices) });
        }
        edges.extend(outputs.iter().map(|&output| Edge { from: after(output), to: sink, table: nothing() }));
        let mut reduction = Reduction { edges, sink };
        reduction.drop_dead_ends();
        reduction
    }

    fn drop_dead_ends(&mut self) {
        let mut alive = vec![false; self.sink + 1];
        alive[self.sink] = true;
        let mut points: Vec<(usize, usize)> = self.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        points.sort_by_key(|&(from, _)| std::cmp::Reverse(from));
        points.into_iter().for_each(|(from, to)| alive[from] |= alive[to]);
        self.edges.retain(|edge| alive[edge.to]);
    }

    /// Merges until nothing changes; true if one edge is left.
    fn reduce(&mut self) -> bool {
        while self.edges.len() > 1 && (self.merge_parallel() | self.merge_series()) {}
        self.edges.len() <= 1
    }

    fn merge_parallel(&mut self) -> bool {
        let count = self.edges.len();
        self.edges.sort_by_key(|edge| (edge.from, edge.to));
        let mut merged: Vec<Edge> = Vec::with_capacity(count);
        for edge in self.edges.drain(..) {
            match merged.last_mut() {
                Some(last) if (last.from, last.to) == (edge.from, edge.to) => {
                    last.table = in_parallel(&last.table, &edge.table);
                }
                _ => merged.push(edge),
            }
        }
        self.edges = merged;
        self.edges.len() < count
    }

    fn merge_series(&mut self) -> bool {
        let count = self.edges.len();
        for point in 1..self.sink {
            let around: Vec<usize> =
                (0..self.edges.len()).filter(|&e| self.edges[e].from == point || self.edges[e].to == point).collect();
            let [a, b] = around[..] else { continue };
            let (into, out) = if self.edges[a].to == point { (a, b) } else { (b, a) };
            if self.edges[into].to != point || self.edges[out].from != point {
                continue;
            }
            let table = in_series(&self.edges[into].table, &self.edges[out].table);
            self.edges[into] = Edge { from: self.edges[into].from, to: self.edges[out].to, table };
            self.edges.swap_remove(out);
        }
        self.edges.len() < count
    }

    fn only_table(&self) -> Table {
        self.edges.first().map_or_else(nothing, |edge| edge.table.clone())
    }

    /// The edges that leave one point side by side, the points one after the other: no path is longer than that.
    fn as_chain(&mut self) -> Table {
        let mut edges: Vec<&Edge> = self.edges.iter().collect();
        edges.sort_by_key(|edge| edge.from);
        let groups = edges.chunk_by(|a, b| a.from == b.from);
        let group_table = |group: &[&Edge]| {
            group[1..].iter().fold(group[0].table.clone(), |table, edge| in_parallel(&table, &edge.table))
        };
        groups.fold(nothing(), |table, group| in_series(&table, &group_table(group)))
    }
}
