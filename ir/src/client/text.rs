//! Text form of the client's program.
//!
//! ```text
//! port [1, 3]
//! $0 = softmax [1] (port 0) : [1, 3]
//! $1 = arg_max [1, 0] ($0) : [1, 1]
//! result "label" $1 [1] text ["cat", "dog", "mouse"]
//! ```

use std::fmt::Write as _;
use std::sync::Arc;

use super::{ClientOp, ClientProgram, ClientResult, ClientStep, ClientValue, ResultKind};
use crate::error::IrError;
use crate::tensor::Shape;
use crate::text::{ConstantTable, Constants, Line, constant, quote};

impl ClientProgram {
    pub(crate) fn print(&self, table: &mut ConstantTable) -> String {
        let mut text = String::new();
        for shape in &self.ports {
            let _ = writeln!(text, "port {shape}");
        }
        for (index, step) in self.steps.iter().enumerate() {
            let (name, integers, constant) = step.op.parts();
            let constant = constant.map_or_else(String::new, |constant| format!("@{} ", table.id(constant)));
            let operands: Vec<String> = step.operands.iter().map(ToString::to_string).collect();
            let operands = operands.join(", ");
            let _ = writeln!(text, "${index} = {name} {integers:?} {constant}({operands}) : {}", step.shape);
        }
        for result in &self.results {
            let (name, value, shape) = (quote(&result.name), result.value, &result.shape);
            let _ = write!(text, "result {name} {value} {shape} {}", result.kind.name());
            if let ResultKind::Text(texts) = &result.kind {
                let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
                let _ = write!(text, " [{}]", texts.join(", "));
            }
            text.push('\n');
        }
        text
    }

    /// Reads a line of the program; `Ok(false)` if it is something else.
    pub(crate) fn parse_line(&mut self, line: &mut Line<'_>, constants: &Constants) -> Result<bool, IrError> {
        if line.take("port ") {
            self.ports.push(Shape(line.list()?));
        } else if line.take("result ") {
            let result = self.parse_result(line)?;
            self.results.push(result);
        } else if line.take("$") {
            let number: usize = line.number()?;
            if number != self.steps.len() {
                return Err(line.error(format!("expected ${}, found ${number}", self.steps.len())));
            }
            let step = parse_step(line, constants)?;
            self.steps.push(step);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn parse_result(&self, line: &mut Line<'_>) -> Result<ClientResult, IrError> {
        let (name, value, shape) = (line.string()?, parse_value(line)?, Shape(line.list()?));
        let kind = match line.word()? {
            "real" => ResultKind::Real,
            "integer" => ResultKind::Integer,
            "boolean" => ResultKind::Boolean,
            "text" => ResultKind::Text(Arc::new(parse_texts(line)?)),
            other => return Err(line.error(format!("unknown kind of result `{other}`"))),
        };
        Ok(ClientResult { name, value, shape, kind })
    }
}

fn parse_step(line: &mut Line<'_>, constants: &Constants) -> Result<ClientStep, IrError> {
    line.expect("=")?;
    let name = line.word()?.to_owned();
    let integers: Vec<i64> = line.list()?;
    let constant = if line.take("(") { None } else { Some(constant(line, constants)?) };
    if constant.is_some() {
        line.expect("(")?;
    }
    let op = ClientOp::from_parts(&name, &integers, constant);
    let op = op.ok_or_else(|| line.error(format!("no operation `{name}` of {integers:?}")))?;
    let mut operands = vec![];
    while !line.take(")") {
        operands.push(parse_value(line)?);
        line.take(",");
    }
    line.expect(":")?;
    Ok(ClientStep { op, operands, shape: Shape(line.list()?) })
}

fn parse_value(line: &mut Line<'_>) -> Result<ClientValue, IrError> {
    if line.take("port ") {
        return Ok(ClientValue::Port(line.number()?));
    }
    line.expect("$")?;
    Ok(ClientValue::Step(line.number()?))
}

fn parse_texts(line: &mut Line<'_>) -> Result<Vec<String>, IrError> {
    line.expect("[")?;
    let mut texts = vec![];
    while !line.take("]") {
        texts.push(line.string()?);
        line.take(",");
    }
    Ok(texts)
}
