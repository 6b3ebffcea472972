//! The rules: exact identities of real tensors. Constants move to where they cost nothing, products balance.
//!
//! A scale moves into a value only where nothing needs that value unscaled. See `README.md` beside this file on adding one.

use egg::{Applier, ConditionalApplier, Id, MultiPattern, Pattern, PatternAst, Rewrite, Subst, Symbol, Var, rewrite};

use super::language::{Constants, Facts, Graph, Term, coefficients};

/// When a rule applies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Always,
    /// The constant `?a` is one.
    IsOne,
    /// The constant `?a` is zero.
    IsZero,
    /// The constant `?a` is one number for all elements.
    IsUniform,
    /// The constant `?a` is by element: as an offset it is a plaintext of its own.
    IsByElement,
    /// No product reads the scaled value as it is: otherwise it would be computed twice.
    NotShared,
    /// Both of the last two.
    IsByElementAndNotShared,
    /// The inner product is not the variable of a polynomial, whose powers are what is balanced.
    NotVariable,
    /// The factor `?x` of the scaled product is the one to take a constant.
    TakesConstant,
}

/// An identity of tensors, rewritten left to right.
struct Rule {
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: When,
}

#[rustfmt::skip]
const RULES: [Rule; 24] = [
    Rule { name: "scale-one",         left: "(scale ?a ?x)",                       right: "?x",                                     when: When::IsOne },
    Rule { name: "scale-scale",       left: "(scale ?a (scale ?b ?x))",            right: "(scale (* ?a ?b) ?x)",                   when: When::NotShared },
    Rule { name: "scale-linear",      left: "(scale ?a (linear ?m ?k ?c ?b ?x))",  right: "(linear ?m (* ?a ?k) ?c (* ?a ?b) ?x)",  when: When::NotShared },
    Rule { name: "linear-scale",      left: "(linear ?m ?k ?c ?b (scale ?a ?x))",  right: "(linear ?m (* ?k ?a) ?c ?b ?x)",         when: When::IsUniform },
    Rule { name: "linear-scales",     left: "(linear ?m ?k ?c ?b (scale ?a ?x))",  right: "(linear ?m ?k (* ?c ?a) ?b ?x)",         when: When::IsByElement },
    Rule { name: "scale-view",        left: "(scale ?a (view ?m ?x))",             right: "(view ?m (scale ?a ?x))",                when: When::IsUniform },
    Rule { name: "view-scale",        left: "(view ?m (scale ?a ?x))",             right: "(scale ?a (view ?m ?x))",                when: When::IsUniform },
    Rule { name: "scale-add",         left: "(scale ?a (add ?x ?y))",              right: "(add (scale ?a ?x) (scale ?a ?y))",      when: When::NotShared },
    Rule { name: "scale-sub",         left: "(scale ?a (sub ?x ?y))",              right: "(sub (scale ?a ?x) (scale ?a ?y))",      when: When::NotShared },
    Rule { name: "scale-offset",      left: "(scale ?a (offset ?b ?x))",           right: "(offset (* ?a ?b) (scale ?a ?x))",       when: When::NotShared },
    Rule { name: "scale-mul",         left: "(scale ?a (mul ?x ?y))",              right: "(mul (scale ?a ?x) ?y)",                 when: When::TakesConstant },
    Rule { name: "offset-zero",       left: "(offset ?a ?x)",                      right: "?x",                                     when: When::IsZero },
    Rule { name: "offset-offset",     left: "(offset ?a (offset ?b ?x))",          right: "(offset (+ ?a ?b) ?x)",                  when: When::Always },
    Rule { name: "offset-linear",     left: "(offset ?a (linear ?m ?k ?c ?b ?x))", right: "(linear ?m ?k ?c (+ ?b ?a) ?x)",         when: When::IsByElementAndNotShared },
    Rule { name: "linear-offset",     left: "(linear ?m ?k ?c ?b (offset ?a ?x))", right: "(linear ?m ?k ?c (+ ?b (* ?k (apply ?m (* ?c ?a)))) ?x)", when: When::IsByElement },
    Rule { name: "offset-add",        left: "(offset ?a (add ?x ?y))",             right: "(add (offset ?a ?x) ?y)",                when: When::IsByElementAndNotShared },
    Rule { name: "offset-add-right",  left: "(offset ?a (add ?x ?y))",             right: "(add ?x (offset ?a ?y))",                when: When::IsByElementAndNotShared },
    Rule { name: "offset-sub",        left: "(offset ?a (sub ?x ?y))",             right: "(sub (offset ?a ?x) ?y)",                when: When::IsByElementAndNotShared },
    Rule { name: "offset-sub-right",  left: "(offset ?a (sub ?x ?y))",             right: "(sub ?x (offset (* -1.0 ?a) ?y))",       when: When::IsByElementAndNotShared },
    Rule { name: "add-offset",        left: "(add (offset ?a ?x) ?y)",             right: "(offset ?a (add ?x ?y))",                when: When::IsByElement },
    Rule { name: "add-offset-right",  left: "(add ?x (offset ?a ?y))",             right: "(offset ?a (add ?x ?y))",                when: When::IsByElement },
    Rule { name: "mul-comm",          left: "(mul ?x ?y)",                         right: "(mul ?y ?x)",                            when: When::Always },
    Rule { name: "mul-assoc",         left: "(mul ?x (mul ?y ?z))",                right: "(mul (mul ?x ?y) ?z)",                   when: When::NotVariable },
    Rule { name: "factor",            left: "(add (mul ?x ?z) (mul ?y ?z))",       right: "(mul (add ?x ?y) ?z)",                   when: When::Always },
];

/// The names of all rules, in the order of the table.
pub(super) fn names() -> Vec<String> {
    rules().iter().map(|rule| rule.name.to_string()).collect()
}

/// Every rule: the table, and the one that looks at the other readers of a value.
pub(super) fn rules() -> Vec<Rewrite<Term, Constants>> {
    let mut rules: Vec<_> = RULES.iter().map(Rule::rewrite).collect();
    rules.push(rewrite!("linear-reads-scaled"; "(linear ?m ?k ?c ?b ?x)" => { ReadScaled::new() }));
    rules
}

impl Rule {
    fn rewrite(&self) -> Rewrite<Term, Constants> {
        let right: Pattern<Term> = self.right.parse().expect("the table's patterns are well formed");
        let (plain, naming) = (|| self.left_pattern(), || self.left_naming_operand());
        let built = match self.when {
            When::Always => Rewrite::new(self.name, plain(), right),
            When::IsOne => Rewrite::new(self.name, plain(), given(|egraph, subst| is(egraph, subst, 1.0), right)),
            When::IsZero => Rewrite::new(self.name, plain(), given(|egraph, subst| is(egraph, subst, 0.0), right)),
            When::IsUniform => Rewrite::new(self.name, plain(), given(is_uniform, right)),
            When::IsByElement => Rewrite::new(self.name, plain(), given(is_by_element, right)),
            When::NotShared => Rewrite::new(self.name, naming(), given(not_shared, right)),
            When::IsByElementAndNotShared => {
                let both = |egraph: &Graph, subst: &Subst| is_by_element(egraph, subst) && not_shared(egraph, subst);
                Rewrite::new(self.name, naming(), given(both, right))
            }
            When::NotVariable => Rewrite::new(self.name, naming(), given(not_variable, right)),
            When::TakesConstant => Rewrite::new(self.name, naming(), given(takes_constant, right)),
        };
        built.expect("every variable of the right side is bound on the left")
    }

    fn left_pattern(&self) -> Pattern<Term> {
        self.left.parse().expect("the table's patterns are well formed")
    }

    /// The left side with a name, `?s`, for the class of its last operand.
    fn left_naming_operand(&self) -> MultiPattern<Term> {
        let inner = self.left[1..].find('(').map(|place| place + 1);
        let (outer, operand) = self.left.split_at(inner.expect("a rule that looks at an operand has a term there"));
        let operand = operand.strip_suffix(')').expect("the operand ends the term");
        format!("?r = {outer}?s), ?s = {operand}").parse().expect("the table's patterns are well formed")
    }
}

/// A right side that is taken where a condition holds.
fn given(
    holds: impl Fn(&Graph, &Subst) -> bool + 'static + Send + Sync,
    right: Pattern<Term>,
) -> ConditionalApplier<impl Fn(&mut Graph, Id, &Subst) -> bool, Pattern<Term>> {
    ConditionalApplier {
        condition: move |egraph: &mut Graph, _: Id, subst: &Subst| holds(egraph, subst),
        applier: right,
    }
}

/// What is known of the class that a variable stands for.
fn facts<'g>(egraph: &'g Graph, subst: &Subst, name: &str) -> &'g Facts {
    &egraph[subst[var(name)]].data
}

fn is(egraph: &Graph, subst: &Subst, value: f64) -> bool {
    facts(egraph, subst, "?a").uniform() == Some(value)
}

fn is_uniform(egraph: &Graph, subst: &Subst) -> bool {
    facts(egraph, subst, "?a").uniform().is_some()
}

fn is_by_element(egraph: &Graph, subst: &Subst) -> bool {
    facts(egraph, subst, "?a").is_by_element()
}

fn not_shared(egraph: &Graph, subst: &Subst) -> bool {
    !facts(egraph, subst, "?s").shared
}

fn not_variable(egraph: &Graph, subst: &Subst) -> bool {
    !facts(egraph, subst, "?s").variable
}

/// The factor of a product that takes a constant: the one that has constants already, else the value itself where it is
/// no product. So a coefficient goes on x, beside x², and later constants go where it is. One by element goes into a layer
/// that the factor is, and no further: in a chain of products, all constants of those behind would go into each.
fn takes_constant(egraph: &Graph, subst: &Subst) -> bool {
    let factor = &egraph[subst[var("?x")]];
    if is_by_element(egraph, subst) {
        return !factor.data.shared && factor.nodes.iter().any(|term| matches!(term, Term::Linear(_)));
    }
    if factor.data.takes_constant() {
        return true;
    }
    let is_product = !factor.data.variable && factor.nodes.iter().any(|term| matches!(term, Term::Mul(_)));
    !is_product && !facts(egraph, subst, "?y").takes_constant()
}

fn var(name: &str) -> Var {
    name.parse().expect("a literal variable name")
}

/// Where `a·x` is computed anyway, `M·x` may read it as `(M/a)·(a·x)`: several readers of one value agree on a scale.
struct ReadScaled {
    map: Var,
    output_factor: Var,
    input_factor: Var,
    bias: Var,
    operand: Var,
}

impl ReadScaled {
    fn new() -> Self {
        let [map, output_factor, input_factor, bias, operand] = ["?m", "?k", "?c", "?b", "?x"].map(var);
        ReadScaled { map, output_factor, input_factor, bias, operand }
    }

    /// The scaled forms of a class: `(a, id of a·x)`.
    fn scaled_forms(egraph: &Graph, operand: Id) -> Vec<(Id, Id)> {
        let operand = egraph.find(operand);
        let mut forms = Vec::new();
        for parent in egraph[operand].parents() {
            for term in &egraph[parent].nodes {
                if let Term::Scale([factor, scaled]) = term
                    && egraph.find(*scaled) == operand
                    && coefficients(egraph, *factor).is_some_and(|factor| !factor.values().contains(&0.0))
                {
                    forms.push((egraph.find(*factor), egraph.find(parent)));
                }
            }
        }
        forms.sort();
        forms.dedup();
        forms
    }
}

impl Applier<Term, Constants> for ReadScaled {
    fn apply_one(
        &self,
        egraph: &mut Graph,
        class: Id,
        subst: &Subst,
        _ast: Option<&PatternAst<Term>>,
        _rule: Symbol,
    ) -> Vec<Id> {
        let mut changed = Vec::new();
        for (factor, scaled) in Self::scaled_forms(egraph, subst[self.operand]) {
            let (mut by_output, mut by_input) = (subst[self.output_factor], subst[self.input_factor]);
            let divided = if egraph[factor].data.is_by_element() { &mut by_input } else { &mut by_output };
            *divided = egraph.add(Term::Over([*divided, factor]));
            let reading = Term::Linear([subst[self.map], by_output, by_input, subst[self.bias], scaled]);
            let reading = egraph.add(reading);
            if egraph.union(class, reading) {
                changed.push(class);
            }
        }
        changed
    }

    fn vars(&self) -> Vec<Var> {
        vec![self.map, self.output_factor, self.input_factor, self.bias, self.operand]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egg::{ENodeOrVar, RecExpr};

    const SIZE: usize = 3;

    /// A pseudo-random number that depends on the variable's name and place.
    fn number(name: &str, place: usize) -> f64 {
        let seed = name.bytes().fold(17u64, |seed, byte| seed * 31 + u64::from(byte)) + place as u64 * 7919;
        (seed * 2_654_435_761 % 1999) as f64 / 1000.0 - 1.0
    }

    /// The value of a term: constants are vectors, of one repeated number where a rule wants that.
    fn value(term: &RecExpr<ENodeOrVar<Term>>, id: Id, when: When) -> Vec<f64> {
        let of = |id: &Id| value(term, *id, when);
        let zip = |a: &Id, b: &Id, f: fn(f64, f64) -> f64| of(a).iter().zip(of(b)).map(|(a, b)| f(*a, b)).collect();
        match &term[id] {
            ENodeOrVar::Var(name) => {
                let name = name.to_string();
                let by_place = name != "?a" || when != When::IsUniform;
                (0..SIZE).map(|place| number(&name, if by_place { place } else { 0 })).collect()
            }
            ENodeOrVar::ENode(node) => match node {
                Term::Constant(constant) => vec![constant.0; SIZE],
                Term::Times([a, b]) | Term::Mul([a, b]) | Term::Scale([a, b]) => zip(a, b, |a, b| a * b),
                Term::Over([a, b]) => zip(a, b, |a, b| a / b),
                Term::Plus([a, b]) | Term::Add([a, b]) | Term::Offset([a, b]) => zip(a, b, |a, b| a + b),
                Term::Sub([a, b]) => zip(a, b, |a, b| a - b),
                Term::View([_, x]) if when == When::IsUniform => of(x).into_iter().rev().collect(),
                Term::View([_, x]) | Term::Apply([_, x]) => apply(&of(x)),
                Term::Linear([_, by_output, by_input, bias, x]) => {
                    let x: Vec<f64> = of(by_input).iter().zip(of(x)).map(|(c, x)| c * x).collect();
                    let results = of(by_output).into_iter().zip(apply(&x)).zip(of(bias));
                    results.map(|((k, y), b)| k * y + b).collect()
                }
                other => panic!("{other} is in no rule"),
            },
        }
    }

    fn apply(x: &[f64]) -> Vec<f64> {
        let entry = |row: usize| (0..SIZE).map(|c| number("matrix", row * SIZE + c) * x[c]).sum();
        (0..SIZE).map(entry).collect()
    }

    #[test]
    fn rules_are_identities() {
        for rule in RULES.iter().filter(|rule| !matches!(rule.when, When::IsOne | When::IsZero)) {
            let right: Pattern<Term> = rule.right.parse().unwrap();
            let (left, right) = (rule.left_pattern().ast, right.ast);
            let (a, b) = (value(&left, left.root(), rule.when), value(&right, right.root(), rule.when));
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 1e-12, "{}: {a} on the left, {b} on the right", rule.name);
            }
        }
    }
}
