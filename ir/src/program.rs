//! The frame that the slots and ckks IRs share: values in order, linear maps, ports to the client, text and checks.

use std::fmt::Write as _;
use std::fmt::{Debug, Display};
use std::sync::Arc;

use crate::diagonals::PackedMap;
use crate::error::IrError;
use crate::layout::Layout;
use crate::tensor::{PostProcess, Shape};
use crate::text::{
    ConstantTable, Constants, Line, parse_constant, parse_layout, parse_map, parse_plan, parse_post, print_layout,
    print_map, print_plan, print_post, quote,
};

/// Index of a value in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

impl ValueId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a linear map in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MapId(pub u32);

impl MapId {
    /// The index as a `usize`.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What an operation set must say about itself to live in a [`Program`].
pub trait Operation: Clone + Debug + PartialEq {
    /// The type of a value.
    type Type: Copy + Debug + Display + PartialEq;

    /// The operation's name in the text form.
    fn name(&self) -> &'static str;
    /// Operands in order.
    fn operands(&self) -> Vec<ValueId>;
    /// The result's type, from the operands' types.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for them.
    fn infer(&self, operands: &[Self::Type], context: &Context<'_>) -> Result<Self::Type, IrError>;
    /// Attributes in the text form, each followed by a space.
    fn print_attributes(&self) -> String;
    /// Reads attributes and operands back.
    ///
    /// # Errors
    /// [`IrError::Parse`].
    fn parse(name: &str, line: &mut OpLine<'_, '_>) -> Result<Self, IrError>;
    /// The linear map the operation applies.
    fn map(&self) -> Option<MapId>;
}

/// What inference may look at besides operand types.
pub struct Context<'p> {
    /// Slots of a ciphertext.
    pub slots: usize,
    /// Linear maps of the program.
    pub maps: &'p [PackedMap],
    /// Input ports of the program.
    pub inputs: &'p [InputPort],
}

impl Context<'_> {
    /// A map by id.
    ///
    /// # Errors
    /// [`IrError::Type`] if there is none.
    pub fn map(&self, id: MapId) -> Result<&PackedMap, IrError> {
        self.maps.get(id.index()).ok_or_else(|| IrError::ty("linear", format!("no map #{}", id.0)))
    }
}

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

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<O: Operation> {
    /// What it is for: the ONNX node it came from.
    pub name: Arc<str>,
    /// What computes it.
    pub op: O,
    /// Its type.
    pub ty: O::Type,
}

/// An input of the circuit, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct InputPort {
    /// Name in the model.
    pub name: String,
    /// Shape of one sample, without the batch axis.
    pub shape: Shape,
    /// Where its elements lie in slots.
    pub layout: Layout,
    /// The client multiplies by this before it encrypts.
    pub scale: f64,
    /// Smallest and largest value the circuit was calibrated for.
    pub range: (f64, f64),
}

/// A result of the circuit, as the client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputPort<V = ValueId> {
    /// Name in the model.
    pub name: String,
    /// The value that holds it.
    pub value: V,
    /// Shape of one sample's result, without the batch axis.
    pub shape: Shape,
    /// Where its elements lie in slots.
    pub layout: Layout,
    /// The client multiplies by this after it decrypts.
    pub scale: f64,
    /// What the client applies then; axes count in `shape`.
    pub post: PostProcess,
}

/// A straight-line program over slot vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Program<O: Operation> {
    /// Slots of a ciphertext, a power of two.
    pub slots: usize,
    /// Linear maps with their plans.
    pub maps: Vec<PackedMap>,
    /// Inputs in order.
    pub inputs: Vec<InputPort>,
    /// Results in order.
    pub outputs: Vec<OutputPort>,
    values: Vec<Value<O>>,
}

impl<O: Operation> Program<O> {
    /// A program without values.
    pub fn new(slots: usize, maps: Vec<PackedMap>, inputs: Vec<InputPort>) -> Self {
        Program { slots, maps, inputs, outputs: vec![], values: vec![] }
    }

    /// All values in order.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, &Value<O>)> {
        self.values.iter().enumerate().map(|(index, value)| (ValueId(index as u32), value))
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value<O> {
        &self.values[id.index()]
    }

    /// Appends an operation; its type follows from its operands.
    ///
    /// # Errors
    /// [`IrError::Type`] if the operation is not defined for them.
    pub fn push(&mut self, name: impl Into<Arc<str>>, op: O) -> Result<ValueId, IrError> {
        let ty = self.infer(&op, self.values.len())?;
        self.values.push(Value { name: name.into(), op, ty });
        Ok(ValueId(self.values.len() as u32 - 1))
    }

    fn infer(&self, op: &O, before: usize) -> Result<O::Type, IrError> {
        let mut types = Vec::new();
        for operand in op.operands() {
            if operand.index() >= before {
                return Err(IrError::ty(op.name(), format!("operand %{} does not come before", operand.0)));
            }
            types.push(self.values[operand.index()].ty);
        }
        op.infer(&types, &Context { slots: self.slots, maps: &self.maps, inputs: &self.inputs })
    }

    /// For each value, the last value that reads it (itself if none, the end if it is an output).
    pub fn last_uses(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..self.values.len()).collect();
        for (id, value) in self.values() {
            for operand in value.op.operands() {
                last[operand.index()] = id.index();
            }
        }
        for output in &self.outputs {
            last[output.value.index()] = self.values.len();
        }
        last
    }

    /// Problems in maps, values and ports; empty for a valid program.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.slots.is_power_of_two() {
            problems.push(format!("{} slots: not a power of two", self.slots));
        }
        for (index, map) in self.maps.iter().enumerate() {
            problems.extend(map.check(self.slots).err().map(|error| format!("map #{index} `{}`: {error}", map.name)));
        }
        if !problems.is_empty() {
            return problems;
        }
        for (id, value) in self.values() {
            match self.infer(&value.op, id.index()) {
                Ok(ty) if ty == value.ty => {}
                Ok(ty) => problems.push(format!("{}: its type must be {ty}", self.print_value(id, value))),
                Err(error) => problems.push(format!("{}: {error}", self.print_value(id, value))),
            }
        }
        problems.extend(self.port_problems());
        problems
    }

    fn port_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.outputs.is_empty() {
            problems.push("there is no output".into());
        }
        for port in &self.inputs {
            if port.shape.size() != port.layout.size() || !port.scale.is_finite() {
                problems.push(format!("input `{}`: shape, layout and scale do not agree", port.name));
            }
        }
        for port in &self.outputs {
            if port.value.index() >= self.len() {
                problems.push(format!("output `{}`: no value %{}", port.name, port.value.0));
            }
            if port.shape.size() != port.layout.size() || !port.scale.is_finite() {
                problems.push(format!("output `{}`: shape, layout and scale do not agree", port.name));
            }
        }
        problems
    }

    fn print_value(&self, id: ValueId, value: &Value<O>) -> String {
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
                "input {} shape={} scale={:?} range=[{:?}, {:?}] {}",
                quote(&port.name),
                port.shape,
                port.scale,
                port.range.0,
                port.range.1,
                print_layout(&port.layout)
            );
        }
        for (id, value) in self.values() {
            let _ = writeln!(text, "{}", self.print_value(id, value));
        }
        for port in &self.outputs {
            let _ = writeln!(
                text,
                "output {} %{} shape={} scale={:?} {} post={}",
                quote(&port.name),
                port.value.0,
                port.shape,
                port.scale,
                print_layout(&port.layout),
                print_post(port.post)
            );
        }
        text
    }

    /// Reads a text form back; types are inferred again and must equal the printed ones.
    ///
    /// # Errors
    /// [`IrError::Parse`] or [`IrError::Type`].
    pub fn from_text(text: &str) -> Result<Self, IrError> {
        let mut program = Program::new(1, vec![], vec![]);
        let mut constants = Constants::new();
        for mut line in Line::all(text) {
            program.parse_line(&mut line, &mut constants)?;
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
            let _: u32 = line.number()?;
            self.maps.push(parse_packed_map(line, constants)?);
        } else if line.take("input ") {
            self.inputs.push(parse_input(line)?);
        } else if line.take("output ") {
            self.outputs.push(parse_output(line)?);
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
    Ok(InputPort { name, shape, layout: parse_layout(line)?, scale, range: (low, high) })
}

fn parse_output(line: &mut Line<'_>) -> Result<OutputPort, IrError> {
    let name = line.string()?;
    line.expect("%")?;
    let value = ValueId(line.number()?);
    let shape = Shape(line.keyed_list("shape")?);
    let scale = line.keyed("scale")?;
    let layout = parse_layout(line)?;
    Ok(OutputPort { name, value, shape, layout, scale, post: parse_post(line)? })
}

impl PackedMap {
    /// Checks that map, layouts and plan agree and that no diagonal is left out.
    ///
    /// # Errors
    /// [`IrError::Type`].
    pub fn check(&self, slots: usize) -> Result<(), IrError> {
        let fail = |message: &str| Err(IrError::ty("linear", message));
        self.map.check()?;
        if self.input.size() != self.map.inputs || self.output.size() != self.map.outputs {
            return fail("the layouts do not fit the map");
        }
        for layout in [&self.input, &self.output] {
            if layout.period > slots || (layout.ciphertexts > 1 && layout.period != slots) {
                return fail("a layout does not fit the slots");
            }
        }
        let (modulus, input, output) = (self.plan.modulus, self.input.period, self.output.period);
        if !modulus.is_power_of_two() || modulus > input || modulus < input.min(output) {
            return fail("the plan's modulus does not fit the periods");
        }
        if self.plan.folds != crate::diagonals::folds(input, modulus) {
            return fail("the plan's folds do not fit its modulus");
        }
        Ok(())
    }
}
