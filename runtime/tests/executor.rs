//! The executor on an engine that only counts: what it frees, what it copies, what it tells its observer.

mod common;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use common::{Case, cases, network_case, refreshing_case, relu_case};
use paf_engine::{Evaluator, LinearStep, Result};
use paf_engine_clear::{ClearCiphertext, ClearEvaluator, ClearMaps};
use paf_ir::ckks::{CkksProgram, Level, Type, Verified};
use paf_runtime::RuntimeError;
use paf_runtime::executor::{Alive, Evaluation, Step, run};
use paf_scheme::EngineProfile;

#[derive(Debug, Default)]
struct Counts {
    live: usize,
    peak: usize,
    copies: usize,
}

type Shared = Rc<RefCell<Counts>>;

/// A ciphertext that counts itself.
struct Token(Shared);

impl Token {
    fn new(counts: &Shared) -> Self {
        let mut now = counts.borrow_mut();
        now.live += 1;
        now.peak = now.peak.max(now.live);
        Token(Rc::clone(counts))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.borrow_mut().live -= 1;
    }
}

struct Counting(Shared);

impl Evaluator for Counting {
    const PROFILE: &'static EngineProfile = EngineProfile::openfhe();

    type Ciphertext = Token;

    fn duplicate(&self, _: &Token) -> Result<Token> {
        self.0.borrow_mut().copies += 1;
        Ok(Token::new(&self.0))
    }

    fn linear(&self, step: LinearStep<'_>, _: &[Token]) -> Result<Vec<Token>> {
        Ok((0..step.map.output.ciphertexts).map(|_| Token::new(&self.0)).collect())
    }

    fn rotate(&self, _: &Token, _: i64, _: Type) -> Result<Token> {
        Ok(Token::new(&self.0))
    }

    fn add(&self, left: Token, _: &Token) -> Result<Token> {
        Ok(left)
    }

    fn sub(&self, left: Token, _: &Token) -> Result<Token> {
        Ok(left)
    }

    fn mul(&self, _: &Token, _: &Token) -> Result<Token> {
        Ok(Token::new(&self.0))
    }

    fn square(&self, _: &Token) -> Result<Token> {
        Ok(Token::new(&self.0))
    }

    fn mul_constant(&self, input: Token, _: f64, _: Type, _: Level) -> Result<Token> {
        Ok(input)
    }

    fn add_constant(&self, input: Token, _: f64, _: Type) -> Result<Token> {
        Ok(input)
    }

    fn relinearize(&self, input: Token, _: Type) -> Result<Token> {
        Ok(input)
    }

    fn rescale(&self, input: Token, _: Type) -> Result<Token> {
        Ok(input)
    }

    fn drop_to(&self, input: Token, _: Type, _: Level) -> Result<Token> {
        Ok(input)
    }

    fn bootstrap(&self, input: Token, _: Type, _: usize, _: Level) -> Result<Token> {
        Ok(input)
    }
}

fn inputs(program: &CkksProgram, counts: &Shared) -> Vec<Vec<Token>> {
    let port = |port: &paf_ir::program::InputPort| (0..port.layout.ciphertexts).map(|_| Token::new(counts)).collect();
    program.inputs.iter().map(port).collect()
}

#[test]
fn nothing_outlives_its_last_use() {
    for case in cases() {
        let counts = Shared::default();
        let program = &case.circuit.program;
        let outputs = run(&Counting(Rc::clone(&counts)), program, inputs(program, &counts), &mut |_| {}).unwrap();
        let expected: usize = program.outputs.iter().map(|port| port.layout.ciphertexts).sum();
        assert_eq!(counts.borrow().live, expected, "{}", case.name);
        drop(outputs);
        assert_eq!(counts.borrow().live, 0, "{}", case.name);
    }
}

#[test]
fn an_evaluation_that_is_cancelled_holds_nothing() {
    for case in cases().into_iter().chain([refreshing_case()]) {
        let program = &case.circuit.program;
        for position in 0..program.len() {
            let counts = Shared::default();
            let mut held = 0;
            let cancelling = &mut |step: Step<'_>| {
                held = counts.borrow().live;
                if step.id.index() < position { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let engine = Counting(Rc::clone(&counts));
            let error = run(&engine, program, inputs(program, &counts), cancelling).map(drop).unwrap_err();
            assert!(matches!(error, RuntimeError::Cancelled), "{error}");
            assert!(held > 0, "{} has values before operation {position}", case.name);
            assert_eq!(counts.borrow().live, 0, "{} before operation {position}", case.name);
        }
    }
}

#[test]
fn relu_holds_as_few_ciphertexts_as_its_definition_needs() {
    let case = relu_case();
    let counts = Shared::default();
    let program = &case.circuit.program;
    let engine = Counting(Rc::clone(&counts));
    drop(run(&engine, program, inputs(program, &counts), &mut |_| {}).unwrap());
    let counts = counts.borrow();
    // x, x², c·x and their product; x is still needed twice when it is scaled, and no other value is.
    assert_eq!((counts.peak, counts.copies), (4, 2));
}

#[test]
fn the_observer_sees_every_layer_in_order() {
    let case = network_case();
    let counts = Shared::default();
    let program = &case.circuit.program;
    let (mut layers, mut last) = (Vec::new(), 0);
    let observer = &mut |step: Step<'_>| {
        assert!(step.done >= last && step.done < step.total);
        last = step.done;
        if layers.last().map(String::as_str) != Some(step.layer) {
            layers.push(step.layer.to_owned());
        }
    };
    run(&Counting(Rc::clone(&counts)), program, inputs(program, &counts), observer).unwrap();
    assert_eq!(layers, ["x", "conv", "relu", "dense"]);
}

#[test]
fn missing_ciphertexts_are_an_error() {
    let case = relu_case();
    let engine = Counting(Shared::default());
    let error = run(&engine, &case.circuit.program, vec![vec![]], &mut |_| {}).map(drop).unwrap_err();
    assert!(matches!(error, RuntimeError::CiphertextCount { .. }), "{error}");
}

fn clear_inputs(engine: &ClearEvaluator<'_>, case: &Case) -> Vec<Vec<ClearCiphertext>> {
    let level = case.circuit.input_levels()[0];
    let vectors = case.circuit.program.inputs[0].layout.pack(&case.samples[0]);
    vec![vectors.into_iter().map(|vector| engine.encrypt(vector, level)).collect()]
}

/// An evaluation that was stopped before operation `position`.
fn stopped(engine: &ClearEvaluator<'_>, case: &Case, position: usize) -> Vec<Alive<ClearCiphertext>> {
    let mut evaluation = Evaluation::new(engine, &case.circuit.program, clear_inputs(engine, case)).unwrap();
    (0..position).for_each(|_| evaluation.step().unwrap());
    evaluation.alive().map(|(id, value)| (id, value.to_vec())).collect()
}

fn finished(mut evaluation: Evaluation<'_, ClearEvaluator<'_>>, program: &Verified) -> Vec<Vec<ClearCiphertext>> {
    while let Some(step) = evaluation.next_step() {
        assert!(step.done < step.total && step.id.index() == evaluation.position());
        evaluation.step().unwrap();
    }
    assert_eq!(evaluation.position(), program.len());
    evaluation.outputs().unwrap()
}

#[test]
fn an_evaluation_goes_on_from_any_operation() {
    for case in cases().into_iter().chain([refreshing_case()]) {
        let program = &case.circuit.program;
        let maps = ClearMaps::new(program);
        let engine = ClearEvaluator::new(&maps);
        let whole = run(&engine, program, clear_inputs(&engine, &case), &mut |_| {}).unwrap();
        for position in 0..=program.len() {
            let alive = stopped(&engine, &case, position);
            let resumed = Evaluation::resume(&engine, program, clear_inputs(&engine, &case), position, alive).unwrap();
            assert_eq!(finished(resumed, program), whole, "{} from operation {position}", case.name);
        }
    }
}

#[test]
fn an_evaluation_goes_on_only_with_what_is_alive() {
    let case = network_case();
    let program = &case.circuit.program;
    let maps = ClearMaps::new(program);
    let engine = ClearEvaluator::new(&maps);
    let refused = |position, alive| {
        let error =
            Evaluation::resume(&engine, program, clear_inputs(&engine, &case), position, alive).map(drop).unwrap_err();
        assert!(matches!(error, RuntimeError::NotAlive { .. }), "{error}");
    };
    let alive = stopped(&engine, &case, 4);
    refused(3, alive.clone());
    refused(program.len() + 1, alive.clone());
    refused(4, alive[1..].to_vec());
    refused(4, alive.into_iter().map(|(id, value)| (id, [value.clone(), value].concat())).collect());
    let unfinished = Evaluation::new(&engine, program, clear_inputs(&engine, &case)).unwrap();
    assert!(matches!(unfinished.outputs().unwrap_err(), RuntimeError::NotAlive { position: 0 }));
}
