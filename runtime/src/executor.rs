//! Runs a verified program on an engine: values in order, each freed after its last use.
//!
//! [`run`] goes through a program from inputs to outputs. [`Evaluation`] does it one operation at a time: a caller may
//! look at values, keep those that are alive, and go on from them later. [`Evaluation::finish`] is the one loop: look on,
//! make keys ready, do the operation.

use std::ops::ControlFlow;
use std::time::Instant;

use paf_engine::{Answer, Evaluator, LinearStep};
use paf_ir::ckks::{Op, Type, Verified};
use paf_ir::program::{InputPort, Operation, ValueId};
use paf_scheme::ProgressWeights;

use crate::error::{Result, RuntimeError};
use crate::tally::Tally;

/// Where an evaluation stands, told before each operation.
#[derive(Debug, Clone, Copy)]
pub struct Step<'p> {
    /// The value that the operation computes.
    pub id: ValueId,
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
/// [`RuntimeError::CiphertextCount`] if the inputs do not fit the ports, [`RuntimeError::Cancelled`] if the observer
/// breaks, and what the engine reports.
///
/// ```
/// use paf_engine_clear::{ClearEvaluator, ClearMaps};
/// use paf_ir::ckks::{CkksProgram, Level, Op};
/// use paf_ir::program::{InputPort, InputScaling, OutputPort};
/// use paf_ir::{Layout, Shape};
/// use paf_runtime::executor;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (shape, layout) = (Shape(vec![2]), Layout::dense(2, 4));
/// let port = InputPort { name: "x".into(), shape, layout, scaling: InputScaling::shared(1.0, (-1.0, 1.0)) };
/// let mut program = CkksProgram::new(4, vec![], vec![port.clone()]);
/// let x = program.push("x", Op::Input { port: 0, level: Level(1) })?;
/// let square = program.push("square", Op::Mul(x, x))?;
/// let square = program.push("square", Op::Relinearize(square))?;
/// let value = program.push("square", Op::Rescale(square))?;
/// let (shape, layout) = (port.shape, port.layout);
/// program.outputs.push(OutputPort { name: "y".into(), value, shape, layout, scale: 1.0 });
/// let program = program.verify()?;
///
/// let maps = ClearMaps::new(&program);
/// let evaluator = ClearEvaluator::new(&maps);
/// let x = evaluator.encrypt(vec![3.0, -2.0], Level(1));
/// let outputs = executor::run(&evaluator, &program, vec![vec![x]], &mut |_| {})?;
/// assert_eq!(outputs[0][0].values, [9.0, 4.0]);
/// # Ok(())
/// # }
/// ```
pub fn run<V: Evaluator, A: Answer>(
    evaluator: &V,
    program: &Verified,
    inputs: Vec<Vec<V::Ciphertext>>,
    observer: &mut dyn FnMut(Step<'_>) -> A,
) -> Result<Vec<Vec<V::Ciphertext>>> {
    let mut evaluation = Evaluation::new(evaluator, program, inputs)?;
    evaluation.finish(&mut Told(&mut |step| observer(step).flow()))?;
    evaluation.outputs()
}

/// Puts the keys into memory that an operation needs.
pub trait MakeReady {
    /// Puts the keys into memory that an operation needs.
    ///
    /// # Errors
    /// Those of reading keys.
    fn make_ready(&self, operation: ValueId) -> Result<()>;
}

/// Who looks on while an evaluation goes from operation to operation. An error ends the evaluation.
pub trait Onlooker<V: Evaluator> {
    /// Before an operation.
    ///
    /// # Errors
    /// [`RuntimeError::Cancelled`], or the onlooker's own.
    fn before(&mut self, evaluation: &Evaluation<'_, V>, step: Step<'_>) -> Result<()>;

    /// After it, when its value is there.
    ///
    /// # Errors
    /// The onlooker's own.
    fn after(&mut self, _evaluation: &Evaluation<'_, V>, _step: Step<'_>) -> Result<()> {
        Ok(())
    }
}

/// An observer that is told the steps.
pub(crate) struct Told<'o>(pub(crate) &'o mut dyn FnMut(Step<'_>) -> ControlFlow<()>);

impl<V: Evaluator> Onlooker<V> for Told<'_> {
    fn before(&mut self, _: &Evaluation<'_, V>, step: Step<'_>) -> Result<()> {
        RuntimeError::unless_cancelled((self.0)(step))
    }
}

/// The values before an operation: computed, and read by it or a later one or an output.
pub fn alive_before(program: &Verified, position: usize) -> Vec<ValueId> {
    let last_uses = program.last_uses();
    let ids = program.values().map(|(id, _)| id).take(position);
    ids.filter(|id| last_uses[id.index()] >= position).collect()
}

/// A value by number with its ciphertexts.
pub type Alive<C> = (ValueId, Vec<C>);

/// A program between two of its operations.
pub struct Evaluation<'r, V: Evaluator> {
    evaluator: &'r V,
    program: &'r Verified,
    keys: Option<&'r dyn MakeReady>,
    tally: Option<&'r Tally>,
    last_uses: Vec<usize>,
    costs: Vec<u64>,
    done: u64,
    total: u64,
    inputs: Vec<Vec<V::Ciphertext>>,
    values: Vec<Option<Vec<V::Ciphertext>>>,
}

impl<'r, V: Evaluator> Evaluation<'r, V> {
    /// Before the first operation.
    ///
    /// # Errors
    /// [`RuntimeError::CiphertextCount`] if the inputs do not fit the ports.
    pub fn new(evaluator: &'r V, program: &'r Verified, inputs: Vec<Vec<V::Ciphertext>>) -> Result<Self> {
        Self::resume(evaluator, program, inputs, 0, vec![])
    }

    /// Before operation `position`, with the values that are alive there ([`alive_before`]) and the inputs of the whole
    /// program; ports that no operation reads from there on are ignored.
    ///
    /// # Errors
    /// [`RuntimeError::CiphertextCount`] if the inputs do not fit the ports, [`RuntimeError::NotAlive`] if the values
    /// are others.
    pub fn resume(
        evaluator: &'r V,
        program: &'r Verified,
        mut inputs: Vec<Vec<V::Ciphertext>>,
        position: usize,
        alive: Vec<Alive<V::Ciphertext>>,
    ) -> Result<Self> {
        let found: Vec<ValueId> = alive.iter().map(|(id, _)| *id).collect();
        let fits = |(id, value): &Alive<_>| program.value(*id).ty.ciphertexts == value.len();
        if position > program.len() || found != alive_before(program, position) || !alive.iter().all(fits) {
            return Err(RuntimeError::NotAlive { position });
        }
        inputs.iter_mut().enumerate().filter(|(port, _)| !reads(program, position, *port)).for_each(|(_, x)| x.clear());
        check_inputs(program, position, &inputs)?;
        let mut values: Vec<Option<Vec<_>>> = Vec::with_capacity(program.len());
        values.resize_with(position, || None);
        for (id, value) in alive {
            values[id.index()] = Some(value);
        }
        let weights = &V::PROFILE.progress;
        let costs: Vec<u64> = program.values().map(|(id, _)| cost(weights, program, id)).collect();
        let (done, total) = (costs[..position].iter().sum(), costs.iter().sum());
        let last_uses = program.last_uses();
        Ok(Evaluation { evaluator, program, keys: None, tally: None, last_uses, costs, done, total, inputs, values })
    }

    /// The same with keys that are made ready before each operation.
    #[must_use]
    pub fn with_keys(self, keys: &'r dyn MakeReady) -> Self {
        Evaluation { keys: Some(keys), ..self }
    }

    /// The same with somebody who counts how long operations take.
    #[must_use]
    pub(crate) fn with_tally(self, tally: &'r Tally) -> Self {
        Evaluation { tally: Some(tally), ..self }
    }

    /// Number of operations that are done.
    pub fn position(&self) -> usize {
        self.values.len()
    }

    /// The operation that [`Self::step`] would do; `None` at the end.
    pub fn next_step(&self) -> Option<Step<'r>> {
        let id = ValueId(self.position() as u32);
        let value = (id.index() < self.program.len()).then(|| self.program.value(id))?;
        Some(Step { id, layer: &value.name, done: self.done, total: self.total })
    }

    /// Does all operations that are left: before each the onlooker is asked, and its keys are made ready.
    ///
    /// # Errors
    /// What the onlooker and [`Evaluation::step`] give; the evaluation cannot go on then.
    pub fn finish(&mut self, onlooker: &mut dyn Onlooker<V>) -> Result<()> {
        while let Some(step) = self.next_step() {
            onlooker.before(self, step)?;
            self.step()?;
            onlooker.after(self, step)?;
        }
        Ok(())
    }

    /// Does the next operation, if there is one, after its keys were made ready.
    ///
    /// # Errors
    /// What the keys and the engine report; the evaluation cannot go on then.
    pub fn step(&mut self) -> Result<()> {
        let Some(Step { id, .. }) = self.next_step() else { return Ok(()) };
        if let Some(keys) = self.keys {
            keys.make_ready(id)?;
        }
        let start = Instant::now();
        let value = self.evaluate(id)?;
        if let Some(tally) = self.tally {
            tally.add(&self.program.value(id).op, start.elapsed());
        }
        self.values.push(Some(value));
        self.done += self.costs[id.index()];
        let operands = self.program.value(id).op.operands();
        for used in operands.into_iter().chain([id]) {
            if self.last_uses[used.index()] == id.index() {
                self.values[used.index()] = None;
            }
        }
        Ok(())
    }

    /// The ciphertexts of a value, if it is alive.
    pub fn get(&self, id: ValueId) -> Option<&[V::Ciphertext]> {
        self.values.get(id.index())?.as_deref()
    }

    /// All values that are alive, in order.
    pub fn alive(&self) -> impl Iterator<Item = (ValueId, &[V::Ciphertext])> {
        let values = self.values.iter().enumerate();
        values.filter_map(|(index, value)| Some((ValueId(index as u32), value.as_deref()?)))
    }

    fn evaluate(&mut self, id: ValueId) -> Result<Vec<V::Ciphertext>> {
        let (engine, value) = (self.evaluator, self.program.value(id));
        match value.op {
            Op::Input { port, .. } => self.input(id, port as usize),
            Op::Linear { map, input, level } => {
                let from = self.program.value(input).ty.level;
                let step = LinearStep { id: map, map: &self.program.maps[map.index()], from, to: level };
                Ok(engine.linear(step, self.value(input))?)
            }
            Op::Rotate { steps, input } => each_of(self.value(input), |x| engine.rotate(x, steps, single(value.ty))),
            Op::Add(a, b) => self.combine(id, a, b, |a, b| engine.add(a, b)),
            Op::Sub(a, b) => self.combine(id, a, b, |a, b| engine.sub(a, b)),
            Op::Mul(a, b) if a == b => each_of(self.value(a), |x| engine.square(x)),
            Op::Mul(a, b) => {
                let pairs = self.value(a).iter().zip(self.value(b));
                pairs.map(|(a, b)| Ok(engine.mul(a, b)?)).collect()
            }
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
    fn input(&mut self, id: ValueId, port: usize) -> Result<Vec<V::Ciphertext>> {
        if reads(self.program, id.index() + 1, port) {
            return each_of(&self.inputs[port], |x| self.evaluator.duplicate(x));
        }
        Ok(std::mem::take(&mut self.inputs[port]))
    }

    fn value(&self, id: ValueId) -> &[V::Ciphertext] {
        self.values[id.index()].as_ref().expect("no value is freed before its last use")
    }

    /// The value by itself: moved out if `reader` is its last use, otherwise a copy.
    fn owned(&mut self, reader: ValueId, id: ValueId) -> Result<Vec<V::Ciphertext>> {
        if self.last_uses[id.index()] == reader.index() {
            return Ok(self.values[id.index()].take().expect("no value is freed before its last use"));
        }
        each_of(self.value(id), |x| self.evaluator.duplicate(x))
    }

    fn each(
        &mut self,
        reader: ValueId,
        input: ValueId,
        operation: impl Fn(V::Ciphertext, Type) -> paf_engine::Result<V::Ciphertext>,
    ) -> Result<Vec<V::Ciphertext>> {
        let ty = single(self.program.value(input).ty);
        self.owned(reader, input)?.into_iter().map(|x| Ok(operation(x, ty)?)).collect()
    }

    fn combine(
        &mut self,
        reader: ValueId,
        a: ValueId,
        b: ValueId,
        operation: impl Fn(V::Ciphertext, &V::Ciphertext) -> paf_engine::Result<V::Ciphertext>,
    ) -> Result<Vec<V::Ciphertext>> {
        let left =
            if a == b { each_of(self.value(a), |x| self.evaluator.duplicate(x))? } else { self.owned(reader, a)? };
        left.into_iter().zip(self.value(b)).map(|(a, b)| Ok(operation(a, b)?)).collect()
    }

    /// One list of ciphertexts per output port.
    ///
    /// # Errors
    /// [`RuntimeError::NotAlive`] before the end of the program, and what the engine reports.
    pub fn outputs(mut self) -> Result<Vec<Vec<V::Ciphertext>>> {
        if self.position() < self.program.len() {
            return Err(RuntimeError::NotAlive { position: self.position() });
        }
        let ports: Vec<ValueId> = self.program.outputs.iter().map(|port| port.value).collect();
        let mut outputs = Vec::with_capacity(ports.len());
        for (index, id) in ports.iter().enumerate() {
            if ports[index + 1..].contains(id) {
                outputs.push(each_of(self.value(*id), |x| self.evaluator.duplicate(x))?);
            } else {
                outputs.push(self.values[id.index()].take().expect("an output is not freed"));
            }
        }
        Ok(outputs)
    }
}

impl<V: Evaluator> std::fmt::Debug for Evaluation<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluation").field("position", &self.position()).field("of", &self.program.len()).finish()
    }
}

/// The type of each ciphertext of a value.
fn single(ty: Type) -> Type {
    Type { ciphertexts: 1, ..ty }
}

fn each_of<C>(value: &[C], operation: impl Fn(&C) -> paf_engine::Result<C>) -> Result<Vec<C>> {
    value.iter().map(|x| Ok(operation(x)?)).collect()
}

/// Whether an operation from `position` on reads an input port.
fn reads(program: &Verified, position: usize, port: usize) -> bool {
    program.values().skip(position).any(|(_, value)| value.op.port() == Some(port as u32))
}

fn check_inputs<C>(program: &Verified, position: usize, inputs: &[Vec<C>]) -> Result<()> {
    let ports = program.inputs.iter().enumerate();
    let needed = |(index, port): (usize, &InputPort)| {
        if reads(program, position, index) { port.layout.ciphertexts } else { 0 }
    };
    let expected: Vec<usize> = ports.map(needed).collect();
    let got: Vec<usize> = inputs.iter().map(Vec::len).collect();
    if expected == got { Ok(()) } else { Err(RuntimeError::CiphertextCount { expected, got }) }
}

/// Relative cost of an operation: key switches and products, each proportional to the limbs.
fn cost(weights: &ProgressWeights, program: &Verified, id: ValueId) -> u64 {
    let value = program.value(id);
    let limbs = u64::from(value.ty.level.0) + 1;
    let each = match &value.op {
        Op::Linear { map, .. } => {
            let packed = &program.maps[map.index()];
            let (inputs, outputs) = (packed.input.ciphertexts, packed.output.ciphertexts);
            let diagonals = packed.plan.giants.iter().map(|giant| giant.babies.len()).sum::<usize>() * inputs * outputs;
            let rotations = packed.plan.rotation_count(inputs, outputs);
            let of_map = weights.rotation_in_map * rotations as u64 + weights.plaintext_product * diagonals as u64;
            return limbs * of_map;
        }
        Op::Rotate { .. } | Op::Relinearize(_) => weights.key_switch,
        Op::Rescale(_) | Op::Drop { .. } => weights.rescale,
        Op::Mul(..) => weights.product,
        Op::Bootstrap { .. } => return weights.bootstrap * value.ty.ciphertexts as u64,
        _ => weights.addition,
    };
    limbs * each * value.ty.ciphertexts as u64
}
