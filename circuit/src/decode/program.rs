//! The ciphertext program.

use std::sync::Arc;

use paf_ir::ckks::{CkksProgram, Level, Op, Verified};
use paf_ir::program::{MapId, ValueId};
use paf_scheme::Parameters;

use super::linear::{Tables, constants, map};
use super::{Result, malformed, name, ports, required, row};
use crate::limits::Budget;
use crate::schema;

/// A program that passed the verifier and fits its parameters.
pub(super) fn program(message: schema::Program, parameters: &Parameters, budget: &mut Budget) -> Result<Verified> {
    let slots = parameters.slots;
    if message.slots != slots as u64 {
        return Err(malformed(format!("a program for {} slots with parameters for {slots}", message.slots)));
    }
    let layouts = ports::layouts(&message.layouts, budget)?;
    let constants = constants(message.constants)?;
    let names = message.names.into_iter().map(|text| Ok(Arc::from(name(text)?))).collect::<Result<Vec<Arc<str>>>>()?;
    let tables = Tables { constants: &constants, layouts: &layouts, names: &names };
    let maps = message.maps.iter().map(|message| map(message, &tables, slots, budget)).collect::<Result<_>>()?;
    let mut program = CkksProgram::new(slots, maps, ports::inputs(message.inputs, &layouts, slots)?);
    for value in &message.values {
        push(&mut program, value, &names)?;
    }
    let values: Vec<ValueId> = message.output_values.iter().map(|&value| ValueId(value)).collect();
    program.outputs = ports::outputs(message.outputs, &values, &layouts, slots)?;
    program.client = ports::client_program(message.client)?;
    let program = program.verify().map_err(|error| malformed(error.to_string()))?;
    check_levels(&program, parameters)?;
    check_ports(&program)?;
    Ok(program)
}

fn push(program: &mut CkksProgram, message: &schema::Value, names: &[Arc<str>]) -> Result<()> {
    let name = row(names, message.name, "name")?;
    let op = operation(required(message.operation.as_ref(), "operation")?);
    program.push(name.clone(), op).map_err(|error| malformed(format!("value `{name}`: {error}")))?;
    Ok(())
}

fn operation(message: &schema::ValueOperation) -> Op {
    use schema::ValueOperation as Message;
    match *message {
        Message::Input(schema::Input { port, level }) => Op::Input { port, level: Level(level) },
        Message::Linear(schema::Linear { map, input, level }) => {
            Op::Linear { map: MapId(map), input: ValueId(input), level: Level(level) }
        }
        Message::Rotate(schema::Rotate { steps, input }) => Op::Rotate { steps, input: ValueId(input) },
        Message::Add(schema::Pair { left, right }) => Op::Add(ValueId(left), ValueId(right)),
        Message::Sub(schema::Pair { left, right }) => Op::Sub(ValueId(left), ValueId(right)),
        Message::Mul(schema::Pair { left, right }) => Op::Mul(ValueId(left), ValueId(right)),
        Message::MulConstant(schema::MulConstant { constant, input, level }) => {
            Op::MulConstant { constant, input: ValueId(input), level: Level(level) }
        }
        Message::AddConstant(schema::AddConstant { constant, input }) => {
            Op::AddConstant { constant, input: ValueId(input) }
        }
        Message::Relinearize(schema::Single { input }) => Op::Relinearize(ValueId(input)),
        Message::Rescale(schema::Single { input }) => Op::Rescale(ValueId(input)),
        Message::Drop(schema::ToLevel { input, level }) => Op::Drop { input: ValueId(input), level: Level(level) },
        Message::Bootstrap(schema::Refresh { input, level, slots }) => {
            Op::Bootstrap { input: ValueId(input), slots: slots as usize, level: Level(level) }
        }
    }
}

fn check_levels(program: &Verified, parameters: &Parameters) -> Result<()> {
    if program.top_level() > parameters.levels {
        let (top, levels) = (program.top_level(), parameters.levels);
        return Err(malformed(format!("the program starts at level {top}, the parameters have {levels}")));
    }
    let usable = parameters.usable_levels();
    for (_, value) in program.values() {
        match value.op {
            Op::Bootstrap { .. } if parameters.bootstrap.is_none() => {
                return Err(malformed(format!("value `{}`: a bootstrap without its parameters", value.name)));
            }
            Op::Bootstrap { level, .. } if level > usable => {
                return Err(malformed(format!("value `{}`: a bootstrap to level {level} of {usable}", value.name)));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that each input is read by one operation, and that results have the ciphertexts their layout says.
fn check_ports(program: &Verified) -> Result<()> {
    let mut readers = vec![0usize; program.inputs.len()];
    for (_, value) in program.values() {
        if let Op::Input { port, .. } = value.op {
            readers[port as usize] += 1;
        }
    }
    if readers.iter().any(|&readers| readers != 1) {
        return Err(malformed(format!("the inputs are read {readers:?} times, not once each")));
    }
    for port in &program.outputs {
        let ciphertexts = program.value(port.value).ty.ciphertexts;
        if ciphertexts != port.layout.ciphertexts {
            let expected = port.layout.ciphertexts;
            return Err(malformed(format!("output `{}`: {ciphertexts} ciphertexts, not {expected}", port.name)));
        }
    }
    Ok(())
}
