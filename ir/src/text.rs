//! The text form shared by the three IRs: a lexer, a constant table, and linear maps.
//!
//! Constants print as `const @0 f64[2, 3] = [...]`; weights are part of the text so that it parses back alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::diagonals::Plan;
use crate::error::IrError;
use crate::layout::{Digit, Gaps, Layout};
use crate::linear::{Bias, Conv, LinearMap, Primitive, Window, ZERO};
use crate::tensor::{Constant, PostProcess, Shape, Tensor};

/// Collects constants while printing; equal ones share an id.
#[derive(Default)]
pub(crate) struct ConstantTable {
    constants: Vec<Constant>,
}

impl ConstantTable {
    pub(crate) fn id(&mut self, constant: &Constant) -> usize {
        let known = self.constants.iter().position(|other| Arc::ptr_eq(other, constant) || other == constant);
        known.unwrap_or_else(|| {
            self.constants.push(constant.clone());
            self.constants.len() - 1
        })
    }

    pub(crate) fn print(&self) -> String {
        let mut text = String::new();
        for (id, constant) in self.constants.iter().enumerate() {
            let _ = writeln!(text, "const @{id} f64{} = {:?}", constant.shape, constant.data);
        }
        text
    }
}

/// One line's tokens with the place for errors.
pub(crate) struct Line<'t> {
    number: usize,
    rest: &'t str,
}

impl<'t> Line<'t> {
    /// The non-empty lines of a text; `#` starts a comment line.
    pub(crate) fn all(text: &'t str) -> impl Iterator<Item = Line<'t>> {
        let lines = text.lines().enumerate().map(|(i, line)| Line { number: i + 1, rest: line.trim() });
        lines.filter(|line| !line.rest.is_empty() && !line.rest.starts_with('#'))
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> IrError {
        IrError::Parse { line: self.number, message: message.into() }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    /// Takes `token` if it comes next.
    pub(crate) fn take(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(crate) fn expect(&mut self, token: &str) -> Result<(), IrError> {
        if self.take(token) {
            return Ok(());
        }
        let found: String = self.rest.chars().take(20).collect();
        Err(self.error(format!("expected `{token}`, found `{found}`")))
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        self.skip_space();
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    pub(crate) fn word(&mut self) -> Result<&'t str, IrError> {
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if word.is_empty() { Err(self.error("expected a word")) } else { Ok(word) }
    }

    pub(crate) fn number<T: std::str::FromStr>(&mut self) -> Result<T, IrError> {
        let token = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        token.parse().map_err(|_| self.error(format!("`{token}` is not a number that fits here")))
    }

    /// `key=number`.
    pub(crate) fn keyed<T: std::str::FromStr>(&mut self, key: &str) -> Result<T, IrError> {
        self.expect(key)?;
        self.expect("=")?;
        self.number()
    }

    pub(crate) fn list<T: std::str::FromStr>(&mut self) -> Result<Vec<T>, IrError> {
        self.expect("[")?;
        let mut list = Vec::new();
        while !self.take("]") {
            list.push(self.number()?);
            if !self.take(",") {
                self.expect("]")?;
                break;
            }
        }
        Ok(list)
    }

    pub(crate) fn keyed_list<T: std::str::FromStr>(&mut self, key: &str) -> Result<Vec<T>, IrError> {
        self.expect(key)?;
        self.expect("=")?;
        self.list()
    }

    fn keyed_array<const N: usize>(&mut self, key: &str) -> Result<[usize; N], IrError> {
        let list = self.keyed_list(key)?;
        let length = list.len();
        list.try_into().map_err(|_| self.error(format!("{key} has {length} values, not {N}")))
    }

    /// A string in double quotes, with Rust's escapes for quotes and backslashes.
    pub(crate) fn string(&mut self) -> Result<String, IrError> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => text.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => text.push(c),
            }
        }
        Err(self.error("a string does not end"))
    }
}

/// Quotes a name so that [`Line::string`] reads it back.
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::from("\"");
    for c in name.chars() {
        if c == '"' || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(if c.is_control() { ' ' } else { c });
    }
    quoted.push('"');
    quoted
}

/// Constants read so far, by id.
pub(crate) type Constants = BTreeMap<usize, Constant>;

/// Reads a line that begins with `const`; `Ok(false)` if it is something else.
pub(crate) fn parse_constant(line: &mut Line<'_>, constants: &mut Constants) -> Result<bool, IrError> {
    if !line.take("const ") {
        return Ok(false);
    }
    line.expect("@")?;
    let id = line.number()?;
    line.expect("f64")?;
    let shape = Shape(line.list()?);
    line.expect("=")?;
    let data = line.list()?;
    if shape.size() != data.len() {
        return Err(line.error(format!("{shape} needs {} values, found {}", shape.size(), data.len())));
    }
    constants.insert(id, Arc::new(Tensor::new(shape, data)));
    Ok(true)
}

fn constant(line: &mut Line<'_>, constants: &Constants) -> Result<Constant, IrError> {
    line.expect("@")?;
    let id: usize = line.number()?;
    constants.get(&id).cloned().ok_or_else(|| line.error(format!("no constant @{id}")))
}

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

fn print_window(w: &Window) -> String {
    format!(
        "input={:?} kernel={:?} strides={:?} pads={:?} dilations={:?} output={:?} count_pad={}",
        w.input, w.kernel, w.strides, w.pads, w.dilations, w.output, w.count_include_pad as u8
    )
}

pub(crate) fn window_text(window: &Window) -> String {
    print_window(window)
}

pub(crate) fn parse_window(line: &mut Line<'_>) -> Result<Window, IrError> {
    Ok(Window {
        input: line.keyed_array("input")?,
        kernel: line.keyed_array("kernel")?,
        strides: line.keyed_array("strides")?,
        pads: line.keyed_array("pads")?,
        dilations: line.keyed_array("dilations")?,
        output: line.keyed_array("output")?,
        count_include_pad: line.keyed::<u8>("count_pad")? != 0,
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
            let lists = (0..input.0.len()).map(|_| line.list::<i64>()).collect::<Result<Vec<_>, _>>()?;
            let index = |i: i64| if i < 0 { ZERO } else { i as u32 };
            Primitive::Select {
                input,
                indices: lists.into_iter().map(|l| l.into_iter().map(index).collect()).collect(),
            }
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

pub(crate) fn print_layout(layout: &Layout) -> String {
    let gaps = if layout.gaps == Gaps::Zero { "zero" } else { "leftover" };
    let head = format!("period={} ciphertexts={} gaps={gaps}", layout.period, layout.ciphertexts);
    match layout.digits() {
        Some(digits) => {
            let first = layout.table().first().copied().unwrap_or(0);
            let flat: Vec<i64> = digits.iter().flat_map(|d| [d.size as i64, d.stride]).collect();
            format!("layout {head} first={first} digits={flat:?}")
        }
        None => format!("layout {head} table={:?}", layout.table()),
    }
}

pub(crate) fn parse_layout(line: &mut Line<'_>) -> Result<Layout, IrError> {
    line.expect("layout")?;
    let period = line.keyed("period")?;
    let ciphertexts = line.keyed("ciphertexts")?;
    line.expect("gaps=")?;
    let gaps = if line.word()? == "zero" { Gaps::Zero } else { Gaps::Leftover };
    let layout = if line.take("table=") {
        Layout::new(line.list()?, period, ciphertexts, gaps)
    } else {
        let first = line.keyed("first")?;
        Layout::from_digits(first, &digits_of(&line.keyed_list("digits")?), period, ciphertexts, gaps)
    };
    layout.ok_or_else(|| line.error("the layout does not fit its slots"))
}

/// Digits from `[size, stride, size, stride, …]`, innermost first.
pub fn digits_of(flat: &[i64]) -> Vec<Digit> {
    let mut divisor: usize = 1;
    let mut digits = Vec::new();
    for pair in flat.chunks_exact(2) {
        let size = usize::try_from(pair[0]).unwrap_or(0).max(1);
        digits.push(Digit { divisor, size, stride: pair[1] });
        divisor = divisor.saturating_mul(size);
    }
    digits
}

pub(crate) fn print_plan(plan: &Plan) -> String {
    let giants: Vec<String> =
        plan.giants.iter().map(|giant| format!("{}: {:?}", giant.rotation, giant.babies)).collect();
    format!("plan modulus={} folds={:?} giants {{{}}}", plan.modulus, plan.folds, giants.join("; "))
}

pub(crate) fn parse_plan(line: &mut Line<'_>) -> Result<Plan, IrError> {
    line.expect("plan")?;
    let modulus = line.keyed("modulus")?;
    let folds = line.keyed_list("folds")?;
    line.expect("giants")?;
    line.expect("{")?;
    let mut giants = Vec::new();
    while !line.take("}") {
        let rotation = line.number()?;
        line.expect(":")?;
        giants.push(crate::diagonals::Giant { rotation, babies: line.list()? });
        line.take(";");
    }
    Ok(Plan { modulus, giants, folds })
}

pub(crate) fn print_post(post: PostProcess) -> String {
    match post {
        PostProcess::None => "none".into(),
        PostProcess::Softmax { axis } => format!("softmax axis={axis}"),
        PostProcess::LogSoftmax { axis } => format!("log_softmax axis={axis}"),
        PostProcess::ArgMax { axis, keep_axis } => format!("arg_max axis={axis} keep={}", keep_axis as u8),
    }
}

pub(crate) fn parse_post(line: &mut Line<'_>) -> Result<PostProcess, IrError> {
    line.expect("post=")?;
    Ok(match line.word()? {
        "none" => PostProcess::None,
        "softmax" => PostProcess::Softmax { axis: line.keyed("axis")? },
        "log_softmax" => PostProcess::LogSoftmax { axis: line.keyed("axis")? },
        "arg_max" => PostProcess::ArgMax { axis: line.keyed("axis")?, keep_axis: line.keyed::<u8>("keep")? != 0 },
        other => return Err(line.error(format!("unknown post-processing `{other}`"))),
    })
}
