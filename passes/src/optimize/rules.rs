//! The rules: exact identities of real tensors. Constants move to where they cost nothing, products balance.
//!
//! See `README.md` beside this file on adding one.

use egg::{Applier, ConditionalApplier, Id, MultiPattern, Pattern, PatternAst, Rewrite, Subst, Symbol, Var, rewrite};

use super::language::{Constants, Graph, Term};

#[rustfmt::skip]
/// Every rule, in the order of the report. A scale moves into a value only where no product reads that value as it
/// is: otherwise it would be computed twice.
pub(super) fn rules() -> Vec<Rewrite<Term, Constants>> {
    vec![
        rewrite!("scale-one";           "(scale ?a ?x)"                    => "?x" if is_one("?a")),
        guarded("scale-scale",          "?s = (scale ?b ?x)",                 "(scale (* ?a ?b) ?x)",              not_shared("?s")),
        guarded("scale-linear",         "?s = (linear ?m ?k ?b ?x)",          "(linear ?m (* ?a ?k) (* ?a ?b) ?x)", not_shared("?s")),
        rewrite!("linear-scale";        "(linear ?m ?k ?b (scale ?a ?x))"  => "(linear ?m (* ?k ?a) ?b ?x)"),
        rewrite!("linear-reads-scaled"; "(linear ?m ?k ?b ?x)"             => { ReadScaled::new() }),
        rewrite!("scale-view";          "(scale ?a (view ?m ?x))"          => "(view ?m (scale ?a ?x))"),
        rewrite!("view-scale";          "(view ?m (scale ?a ?x))"          => "(scale ?a (view ?m ?x))"),
        guarded("scale-add",            "?s = (add ?x ?y)",                   "(add (scale ?a ?x) (scale ?a ?y))", not_shared("?s")),
        guarded("scale-sub",            "?s = (sub ?x ?y)",                   "(sub (scale ?a ?x) (scale ?a ?y))", not_shared("?s")),
        guarded("scale-offset",         "?s = (offset ?b ?x)",                "(offset (* ?a ?b) (scale ?a ?x))",  not_shared("?s")),
        guarded("scale-mul",            "?s = (mul ?x ?y)",                   "(mul (scale ?a ?x) ?y)",            takes_constant("?x", "?y")),
        rewrite!("offset-offset";       "(offset ?a (offset ?b ?x))"       => "(offset (+ ?a ?b) ?x)"),
        rewrite!("mul-comm";            "(mul ?x ?y)"                      => "(mul ?y ?x)"),
        rewrite!("mul-assoc";           "(mul ?x (mul ?y ?z))"             => "(mul (mul ?x ?y) ?z)"),
        rewrite!("factor";              "(add (mul ?x ?z) (mul ?y ?z))"    => "(mul (add ?x ?y) ?z)"),
    ]
}

/// The rule that `(scale ?a ?s)`, with `?s` as in `operand`, equals `right` under a condition.
fn guarded(
    name: &str,
    operand: &str,
    right: &str,
    condition: impl Fn(&mut Graph, Id, &Subst) -> bool + Send + Sync + 'static,
) -> Rewrite<Term, Constants> {
    let searcher: MultiPattern<Term> =
        format!("?r = (scale ?a ?s), {operand}").parse().expect("the table's patterns are well formed");
    let applier: Pattern<Term> = right.parse().expect("the table's patterns are well formed");
    Rewrite::new(name, searcher, ConditionalApplier { condition, applier }).expect("every variable is bound")
}

fn is_one(name: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let variable = var(name);
    move |egraph, _, subst| egraph[subst[variable]].data.constant.is_some_and(|constant| constant.0 == 1.0)
}

fn not_shared(name: &str) -> impl Fn(&mut Graph, Id, &Subst) -> bool + use<> {
    let variable = var(name);
    move |egraph, _, subst| !egraph[subst[variable]].data.shared
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
        !egraph[subst[other]].data.takes_constant() && !class.nodes.iter().any(|term| matches!(term, Term::Mul(_)))
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
