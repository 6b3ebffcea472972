//! The e-graph's language: tensors as terms, constants as terms of their own.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use egg::{Analysis, DidMerge, EGraph, Id, define_language, merge_option};
use paf_ir::linear::{LinearMap, Operator};

use crate::coefficients::{Coefficients, is_near};

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

/// An interned linear map, input, or constant that is not the same for all elements, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Interned {
    /// `m` for maps, `x` for inputs, `v` for constants.
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
        let prefix = text.chars().next().filter(|c| matches!(c, 'm' | 'x' | 'v')).ok_or("nothing interned")?;
        let number = text[1..].parse().map_err(|_| "no number")?;
        Ok(Interned { prefix, number })
    }
}

define_language! {
    /// Terms. A linear map is `k · M · (c · x) + b`: `k` is by output, `c` by input, each one number or by element.
    pub(super) enum Term {
        Constant(Constant),
        "*" = Times([Id; 2]),
        "/" = Over([Id; 2]),
        "+" = Plus([Id; 2]),
        "apply" = Apply([Id; 2]),
        Interned(Interned),
        "linear" = Linear([Id; 5]),
        "view" = View([Id; 2]),
        "add" = Add([Id; 2]),
        "sub" = Sub([Id; 2]),
        "mul" = Mul([Id; 2]),
        "scale" = Scale([Id; 2]),
        "offset" = Offset([Id; 2]),
        "outputs" = Outputs(Box<[Id]>),
    }
}

/// What a constant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// One number for all elements.
    Uniform(Constant),
    /// A number of its own for some elements: the place in the table of [`Constants`].
    ByElement(u32),
}

/// The analysis of constant terms: their value, snapped to a constant already known.
#[derive(Debug, Clone)]
pub(super) struct Constants {
    /// Numbers, ascending.
    known: Vec<f64>,
    /// Constants by element, each in the place that is its number.
    by_element: Vec<Arc<Coefficients>>,
    /// Their numbers by how many numbers they hold.
    of_length: BTreeMap<usize, Vec<u32>>,
    /// The linear maps by number, without their biases.
    pub(super) maps: Vec<(String, Arc<LinearMap>)>,
}

impl Default for Constants {
    /// One is known from the start: a factor and its rounded inverse cancel.
    fn default() -> Self {
        Constants { known: vec![1.0], by_element: vec![], of_length: BTreeMap::new(), maps: vec![] }
    }
}

impl Constants {
    /// The known constant that is near the given one, or that one, known from now on. `None` where it is not finite.
    fn value(&mut self, constant: Coefficients) -> Option<Value> {
        if !constant.values().iter().all(|value| value.is_finite()) {
            return None;
        }
        Some(match constant.as_uniform() {
            Some(value) => Value::Uniform(Constant(self.snap(value))),
            None => Value::ByElement(self.snap_by_element(constant)),
        })
    }

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

    fn snap_by_element(&mut self, constant: Coefficients) -> u32 {
        let alike = self.of_length.entry(constant.values().len()).or_default();
        let known = alike.iter().find(|&&number| self.by_element[number as usize].is_near(&constant));
        if let Some(&known) = known {
            return known;
        }
        let number = self.by_element.len() as u32;
        alike.push(number);
        self.by_element.push(Arc::new(constant));
        number
    }

    /// The numbers of a constant.
    pub(super) fn coefficients(&self, value: Value) -> Arc<Coefficients> {
        match value {
            Value::Uniform(constant) => Arc::new(Coefficients::uniform(constant.0)),
            Value::ByElement(number) => self.by_element[number as usize].clone(),
        }
    }

    /// What a map, without its bias, makes of a constant.
    fn applied(&self, map: u32, constant: &Coefficients) -> Coefficients {
        let map = &self.maps[map as usize].1;
        let x: Vec<[f64; 1]> = constant.expanded(map.inputs).into_iter().map(|value| [value]).collect();
        Coefficients::new(Operator::new(map).apply(&x).as_flattened().to_vec(), 1)
    }
}

/// The e-graph of tensors.
pub(super) type Graph = EGraph<Term, Constants>;

/// What is known of a class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// Value of a constant term.
    pub(super) constant: Option<Value>,
    /// Number of a linear map.
    pub(super) map: Option<u32>,
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

    /// The number that a constant is for all elements.
    pub(super) fn uniform(&self) -> Option<f64> {
        if let Some(Value::Uniform(constant)) = self.constant { Some(constant.0) } else { None }
    }

    /// Whether this is a constant with a number of its own for some elements.
    pub(super) fn is_by_element(&self) -> bool {
        matches!(self.constant, Some(Value::ByElement(_)))
    }
}

/// The numbers of a class that is constant.
pub(super) fn coefficients(egraph: &Graph, id: Id) -> Option<Arc<Coefficients>> {
    egraph[id].data.constant.map(|value| egraph.analysis.coefficients(value))
}

/// The value of a term on constants.
fn folded(egraph: &Graph, term: &Term) -> Option<Coefficients> {
    let value = |id: &Id| coefficients(egraph, *id);
    match term {
        Term::Constant(constant) => Some(Coefficients::uniform(constant.0)),
        Term::Times([a, b]) => Some(value(a)?.times(&*value(b)?)),
        Term::Over([a, b]) => Some(value(a)?.zip(&*value(b)?, |a, b| a / b)),
        Term::Plus([a, b]) => Some(value(a)?.plus(&*value(b)?)),
        Term::Apply([map, x]) => Some(egraph.analysis.applied(egraph[*map].data.map?, &*value(x)?)),
        _ => None,
    }
}

impl Analysis<Term> for Constants {
    type Data = Facts;

    fn make(egraph: &mut Graph, term: &Term, _id: Id) -> Self::Data {
        let has = |id: &Id| egraph[*id].data.takes_constant();
        let has_constant = match term {
            Term::Scale(_) => true,
            Term::Mul([a, b]) => has(a) || has(b),
            Term::Add([a, b]) | Term::Sub([a, b]) => has(a) && has(b),
            Term::Offset([_, x]) | Term::View([_, x]) => has(x),
            _ => false,
        };
        let (constant, map) = match *term {
            Term::Interned(Interned { prefix: 'v', number }) => (Some(Value::ByElement(number)), None),
            Term::Interned(Interned { prefix: 'm', number }) => (None, Some(number)),
            _ => (folded(egraph, term).and_then(|constant| egraph.analysis.value(constant)), None),
        };
        Facts { constant, map, has_constant, ..Facts::default() }
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
            | merge_option(&mut to.map, from.map, |_, _| DidMerge(false, false))
    }

    fn modify(egraph: &mut Graph, id: Id) {
        let folded = match egraph[id].data.constant {
            Some(Value::Uniform(constant)) => egraph.add(Term::Constant(constant)),
            Some(Value::ByElement(number)) => egraph.add(Term::Interned(Interned { prefix: 'v', number })),
            None => return,
        };
        egraph.union(id, folded);
    }
}

/// A constant as a term.
pub(super) fn add_constant(egraph: &mut Graph, constant: Coefficients) -> Option<Id> {
    let value = egraph.analysis.value(constant)?;
    Some(match value {
        Value::Uniform(constant) => egraph.add(Term::Constant(constant)),
        Value::ByElement(number) => egraph.add(Term::Interned(Interned { prefix: 'v', number })),
    })
}
