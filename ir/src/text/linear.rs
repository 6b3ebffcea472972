//! Text form of linear maps.

use std::fmt::Write as _;

use super::{ConstantTable, Constants, Line, constant};
use crate::error::IrError;
use crate::linear::{Bias, Conv, LinearMap, Primitive, Window, ZERO};
use crate::tensor::Shape;

pub(crate) fn print_map(map: &LinearMap, table: &mut ConstantTable) -> String {
    let factors: Vec<String> = map.factors.iter().map(|factor| print_factor(factor, table)).collect();
    let mut text = format!("{{{}}} scale={:?} inputs={}", factors.join(" then "), map.scale, map.inputs);
    if let Some(bias) = &map.bias {
        let _ = write!(text, " bias=@{} repeat={}", table.id(&bias.values), bias.repeat);
    }
    text
}

fn print_factor(factor: &Primitive, table: &mut ConstantTable) -> String {
    match factor {
        Primitive::Conv(conv) => {
            format!("conv @{} groups={} {}", table.id(&conv.weight), conv.groups, print_window(&conv.window))
        }
        Primitive::Dense { weight, left, right } => format!("dense @{} left={left} right={right}", table.id(weight)),
        Primitive::AveragePool(window) => format!("average {}", print_window(window)),
        Primitive::Select { input, indices } => {
            let lists: Vec<String> = indices.iter().map(|list| print_indices(list)).collect();
            format!("select input={input} {}", lists.join(" "))
        }
        Primitive::Permute { input, permutation } => format!("permute input={input} axes={permutation:?}"),
        Primitive::Diagonal { values, repeat, size } => {
            format!("diagonal @{} repeat={repeat} size={size}", table.id(values))
        }
    }
}

fn print_indices(list: &[u32]) -> String {
    let signed: Vec<i64> = list.iter().map(|&index| if index == ZERO { -1 } else { i64::from(index) }).collect();
    format!("{signed:?}")
}

pub(crate) fn print_window(w: &Window) -> String {
    format!(
        "input={:?} kernel={:?} strides={:?} pads={:?} dilations={:?} output={:?} count_pad={}",
        w.input, w.kernel, w.strides, w.pads, w.dilations, w.output, w.count_include_pad as u8
    )
}

pub(crate) fn parse_window(line: &mut Line<'_>) -> Result<Window, IrError> {
    Ok(Window {
        input: line.keyed_array("input")?,
        kernel: line.keyed_array("kernel")?,
        strides: line.keyed_array("strides")?,
        pads: line.keyed_array("pads")?,
        dilations: line.keyed_array("dilations")?,
        output: line.keyed_array("output")?,
        count_include_pad: line.flag("count_pad")?,
    })
}

pub(crate) fn parse_map(line: &mut Line<'_>, constants: &Constants) -> Result<LinearMap, IrError> {
    line.expect("{")?;
    let mut factors = Vec::new();
    while !line.take("}") {
        let factor = parse_factor(line, constants)?;
        factor.check()?;
        factors.push(factor);
        if !line.take("then") {
            line.expect("}")?;
            break;
        }
    }
    let scale = line.keyed("scale")?;
    let inputs = line.keyed("inputs")?;
    let outputs = factors.last().map_or(inputs, Primitive::output_size);
    let mut bias = None;
    if line.take("bias=") {
        bias = Some(Bias { values: constant(line, constants)?, repeat: line.keyed("repeat")? });
    }
    let map = LinearMap { factors, scale, bias, inputs, outputs };
    map.check()?;
    Ok(map)
}

fn parse_factor(line: &mut Line<'_>, constants: &Constants) -> Result<Primitive, IrError> {
    Ok(match line.word()? {
        "conv" => {
            let weight = constant(line, constants)?;
            let groups = line.keyed("groups")?;
            Primitive::Conv(Conv { weight, groups, window: parse_window(line)? })
        }
        "dense" => {
            let weight = constant(line, constants)?;
            Primitive::Dense { weight, left: line.keyed("left")?, right: line.keyed("right")? }
        }
        "average" => Primitive::AveragePool(parse_window(line)?),
        "select" => {
            let input = Shape(line.keyed_list("input")?);
            let indices = (0..input.0.len()).map(|_| parse_indices(line)).collect::<Result<_, _>>()?;
            Primitive::Select { input, indices }
        }
        "permute" => {
            Primitive::Permute { input: Shape(line.keyed_list("input")?), permutation: line.keyed_list("axes")? }
        }
        "diagonal" => {
            let values = constant(line, constants)?;
            Primitive::Diagonal { values, repeat: line.keyed("repeat")?, size: line.keyed("size")? }
        }
        other => return Err(line.error(format!("unknown linear factor `{other}`"))),
    })
}

/// Indices, −1 for [`ZERO`].
fn parse_indices(line: &mut Line<'_>) -> Result<Vec<u32>, IrError> {
    let index = |i: i64| match i {
        -1 => Ok(ZERO),
        _ => u32::try_from(i).ok().filter(|&index| index != ZERO).ok_or(i),
    };
    let list = line.list()?.into_iter().map(index).collect::<Result<_, _>>();
    list.map_err(|bad| line.error(format!("{bad} is no index")))
}
