//! Runs a case on an engine in the plainest way: every value is kept to the end.

use paf_ir::ckks::{Op, Type};
use paf_ir::program::{Operation as _, ValueId};
use paf_ir::slots;

use super::cases::Case;
use crate::{Engine, EvaluationKeyId, Evaluator, KeyList, KeyNeeds, KeySet as _, LinearStep, Result};
use paf_scheme::{bootstrap_slots, relinearization_level, rotation_levels};

/// An engine with a key pair and the evaluation keys of a case.
pub(super) struct Party<E: Engine> {
    pub(super) engine: E,
    pub(super) secret: E::SecretKey,
    pub(super) public: E::PublicKey,
    pub(super) list: KeyList,
    pub(super) keys: E::Keys,
}

impl<E: Engine> Party<E> {
    pub(super) fn new(case: &Case) -> Self {
        let party = Self::without_keys(case);
        let all = party.engine.generate_keys(&party.secret, &party.list).collect::<Result<Vec<_>>>();
        party.keys.insert(all.expect("evaluation keys")).expect("a set takes keys");
        party
    }

    /// As [`Party::new`], with an empty key set.
    pub(super) fn without_keys(case: &Case) -> Self {
        let engine = E::new(&case.parameters).expect("the engine takes the parameters");
        let (secret, public) = engine.generate_pair().expect("a key pair");
        let list = key_list(&engine, case);
        let keys = engine.key_set(&public).expect("a key set");
        Party { engine, secret, public, list, keys }
    }

    /// What a case computes of a sample, all outputs one after another.
    pub(super) fn run(&self, case: &Case, sample: &[f64], budget: u64) -> Result<Vec<f64>> {
        let mut program = self.engine.load(&case.program)?;
        self.engine.prepare(&mut program, budget, &mut crate::unwatched)?;
        let inputs = self.encrypt(case, sample)?;
        let inputs = inputs.into_iter().map(|x| self.keys.admit(x)).collect::<Result<_>>()?;
        let evaluator = self.engine.evaluator(&program, &self.keys);
        let outputs = interpret(&evaluator, case, inputs)?;
        let mut results = Vec::new();
        for (port, ciphertexts) in case.program.outputs.iter().zip(outputs) {
            let ty = single(case.program.value(port.value).ty);
            let mut vectors = Vec::new();
            for ciphertext in ciphertexts {
                let mut slots = self.engine.decrypt(&self.secret, &self.keys.release(ciphertext)?, ty)?;
                assert_eq!(slots.len(), case.parameters.slots, "{}: decryption gives all slots", case.name);
                slots.truncate(port.layout.period);
                vectors.push(slots);
            }
            results.extend(port.layout.unpack(&vectors).into_iter().map(|value| value * port.scale));
        }
        Ok(results)
    }

    /// The ciphertexts of the one input of a case.
    pub(super) fn encrypt(&self, case: &Case, sample: &[f64]) -> Result<Vec<E::Ciphertext>> {
        let (port, ty) = (&case.program.inputs[0], case.program.value(ValueId(0)).ty);
        let scaled = sample.iter().enumerate().map(|(element, &value)| port.scaling.scaled(element, value));
        let scaled: Vec<f64> = scaled.collect();
        let vectors = slots::repeat(&port.layout.pack(&scaled), case.parameters.slots)?;
        vectors.iter().map(|slots| self.engine.encrypt(&self.public, slots, ty.level)).collect()
    }

    pub(super) fn ids(&self) -> Vec<EvaluationKeyId> {
        self.list.ids().collect()
    }
}

pub(super) fn key_list<E: Engine>(engine: &E, case: &Case) -> KeyList {
    let (rotations, bootstrap_slots) = (rotation_levels(&case.program), bootstrap_slots(&case.program));
    let relinearization = relinearization_level(&case.program, &case.parameters);
    let needs = KeyNeeds { rotations: &rotations, relinearization, bootstrap_slots: &bootstrap_slots };
    engine.key_list(&needs).expect("a key list")
}

pub(super) fn single(ty: Type) -> Type {
    Type { ciphertexts: 1, ..ty }
}

/// The ciphertexts of all outputs.
fn interpret<V: Evaluator>(evaluator: &V, case: &Case, inputs: Vec<V::Ciphertext>) -> Result<Vec<Vec<V::Ciphertext>>> {
    let mut values: Vec<Vec<V::Ciphertext>> = Vec::new();
    for (id, _) in case.program.values() {
        let value = evaluate(evaluator, case, id, &values, &inputs)?;
        values.push(value);
    }
    case.program.outputs.iter().map(|port| copies(evaluator, &values[port.value.index()])).collect()
}

fn copies<V: Evaluator>(evaluator: &V, value: &[V::Ciphertext]) -> Result<Vec<V::Ciphertext>> {
    value.iter().map(|x| evaluator.duplicate(x)).collect()
}

fn evaluate<V: Evaluator>(
    evaluator: &V,
    case: &Case,
    id: ValueId,
    values: &[Vec<V::Ciphertext>],
    inputs: &[V::Ciphertext],
) -> Result<Vec<V::Ciphertext>> {
    let op = &case.program.value(id).op;
    let operand = |index: usize| &values[op.operands()[index].index()];
    let ty = op.operands().first().map(|&input| single(case.program.value(input).ty));
    let ty = ty.unwrap_or(single(case.program.value(id).ty));
    let own = || copies(evaluator, operand(0));
    let each = |f: &dyn Fn(V::Ciphertext) -> Result<V::Ciphertext>| own()?.into_iter().map(f).collect();
    match *op {
        Op::Input { .. } => copies(evaluator, inputs),
        Op::Linear { map, level, .. } => {
            let step = LinearStep { id: map, map: &case.program.maps[map.index()], from: ty.level, to: level };
            evaluator.linear(step, operand(0))
        }
        Op::Rotate { steps, .. } => operand(0).iter().map(|x| evaluator.rotate(x, steps, ty)).collect(),
        Op::Add(..) => own()?.into_iter().zip(operand(1)).map(|(a, b)| evaluator.add(a, b)).collect(),
        Op::Sub(..) => own()?.into_iter().zip(operand(1)).map(|(a, b)| evaluator.sub(a, b)).collect(),
        Op::Mul(a, b) if a == b => operand(0).iter().map(|x| evaluator.square(x)).collect(),
        Op::Mul(..) => operand(0).iter().zip(operand(1)).map(|(a, b)| evaluator.mul(a, b)).collect(),
        Op::MulConstant { constant, level, .. } => each(&|x| evaluator.mul_constant(x, constant, ty, level)),
        Op::AddConstant { constant, .. } => each(&|x| evaluator.add_constant(x, constant, ty)),
        Op::Relinearize(_) => each(&|x| evaluator.relinearize(x, ty)),
        Op::Rescale(_) => each(&|x| evaluator.rescale(x, ty)),
        Op::Drop { level, .. } => each(&|x| evaluator.drop_to(x, ty, level)),
        Op::Bootstrap { slots, level, .. } => each(&|x| evaluator.bootstrap(x, ty, slots, level)),
    }
}
