//! Text form of the slots and ckks IRs.
//!
//! ```text
//! slots 8
//! const @0 f64[2, 3] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
//! map #0 "fc" = {dense @0 left=1 right=1} scale=1.0 inputs=3 from layout … to layout … plan modulus=4 folds=[] giants {0: [0, 1]}
//! input "x" shape=[3] scale=0.5 range=[-2.0, 2.0] layout period=4 ciphertexts=1 gaps=zero first=0 digits=[3, 1]
//! %0 "x" = input port=0 : vec<1, 4>
//! %1 "fc" = linear #0 %0 : vec<1, 2>
//! output "y" %1 shape=[2] scale=1.0 layout period=2 ciphertexts=1 gaps=zero first=0 digits=[2, 1]
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use super::{InputPort, InputScaling, MapId, Operation, OutputPort, OwnColumn, OwnColumns, Program, Value, ValueId};
use crate::diagonals::PackedMap;
use crate::error::IrError;
use crate::tensor::Shape;
use crate::text::{
    ConstantTable, Constants, Line, parse_constant, parse_layout, parse_map, parse_plan, print_layout, print_map,
    print_plan, quote,
};

/// A parsing position inside an operation, for implementations of [`Operation::parse`].
pub struct OpLine<'l, 't>(&'l mut Line<'t>);

impl OpLine<'_, '_> {
    /// `%N`.
    ///
    /// # Errors
    /// [`IrError::Parse`].
    pub fn value(&mut self) -> Result<ValueId, IrError> {
        self.0.take(",");
        self.0.expect("%")?;
        Ok(ValueId(self.0.number()?))
    }

    /// `#N`.
    ///
    /// # Errors
    /// [`IrError::Parse`].
    pub fn map(&mut self) -> Result<MapId, IrError> {
        self.0.expect("#")?;
        Ok(MapId(self.0.number()?))
    }

    /// `key=N`.
    ///
    /// # Errors
    /// [`IrError::Parse`].
    pub fn keyed<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, IrError> {
        self.0.keyed(key)
    }

    /// An error that the name is no operation.
    pub fn unknown(&self, name: &str) -> IrError {
        self.0.error(format!("unknown operation `{name}`"))
    }
}

impl<O: Operation> Program<O> {
    pub(super) fn print_value(&self, id: ValueId, value: &Value<O>) -> String {
        let operands: Vec<String> = value.op.operands().iter().map(|operand| format!("%{}", operand.0)).collect();
        let attributes = value.op.print_attributes();
        let (op, ty) = (value.op.name(), value.ty);
        format!("%{} {} = {op} {attributes}{} : {ty}", id.0, quote(&value.name), operands.join(", "))
    }

    /// The text form, weights included.
    pub fn to_text(&self) -> String {
        let mut table = ConstantTable::default();
        let body = self.print_body(&mut table);
        format!("slots {}\n{}{body}", self.slots, table.print())
    }

    /// The text form without weights and layouts, for reading.
    pub fn to_listing(&self) -> String {
        let mut text = format!("slots {}\n", self.slots);
        for (index, map) in self.maps.iter().enumerate() {
            let plan = &map.plan;
            let _ = writeln!(
                text,
                "map #{index} {}: {} to {} elements, {} babies, {} giants, {} folds",
                quote(&map.name),
                map.map.inputs,
                map.map.outputs,
                plan.babies().len(),
                plan.giant_rotations().len(),
                plan.folds.len()
            );
        }
        for (id, value) in self.values() {
            let _ = writeln!(text, "{}", self.print_value(id, value));
        }
        for port in &self.outputs {
            let _ = writeln!(text, "output {} %{} scale={:?}", quote(&port.name), port.value.0, port.scale);
        }
        text
    }

    fn print_body(&self, table: &mut ConstantTable) -> String {
        let mut text = String::new();
        for (index, map) in self.maps.iter().enumerate() {
            let _ = writeln!(
                text,
                "map #{index} {} = {} from {} to {} {}",
                quote(&map.name),
                print_map(&map.map, table),
                print_layout(&map.input),
                print_layout(&map.output),
                print_plan(&map.plan)
            );
        }
        for port in &self.inputs {
            let _ = writeln!(
                text,
                "input {} shape={} scale={:?} range=[{:?}, {:?}]{} {}",
                quote(&port.name),
                port.shape,
                port.scaling.scale,
                port.scaling.range.0,
                port.scaling.range.1,
                print_own(&port.scaling.own),
                print_layout(&port.layout)
            );
        }
        for (id, value) in self.values() {
            let _ = writeln!(text, "{}", self.print_value(id, value));
        }
        for port in &self.outputs {
            let _ = writeln!(
                text,
                "output {} %{} shape={} scale={:?} {}",
                quote(&port.name),
                port.value.0,
                port.shape,
                port.scale,
                print_layout(&port.layout)
            );
        }
        text += &self.client.print(table);
        text
    }

    /// Reads a text form back; types are inferred again and must equal the printed ones. Ports and maps are checked
    /// by the verifier.
    ///
    /// # Errors
    /// [`IrError::Parse`] with the first line that cannot be read.
    pub fn from_text(text: &str) -> Result<Self, IrError> {
        let mut program = Program::new(1, vec![], vec![]);
        let mut constants = Constants::new();
        for mut line in Line::all(text) {
            program.parse_line(&mut line, &mut constants).map_err(|error| line.locate(error))?;
            if !line.at_end() {
                return Err(line.error("unexpected text at the end of the line"));
            }
        }
        Ok(program)
    }

    fn parse_line(&mut self, line: &mut Line<'_>, constants: &mut Constants) -> Result<(), IrError> {
        if parse_constant(line, constants)? {
        } else if line.take("slots ") {
            self.slots = line.number()?;
        } else if line.take("map #") {
            let number: usize = line.number()?;
            if number != self.maps.len() {
                return Err(line.error(format!("expected map #{}, found #{number}", self.maps.len())));
            }
            self.maps.push(parse_packed_map(line, constants)?);
        } else if line.take("input ") {
            self.inputs.push(parse_input(line)?);
        } else if line.take("output ") {
            self.outputs.push(parse_output(line)?);
        } else if self.client.parse_line(line, constants)? {
        } else {
            self.parse_value(line)?;
        }
        Ok(())
    }

    fn parse_value(&mut self, line: &mut Line<'_>) -> Result<(), IrError> {
        line.expect(&format!("%{}", self.len()))?;
        let name = line.string()?;
        line.expect("=")?;
        let word = line.word()?.to_owned();
        let op = O::parse(&word, &mut OpLine(line))?;
        let id = self.push(name, op)?;
        line.expect(":")?;
        let ty = self.value(id).ty.to_string();
        if line.take(&ty) { Ok(()) } else { Err(line.error(format!("the type must be {ty}"))) }
    }
}

fn parse_packed_map(line: &mut Line<'_>, constants: &Constants) -> Result<PackedMap, IrError> {
    let name = line.string()?;
    line.expect("=")?;
    let map = Arc::new(parse_map(line, constants)?);
    line.expect("from")?;
    let input = parse_layout(line)?;
    line.expect("to")?;
    let output = parse_layout(line)?;
    Ok(PackedMap { name, map, input, output, plan: parse_plan(line)? })
}

fn parse_input(line: &mut Line<'_>) -> Result<InputPort, IrError> {
    let name = line.string()?;
    let shape = Shape(line.keyed_list("shape")?);
    let scale = line.keyed("scale")?;
    let range: Vec<f64> = line.keyed_list("range")?;
    let [low, high] = range[..] else { return Err(line.error("a range has two ends")) };
    let scaling = InputScaling { scale, range: (low, high), own: parse_own(line)? };
    Ok(InputPort { name, shape, layout: parse_layout(line)?, scaling })
}

/// ` own repeat=1 count=3 {1: [offset, scale, low, high]}`; nothing where all share a scale.
fn print_own(own: &OwnColumns) -> String {
    if own.columns.is_empty() {
        return String::new();
    }
    let column = |own: &OwnColumn| format!("{}: {:?}", own.column, [own.offset, own.scale, own.range.0, own.range.1]);
    let columns: Vec<String> = own.columns.iter().map(column).collect();
    format!(" own repeat={} count={} {{{}}}", own.repeat, own.count, columns.join("; "))
}

fn parse_own(line: &mut Line<'_>) -> Result<OwnColumns, IrError> {
    if !line.take("own ") {
        return Ok(OwnColumns::default());
    }
    let mut own = OwnColumns { repeat: line.keyed("repeat")?, count: line.keyed("count")?, columns: vec![] };
    line.expect("{")?;
    while !line.take("}") {
        let column = line.number()?;
        line.expect(":")?;
        let numbers: Vec<f64> = line.list()?;
        let [offset, scale, low, high] = numbers[..] else {
            return Err(line.error("a column has an offset, a scale and a range"));
        };
        own.columns.push(OwnColumn { column, offset, scale, range: (low, high) });
        line.take(";");
    }
    Ok(own)
}

fn parse_output(line: &mut Line<'_>) -> Result<OutputPort, IrError> {
    let name = line.string()?;
    line.expect("%")?;
    let value = ValueId(line.number()?);
    let shape = Shape(line.keyed_list("shape")?);
    let scale = line.keyed("scale")?;
    Ok(OutputPort { name, value, shape, layout: parse_layout(line)?, scale })
}
