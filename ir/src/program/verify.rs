//! The verifier of the slots and ckks IRs. It checks that
//!
//! * the slots are a power of two, and every map, its layouts and its plan agree ([`PackedMap::check`]);
//! * operands come before their users, and every type follows from the operands;
//! * each input port is read by exactly one operation, at one level therefore;
//! * there is an output, and outputs name values with the ciphertexts and the period of the port's layout;
//! * ports have shapes that fit their layouts, layouts that fit the slots, usable scales and ranges;
//! * the client's program takes the tensors of these shapes, and each of its steps fits its operands.
//!
//! It does not check that plans take every diagonal, which needs the maps' matrices: [`PackedMap::check_complete`] does.
//! It checks neither noise nor that every value is used.

use super::{InputPort, Operation, OutputPort, Program};
use crate::diagonals::PackedMap;
use crate::error::IrError;
use crate::layout::{Layout, MAX_SLOTS};
use crate::tensor::Shape;

impl<O: Operation> Program<O> {
    /// Problems in maps, values and ports; empty for a valid program.
    pub(crate) fn problems(&self) -> Vec<String> {
        if !self.slots.is_power_of_two() || self.slots > MAX_SLOTS {
            return vec![format!("{} slots: not a power of two up to {MAX_SLOTS}", self.slots)];
        }
        let mut problems: Vec<String> = self.map_problems(|map| map.check(self.slots)).collect();
        if !problems.is_empty() {
            return problems;
        }
        problems.extend(self.value_problems());
        problems.extend(self.reader_problem());
        problems.extend(self.inputs.iter().flat_map(|port| self.input_problems(port)));
        problems.extend(self.outputs.iter().flat_map(|port| self.output_problems(port)));
        if self.outputs.is_empty() {
            problems.push("there is no output".into());
        }
        if problems.is_empty() {
            problems
                .extend(self.client.problems(&self.outputs.iter().map(|port| port.shape.size()).collect::<Vec<_>>()));
        }
        problems
    }

    fn map_problems(&self, check: impl Fn(&PackedMap) -> Result<(), IrError>) -> impl Iterator<Item = String> {
        let problem = move |(index, map): (usize, &PackedMap)| {
            let error = check(map).err()?;
            Some(format!("map #{index} `{}`: {error}", map.name))
        };
        self.maps.iter().enumerate().filter_map(problem)
    }

    fn value_problems(&self) -> impl Iterator<Item = String> {
        self.values().filter_map(|(id, value)| match self.infer(&value.op, id.index()) {
            Ok(ty) if ty == value.ty => None,
            Ok(ty) => Some(format!("{}: its type must be {ty}", self.print_value(id, value))),
            Err(error) => Some(format!("{}: {error}", self.print_value(id, value))),
        })
    }

    fn reader_problem(&self) -> Option<String> {
        let mut readers = vec![0usize; self.inputs.len()];
        for port in self.values().filter_map(|(_, value)| value.op.port()) {
            if let Some(readers) = readers.get_mut(port as usize) {
                *readers += 1;
            }
        }
        let wrong = readers.iter().any(|&readers| readers != 1);
        wrong.then(|| format!("the inputs are read {readers:?} times, not once each"))
    }

    fn input_problems(&self, port: &InputPort) -> Vec<String> {
        let mut problems = self.port_problems(&port.shape, &port.layout, port.scaling.scale);
        let (low, high) = port.scaling.range;
        if low.is_nan() || high.is_nan() || low > high {
            problems.push(format!("range ({low:?}, {high:?})"));
        }
        problems.extend(port.scaling.own.problem(port.shape.size()));
        problems.into_iter().map(|problem| format!("input `{}`: {problem}", port.name)).collect()
    }

    fn output_problems(&self, port: &OutputPort) -> Vec<String> {
        let mut problems = self.port_problems(&port.shape, &port.layout, port.scale);
        match self.values.get(port.value.index()) {
            Some(value) => problems.extend(self.misfit(value.ty, &port.layout)),
            None => problems.push(format!("no value %{}", port.value.0)),
        }
        problems.into_iter().map(|problem| format!("output `{}`: {problem}", port.name)).collect()
    }

    fn port_problems(&self, shape: &Shape, layout: &Layout, scale: f64) -> Vec<String> {
        let mut problems = Vec::new();
        if shape.checked_size() != Some(layout.size()) {
            problems.push(format!("shape {shape} under a layout of {} elements", layout.size()));
        }
        if !layout.fits(self.slots) {
            let (ciphertexts, period) = (layout.ciphertexts, layout.period);
            problems.push(format!("a layout of {ciphertexts} times {period} in {} slots", self.slots));
        }
        if !scale.is_finite() || scale == 0.0 {
            problems.push(format!("scale {scale:?}"));
        }
        problems
    }

    /// Why a value cannot be read under a layout.
    fn misfit(&self, ty: O::Type, layout: &Layout) -> Option<String> {
        if O::ciphertexts(ty) != layout.ciphertexts {
            return Some(format!("{} ciphertexts, not {}", O::ciphertexts(ty), layout.ciphertexts));
        }
        let period = O::period(ty).filter(|&period| period != layout.period)?;
        Some(format!("a value of period {period} under a layout of period {}", layout.period))
    }
}
