//! The rules: exact identities of real tensors. Constants move to where they cost nothing, products balance.
//!
//! A scale moves into a value only where nothing needs that value unscaled. See `README.md` beside this file on adding one.

use egg::{Applier, ConditionalApplier, Id, MultiPattern, Pattern, PatternAst, Rewrite, Subst, Symbol, Var, rewrite};

use super::language::{Constants, Graph, Term};

/// When a rule applies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Always,
    /// The constant `?a` is one.
    IsOne,
    /// No product reads the scaled value as it is: otherwise it would be computed twice.
    NotShared,
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
const RULES: [Rule; 14] = [
    Rule { name: "scale-one",     left: "(scale ?a ?x)",                    right: "?x",                                 when: When::IsOne },
    Rule { name: "scale-scale",   left: "(scale ?a (scale ?b ?x))",         right: "(scale (* ?a ?b) ?x)",               when: When::NotShared },
    Rule { name: "scale-linear",  left: "(scale ?a (linear ?m ?k ?b ?x))",  right: "(linear ?m (* ?a ?k) (* ?a ?b) ?x)", when: When::NotShared },
    Rule { name: "linear-scale",  left: "(linear ?m ?k ?b (scale ?a ?x))",  right: "(linear ?m (* ?k ?a) ?b ?x)",        when: When::Always },
    Rule { name: "scale-view",    left: "(scale ?a (view ?m ?x))",          right: "(view ?m (scale ?a ?x))",            when: When::Always },
    Rule { name: "view-scale",    left: "(view ?m (scale ?a ?x))",          right: "(scale ?a (view ?m ?x))",            when: When::Always },
    Rule { name: "scale-add",     left: "(scale ?a (add ?x ?y))",           right: "(add (scale ?a ?x) (scale ?a ?y))",  when: When::NotShared },
    Rule { name: "scale-sub",     left: "(scale ?a (sub ?x ?y))",           right: "(sub (scale ?a ?x) (scale ?a ?y))",  when: When::NotShared },
    Rule { name: "scale-offset",  left: "(scale ?a (offset ?b ?x))",        right: "(offset (* ?a ?b) (scale ?a ?x))",   when: When::NotShared },
    Rule { name: "scale-mul",     left: "(scale ?a (mul ?x ?y))",           right: "(mul (scale ?a ?x) ?y)",             when: When::TakesConstant },
    Rule { name: "offset-offset", left: "(offset ?a (offset ?b ?x))",       right: "(offset (+ ?a ?b) ?x)",              when: When::Always },
    Rule { name: "mul-comm",      left: "(mul ?x ?y)",                      right: "(mul ?y ?x)",                        when: When::Always },
    Rule { name: "mul-assoc",     left: "(mul ?x (mul ?y ?z))",             right: "(mul (mul ?x ?y) ?z)",               when: When::NotVariable },
    Rule { name: "factor",        left: "(add (mul ?x ?z) (mul ?y ?z))",    right: "(mul (add ?x ?y) ?z)",               when: When::Always },
];

/// The names of all rules, in the order of the table.
pub(super) fn names() -> Vec<String> {
    rules().iter().map(|rule| rule.name.to_string()).collect()
}

/// Every rule: the table, and the one that looks at the other readers of a value.
pub(super) fn rules() -> Vec<Rewrite<Term, Constants>> {
    let mut rules: Vec<_> = RULES.iter().map(Rule::rewrite).collect();
    rules.push(rewrite!("linear-reads-scaled"; "(linear ?m ?k ?b ?x)" => { ReadScaled::new() }));
    rules
}

impl Rule {
    fn rewrite(&self) -> Rewrite<Term, Constants> {
        let right: Pattern<Term> = self.right.parse().expect("the table's patterns are well formed");
        let built = match self.when {
            When::Always => Rewrite::new(self.name, self.left_pattern(), right),
            When::IsOne => Rewrite::new(
                self.name,
                self.left_pattern(),
                ConditionalApplier { condition: is_one("?a"), applier: right },
            ),
            When::NotShared => Rewrite::new(
                self.name,
                self.left_naming_operand(),
                ConditionalApplier { condition: not_shared("?s"), applier: right },
            ),
            When::NotVariable => Rewrite::new(
                self.name,
                self.left_naming_operand(),
                ConditionalApplier { condition: not_variable("?s"), applier: right },
            ),
            When::TakesConstant => Rewrite::new(
                self.name,
                self.left_naming_operand(),
                ConditionalApplier { condition: takes_constant("?x", "?y"), applier: right },
            ),
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

fn is_one(name: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let variable = var(name);
    move |egraph, _, subst| egraph[subst[variable]].data.constant.is_some_and(|constant| constant.0 == 1.0)
}

fn not_shared(name: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let variable = var(name);
    move |egraph, _, subst| !egraph[subst[variable]].data.shared
}

fn not_variable(name: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let variable = var(name);
    move |egraph, _, subst| !egraph[subst[variable]].data.variable
}

/// The factor of a product that takes a constant: the one that has constants already, else the value itself where it is
/// no product. So a coefficient goes on x, beside x², and later constants go where it is.
fn takes_constant(factor: &str, other: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let (factor, other) = (var(factor), var(other));
    move |egraph, _, subst| {
        let class = &egraph[subst[factor]];
        if class.data.takes_constant() {
            return true;
        }
        let is_product = !class.data.variable && class.nodes.iter().any(|term| matches!(term, Term::Mul(_)));
        !is_product && !egraph[subst[other]].data.takes_constant()
    }
}

fn var(name: &str) -> Var {
    name.parse().expect("a literal variable name")
}

/// Where `a·x` is computed anyway, `M·x` may read it as `(M/a)·(a·x)`: several readers of one value agree on a scale.
struct ReadScaled {
    map: Var,
    matrix_factor: Var,
    bias_factor: Var,
    operand: Var,
}

impl ReadScaled {
    fn new() -> Self {
        ReadScaled { map: var("?m"), matrix_factor: var("?k"), bias_factor: var("?b"), operand: var("?x") }
    }

    /// The scaled forms of a class: `(a, id of a·x)`.
    fn scaled_forms(egraph: &Graph, operand: Id) -> Vec<(Id, Id)> {
        let operand = egraph.find(operand);
        let mut forms = Vec::new();
        for parent in egraph[operand].parents() {
            for term in &egraph[parent].nodes {
                if let Term::Scale([factor, scaled]) = term
                    && egraph.find(*scaled) == operand
                    && egraph[*factor].data.constant.is_some_and(|constant| constant.0 != 0.0)
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
            let matrix_factor = egraph.add(Term::Over([subst[self.matrix_factor], factor]));
            let reading = egraph.add(Term::Linear([subst[self.map], matrix_factor, subst[self.bias_factor], scaled]));
            if egraph.union(class, reading) {
                changed.push(class);
            }
        }
        changed
    }

    fn vars(&self) -> Vec<Var> {
        vec![self.map, self.matrix_factor, self.bias_factor, self.operand]
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

    /// The value of a term: constants are vectors of one repeated number.
    fn value(term: &RecExpr<ENodeOrVar<Term>>, id: Id) -> Vec<f64> {
        let of = |id: &Id| value(term, *id);
        let zip = |a: &Id, b: &Id, f: fn(f64, f64) -> f64| of(a).iter().zip(of(b)).map(|(a, b)| f(*a, b)).collect();
        match &term[id] {
            ENodeOrVar::Var(name) => {
                let name = name.to_string();
                let is_tensor = matches!(name.as_str(), "?x" | "?y" | "?z");
                (0..SIZE).map(|place| number(&name, if is_tensor { place } else { 0 })).collect()
            }
            ENodeOrVar::ENode(node) => match node {
                Term::Times([a, b]) | Term::Mul([a, b]) | Term::Scale([a, b]) => zip(a, b, |a, b| a * b),
                Term::Over([a, b]) => zip(a, b, |a, b| a / b),
                Term::Plus([a, b]) | Term::Add([a, b]) | Term::Offset([a, b]) => zip(a, b, |a, b| a + b),
                Term::Sub([a, b]) => zip(a, b, |a, b| a - b),
                Term::View([_, x]) => of(x).into_iter().rev().collect(),
                Term::Linear([_, matrix_factor, bias_factor, x]) => {
                    let x = of(x);
                    let entry = |row: usize| (0..SIZE).map(|c| number("matrix", row * SIZE + c) * x[c]).sum::<f64>();
                    let (matrix_factor, bias_factor) = (of(matrix_factor)[0], of(bias_factor)[0]);
                    (0..SIZE).map(|row| matrix_factor * entry(row) + bias_factor * number("bias", row)).collect()
                }
                other => panic!("{other} is in no rule"),
            },
        }
    }

    #[test]
    fn rules_are_identities() {
        for rule in RULES.iter().filter(|rule| rule.when != When::IsOne) {
            let right: Pattern<Term> = rule.right.parse().unwrap();
            let (left, right) = (rule.left_pattern().ast, right.ast);
            let (a, b) = (value(&left, left.root()), value(&right, right.root()));
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 1e-12, "{}: {a} on the left, {b} on the right", rule.name);
            }
        }
    }
}
