//! The e-graph's language: tensors as terms, constants as terms of their own.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use egg::{Analysis, DidMerge, EGraph, Id, define_language, merge_option};

/// A real constant, ordered by value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Constant(pub(super) f64);

impl PartialEq for Constant {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Constant {}

impl PartialOrd for Constant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Constant {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Constant {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for Constant {
    type Err = std::num::ParseFloatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Constant)
    }
}

/// An interned linear map, or an input, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Interned {
    /// `m` for maps, `x` for inputs.
    pub(super) prefix: char,
    /// Number in the table of its kind.
    pub(super) number: u32,
}

impl fmt::Display for Interned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.number)
    }
}

impl FromStr for Interned {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let prefix = text.chars().next().filter(|c| matches!(c, 'm' | 'x')).ok_or("neither map nor input")?;
        let number = text[1..].parse().map_err(|_| "no number")?;
        Ok(Interned { prefix, number })
    }
}

define_language! {
    /// Terms. `?k` and `?b` of a linear map multiply its matrix and its bias.
    pub(super) enum Term {
        Constant(Constant),
        "*" = Times([Id; 2]),
        "/" = Over([Id; 2]),
        "+" = Plus([Id; 2]),
        Interned(Interned),
        "linear" = Linear([Id; 4]),
        "view" = View([Id; 2]),
        "add" = Add([Id; 2]),
        "sub" = Sub([Id; 2]),
        "mul" = Mul([Id; 2]),
        "scale" = Scale([Id; 2]),
        "offset" = Offset([Id; 2]),
        "outputs" = Outputs(Box<[Id]>),
    }
}

/// The analysis of constant terms: their value, snapped to a constant already known within [`SNAP`].
#[derive(Debug, Clone)]
pub(super) struct Constants {
    /// Ascending.
    known: Vec<f64>,
}

impl Default for Constants {
    /// One is known from the start: a factor and its rounded inverse cancel.
    fn default() -> Self {
        Constants { known: vec![1.0] }
    }
}

/// Two constants within this relative distance are one: products of scales taken in another order.
const SNAP: f64 = 1e-13;

impl Constants {
    /// The known constant nearest to `value` within [`SNAP`], or `value`, known from now on.
    fn snap(&mut self, value: f64) -> f64 {
        let place = self.known.partition_point(|known| *known < value);
        let neighbours = [place.checked_sub(1), Some(place)].into_iter().flatten();
        let near = neighbours.filter_map(|index| self.known.get(index)).find(|known| is_near(**known, value));
        match near {
            Some(&known) => known,
            None => {
                self.known.insert(place, value);
                value
            }
        }
    }
}

fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= SNAP * a.abs().max(b.abs())
}

/// The e-graph of tensors.
pub(super) type Graph = EGraph<Term, Constants>;

/// What is known of a class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// Value of a constant term.
    pub(super) constant: Option<Constant>,
    /// Whether in the graph as it came a product and something else read this value, or several factors do.
    pub(super) shared: bool,
    /// Whether products read this value and it came as something else than a product: a variable of polynomials.
    pub(super) variable: bool,
    /// Whether some factor in the value can take another constant.
    pub(super) has_constant: bool,
}

impl Facts {
    /// Whether a constant melts into a factor that is in the value already, and the value may change.
    pub(super) fn takes_constant(&self) -> bool {
        self.has_constant && !self.shared
    }
}

impl Analysis<Term> for Constants {
    type Data = Facts;

    fn make(egraph: &mut Graph, term: &Term, _id: Id) -> Self::Data {
        let value = |id: &Id| egraph[*id].data.constant.map(|constant| constant.0);
        let folded = match term {
            Term::Constant(constant) => Some(constant.0),
            Term::Times([a, b]) => value(a).zip(value(b)).map(|(a, b)| a * b),
            Term::Over([a, b]) => value(a).zip(value(b)).map(|(a, b)| a / b),
            Term::Plus([a, b]) => value(a).zip(value(b)).map(|(a, b)| a + b),
            _ => None,
        };
        let constant = folded.filter(|value| value.is_finite()).map(|value| Constant(egraph.analysis.snap(value)));
        let has = |id: &Id| egraph[*id].data.takes_constant();
        let has_constant = match term {
            Term::Scale(_) => true,
            Term::Mul([a, b]) => has(a) || has(b),
            Term::Add([a, b]) | Term::Sub([a, b]) => has(a) && has(b),
            Term::Offset([_, x]) | Term::View([_, x]) => has(x),
            _ => false,
        };
        Facts { constant, shared: false, variable: false, has_constant }
    }

    fn merge(&mut self, to: &mut Self::Data, from: Self::Data) -> DidMerge {
        let either = |to: &mut bool, from: bool| {
            let did = DidMerge(from && !*to, *to && !from);
            *to |= from;
            did
        };
        let flags = either(&mut to.shared, from.shared) | either(&mut to.has_constant, from.has_constant);
        flags
            | either(&mut to.variable, from.variable)
            | merge_option(&mut to.constant, from.constant, |_, _| DidMerge(false, false))
    }

    fn modify(egraph: &mut Graph, id: Id) {
        if let Some(constant) = egraph[id].data.constant {
            let folded = egraph.add(Term::Constant(constant));
            egraph.union(id, folded);
        }
    }
}
