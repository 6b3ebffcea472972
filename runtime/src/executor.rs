//! Runs a verified program on an engine: values in order, each freed after its last use.

use paf_ir::ckks::{Op, Verified};
use paf_ir::program::{Operation, ValueId};

use crate::engine::{Engine, LinearStep, Result};
use crate::error::RuntimeError;

/// Where an evaluation stands, told before each operation.
#[derive(Debug, Clone, Copy)]
pub struct Step<'p> {
    /// The layer: the ONNX node that the operation came from.
    pub layer: &'p str,
    /// Estimated cost of what is done, in arbitrary units.
    pub done: u64,
    /// Estimated cost of the whole program.
    pub total: u64,
}

/// Evaluates a program: one list of ciphertexts per input port in, one per output port out.
///
/// # Errors
/// [`RuntimeError::CiphertextCount`] if the inputs do not fit the ports, and what the engine reports.
pub fn run<E: Engine>(
    engine: &E,
    program: &Verified,
    inputs: Vec<Vec<E::Ciphertext>>,
    observer: &mut dyn FnMut(Step<'_>),
) -> Result<Vec<Vec<E::Ciphertext>>> {
    check_inputs(program, &inputs)?;
    let costs: Vec<u64> = program.values().map(|(id, _)| cost(program, id)).collect();
    let (mut done, total) = (0, costs.iter().sum());
    let mut frame = Frame::new(engine, program, inputs);
    for (id, value) in program.values() {
        observer(Step { layer: &value.name, done, total });
        frame.step(id)?;
        done += costs[id.index()];
    }
    frame.outputs()
}

fn check_inputs<C>(program: &Verified, inputs: &[Vec<C>]) -> Result<()> {
    let expected: Vec<usize> = program.inputs.iter().map(|port| port.layout.ciphertexts).collect();
    let got: Vec<usize> = inputs.iter().map(Vec::len).collect();
    if expected == got { Ok(()) } else { Err(RuntimeError::CiphertextCount { expected, got }) }
}

/// Relative cost of an operation: key switches and products, each proportional to the limbs.
fn cost(program: &Verified, id: ValueId) -> u64 {
    let value = program.value(id);
    let limbs = u64::from(value.ty.level.0) + 1;
    let each = match &value.op {
        Op::Linear { map, .. } => {
            let packed = &program.maps[map.index()];
            let diagonals: usize = packed.plan.giants.iter().map(|giant| giant.babies.len()).sum();
            let rotations = packed.plan.rotation_count(packed.input.ciphertexts, packed.output.ciphertexts);
            return limbs * (20 * rotations + diagonals * packed.input.ciphertexts * packed.output.ciphertexts) as u64;
        }
        Op::Rotate { .. } | Op::Relinearize(_) => 40,
        Op::Rescale(_) | Op::Drop { .. } => 8,
        Op::Mul(..) => 4,
        Op::Bootstrap { .. } => 5000,
        _ => 1,
    };
    limbs * each * value.ty.ciphertexts as u64
}

struct Frame<'r, E: Engine> {
    engine: &'r E,
    program: &'r Verified,
    last_uses: Vec<usize>,
    inputs: Vec<Vec<E::Ciphertext>>,
    values: Vec<Option<Vec<E::Ciphertext>>>,
}

impl<'r, E: Engine> Frame<'r, E> {
    fn new(engine: &'r E, program: &'r Verified, inputs: Vec<Vec<E::Ciphertext>>) -> Self {
        Frame { engine, program, last_uses: program.last_uses(), inputs, values: Vec::with_capacity(program.len()) }
    }

    fn step(&mut self, id: ValueId) -> Result<()> {
        let value = self.evaluate(id)?;
        self.values.push(Some(value));
        let operands = self.program.value(id).op.operands();
        for used in operands.into_iter().chain([id]) {
            if self.last_uses[used.index()] == id.index() {
                self.values[used.index()] = None;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, id: ValueId) -> Result<Vec<E::Ciphertext>> {
        let (engine, value) = (self.engine, self.program.value(id));
        match value.op {
            Op::Input { port, .. } => self.input(id, port as usize),
            Op::Linear { map, input, level } => {
                let from = self.program.value(input).ty.level;
                let step = LinearStep { id: map, map: &self.program.maps[map.index()], from, to: level };
                engine.linear(step, self.value(input))
            }
            Op::Rotate { steps, input } => {
                self.value(input).iter().map(|x| engine.rotate(x, steps, value.ty)).collect()
            }
            Op::Add(a, b) => self.combine(id, a, b, |a, b| engine.add(a, b)),
            Op::Sub(a, b) => self.combine(id, a, b, |a, b| engine.sub(a, b)),
            Op::Mul(a, b) if a == b => self.value(a).iter().map(|x| engine.square(x)).collect(),
            Op::Mul(a, b) => self.value(a).iter().zip(self.value(b)).map(|(a, b)| engine.mul(a, b)).collect(),
            Op::MulConstant { constant, input, level } => {
                self.each(id, input, |x, ty| engine.mul_constant(x, constant, ty, level))
            }
            Op::AddConstant { constant, input } => self.each(id, input, |x, ty| engine.add_constant(x, constant, ty)),
            Op::Relinearize(input) => self.each(id, input, |x, ty| engine.relinearize(x, ty)),
            Op::Rescale(input) => self.each(id, input, |x, ty| engine.rescale(x, ty)),
            Op::Drop { input, level } => self.each(id, input, |x, ty| engine.drop_to(x, ty, level)),
            Op::Bootstrap { input, slots, level } => {
                self.each(id, input, |x, ty| engine.bootstrap(x, ty, slots, level))
            }
        }
    }

    /// The ciphertexts of an input port; the last `Input` operation of the port takes them.
    fn input(&mut self, id: ValueId, port: usize) -> Result<Vec<E::Ciphertext>> {
        let reads = |op: &Op| matches!(op, Op::Input { port: other, .. } if *other as usize == port);
        if self.program.values().skip(id.index() + 1).any(|(_, value)| reads(&value.op)) {
            return self.inputs[port].iter().map(|x| self.engine.duplicate(x)).collect();
        }
        Ok(std::mem::take(&mut self.inputs[port]))
    }

    fn value(&self, id: ValueId) -> &[E::Ciphertext] {
        self.values[id.index()].as_ref().expect("no value is freed before its last use")
    }

    /// The value by itself: moved out if `reader` is its last use, otherwise a copy.
    fn owned(&mut self, reader: ValueId, id: ValueId) -> Result<Vec<E::Ciphertext>> {
        if self.last_uses[id.index()] == reader.index() {
            return Ok(self.values[id.index()].take().expect("no value is freed before its last use"));
        }
        self.value(id).iter().map(|x| self.engine.duplicate(x)).collect()
    }

    fn each(
        &mut self,
        reader: ValueId,
        input: ValueId,
        operation: impl Fn(E::Ciphertext, paf_ir::ckks::Type) -> Result<E::Ciphertext>,
    ) -> Result<Vec<E::Ciphertext>> {
        let ty = self.program.value(input).ty;
        self.owned(reader, input)?.into_iter().map(|x| operation(x, ty)).collect()
    }

    fn combine(
        &mut self,
        reader: ValueId,
        a: ValueId,
        b: ValueId,
        operation: impl Fn(E::Ciphertext, &E::Ciphertext) -> Result<E::Ciphertext>,
    ) -> Result<Vec<E::Ciphertext>> {
        let left = if a == b {
            self.value(a).iter().map(|x| self.engine.duplicate(x)).collect::<Result<_>>()?
        } else {
            self.owned(reader, a)?
        };
        left.into_iter().zip(self.value(b)).map(|(a, b)| operation(a, b)).collect()
    }

    fn outputs(mut self) -> Result<Vec<Vec<E::Ciphertext>>> {
        let ports: Vec<ValueId> = self.program.outputs.iter().map(|port| port.value).collect();
        let mut outputs = Vec::with_capacity(ports.len());
        for (index, id) in ports.iter().enumerate() {
            if ports[index + 1..].contains(id) {
                outputs.push(self.value(*id).iter().map(|x| self.engine.duplicate(x)).collect::<Result<_>>()?);
            } else {
                outputs.push(self.values[id.index()].take().expect("an output is not freed"));
            }
        }
        Ok(outputs)
    }
}
