//! Text form of the tensor IR.
//!
//! ```text
//! const @0 f64[2, 3] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
//! %0 "x" = input batch=1 : [1, 3]
//! %1 "fc" = linear {dense @0 left=1 right=1} scale=1.0 inputs=3 (%0) : [1, 2]
//! %2 "relu" = relu (%1) : [1, 2]
//! output "y" %2
//! ```

use std::fmt::Write as _;

use super::{BatchAxis, BatchNorm, Function, Graph, Node, NodeId, Op, Output, Shape};
use crate::error::IrError;
use crate::text::{
    ConstantTable, Constants, Line, constant, parse_constant, parse_map, parse_window, print_map, print_window, quote,
};

impl Graph {
    /// The text form, weights included.
    pub fn to_text(&self) -> String {
        let mut table = ConstantTable::default();
        let body = self.print_body(&mut table);
        table.print() + &body
    }

    /// The text form without weights, for reading.
    pub fn to_listing(&self) -> String {
        self.print_body(&mut ConstantTable::default())
    }

    fn print_body(&self, table: &mut ConstantTable) -> String {
        let mut body = String::new();
        for (id, node) in self.nodes() {
            let _ =
                writeln!(body, "%{} {} = {} : {}", id.0, quote(&node.name), self.print_op(id, node, table), node.shape);
        }
        for output in &self.outputs {
            let _ = writeln!(body, "output {} %{}", quote(&output.name), output.node.0);
        }
        body += &self.client.print(table);
        body
    }

    fn print_op(&self, id: NodeId, node: &Node, table: &mut ConstantTable) -> String {
        let operands: Vec<String> = node.inputs.iter().map(|input| format!("%{}", input.0)).collect();
        let attributes = match &node.op {
            Op::Input => {
                return format!("input batch={}", u8::from(self.batch_axis(id) == BatchAxis::First));
            }
            Op::Linear(map) => print_map(map, table) + " ",
            Op::BatchNorm(norm) => {
                let ids = [&norm.scale, &norm.bias, &norm.mean, &norm.variance].map(|c| table.id(c));
                format!("@{} @{} @{} @{} epsilon={:?} ", ids[0], ids[1], ids[2], ids[3], norm.epsilon)
            }
            Op::MaxPool(window) => print_window(window) + " ",
            Op::Function(function) => format!("{} ", function.name()),
            Op::Scale(c) | Op::AddConstant(c) => format!("{c:?} "),
            _ => String::new(),
        };
        format!("{} {attributes}({})", node.op.name(), operands.join(", "))
    }

    /// Reads a text form back.
    ///
    /// # Errors
    /// [`IrError::Parse`] with the first line that cannot be read, or what [`Graph::verify`] says of the graph.
    pub fn from_text(text: &str) -> Result<Self, IrError> {
        let mut graph = Graph::default();
        let mut constants = Constants::new();
        for mut line in Line::all(text) {
            graph.parse_line(&mut line, &mut constants).map_err(|error| line.locate(error))?;
            if !line.at_end() {
                return Err(line.error("unexpected text at the end of the line"));
            }
        }
        graph.verify()?;
        Ok(graph)
    }

    fn parse_line(&mut self, line: &mut Line<'_>, constants: &mut Constants) -> Result<(), IrError> {
        if parse_constant(line, constants)? {
        } else if line.take("output ") {
            self.outputs.push(parse_output(line)?);
        } else if self.client.parse_line(line, constants)? {
        } else {
            self.parse_node(line, constants)?;
        }
        Ok(())
    }

    fn parse_node(&mut self, line: &mut Line<'_>, constants: &Constants) -> Result<(), IrError> {
        line.expect(&format!("%{}", self.len()))?;
        let name = line.string()?;
        line.expect("=")?;
        let word = line.word()?.to_owned();
        if word == "input" {
            let batch = if line.flag("batch")? { BatchAxis::First } else { BatchAxis::Absent };
            let shape = parse_shape(line)?;
            self.input(name, shape, batch);
            return Ok(());
        }
        let op = parse_op(&word, line, constants)?;
        let operands = parse_operands(line)?;
        let shape = parse_shape(line)?;
        if operands.len() != op.arity() {
            return Err(line.error(format!("{word} takes {} operands, got {}", op.arity(), operands.len())));
        }
        let id = match op {
            Op::Linear(map) => self.linear(name, (*map).clone(), operands[0], shape.clone())?,
            Op::Reshape => self.reshape(name, operands[0], shape.clone())?,
            op => self.add(name, op, &operands)?,
        };
        let inferred = &self.node(id).shape;
        if *inferred == shape { Ok(()) } else { Err(line.error(format!("the shape must be {inferred}"))) }
    }
}

/// `: [sizes]`.
fn parse_shape(line: &mut Line<'_>) -> Result<Shape, IrError> {
    line.expect(":")?;
    let shape = Shape(line.list()?);
    match shape.checked_size() {
        Some(_) => Ok(shape),
        None => Err(line.error(format!("no tensor has the shape {shape}"))),
    }
}

fn parse_op(word: &str, line: &mut Line<'_>, constants: &Constants) -> Result<Op, IrError> {
    Ok(match word {
        "linear" => Op::Linear(std::sync::Arc::new(parse_map(line, constants)?)),
        "reshape" => Op::Reshape,
        "batch_norm" => {
            let mut parameter = || constant(line, constants);
            let (scale, bias, mean, variance) = (parameter()?, parameter()?, parameter()?, parameter()?);
            Op::BatchNorm(BatchNorm { scale, bias, mean, variance, epsilon: line.keyed("epsilon")? })
        }
        "relu" => Op::Relu,
        "max_pool" => Op::MaxPool(parse_window(line)?),
        "function" => Op::Function(parse_function(line)?),
        "add" => Op::Add,
        "sub" => Op::Sub,
        "mul" => Op::Mul,
        "scale" => Op::Scale(line.number()?),
        "add_constant" => Op::AddConstant(line.number()?),
        other => return Err(line.error(format!("unknown operation `{other}`"))),
    })
}

fn parse_function(line: &mut Line<'_>) -> Result<Function, IrError> {
    let name = line.word()?;
    Function::by_name(name).ok_or_else(|| line.error(format!("unknown function `{name}`")))
}

fn parse_operands(line: &mut Line<'_>) -> Result<Vec<NodeId>, IrError> {
    line.expect("(")?;
    let mut operands = Vec::new();
    while line.take("%") {
        operands.push(NodeId(line.number()?));
        line.take(",");
    }
    line.expect(")")?;
    Ok(operands)
}

fn parse_output(line: &mut Line<'_>) -> Result<Output, IrError> {
    let name = line.string()?;
    line.expect("%")?;
    Ok(Output { name, node: NodeId(line.number()?) })
}
