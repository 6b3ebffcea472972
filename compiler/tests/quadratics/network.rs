//! A residual network whose activations are quadratic polynomials by channel, in several writings of one function.

use prost::Message;
use testkit::onnx::{floats, integers, model, node};
use testkit::random::random_values;
use tract_onnx::pb::{NodeProto, TensorProto};

/// How a polynomial a·x² + b·x + c is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    /// As an exporter writes it: Pow, Mul and Add.
    Exported,
    /// By Horner's rule.
    Horner,
    /// ±(√|a|·x + d)² + e.
    Completed,
    /// The same, √|a| and d in the convolutions before.
    Folded,
}

pub(crate) const FORMS: [Form; 4] = [Form::Exported, Form::Horner, Form::Completed, Form::Folded];

/// The size of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Residual blocks, of two convolutions and two polynomials each.
    pub(crate) blocks: usize,
    /// Channels of all tensors.
    pub(crate) channels: usize,
    /// Height and width of the image of three channels.
    pub(crate) side: usize,
}

/// Results of the last layer.
pub(crate) const CLASSES: usize = 10;

/// Coefficients of a polynomial by channel.
#[derive(Clone)]
struct Quadratic {
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
}

impl Quadratic {
    /// Of either sign, none of them tiny.
    fn new(seed: u64, channels: usize) -> Self {
        let part = |number: u64| random_values(seed + number, channels).into_iter().map(f64::from);
        let a = part(1).map(|x| x.signum() * (0.1 + 0.2 * x.abs()));
        Quadratic { a: a.collect(), b: part(2).map(|x| 0.6 + 0.3 * x).collect(), c: part(3).map(|x| 0.2 * x).collect() }
    }

    fn map(&self, f: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
        self.a.iter().zip(&self.b).zip(&self.c).map(|((&a, &b), &c)| f(a, b, c)).collect()
    }

    fn root(&self) -> Vec<f64> {
        self.map(|a, _, _| a.abs().sqrt())
    }

    fn shift(&self) -> Vec<f64> {
        self.map(|a, b, _| b / (2.0 * a) * a.abs().sqrt())
    }

    fn sign(&self) -> Vec<f64> {
        self.map(|a, _, _| a.signum())
    }

    fn rest(&self) -> Vec<f64> {
        self.map(|a, b, c| c - b * b / (4.0 * a))
    }
}

struct Writer {
    form: Form,
    size: Size,
    nodes: Vec<NodeProto>,
    weights: Vec<TensorProto>,
}

impl Writer {
    fn push(&mut self, operator: &str, operands: &str) -> String {
        let name = format!("{}_{}", operator.to_lowercase(), self.nodes.len());
        self.nodes.push(NodeProto { name: name.clone(), ..node(operator, operands, &name, vec![]) });
        name
    }

    fn weight(&mut self, dims: &[i64], values: Vec<f64>) -> String {
        let name = format!("w{}", self.weights.len());
        let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
        self.weights.push(floats(&name, dims, &values));
        name
    }

    /// `x` with a constant by channel.
    fn with(&mut self, operator: &str, x: &str, values: Vec<f64>) -> String {
        let constant = self.weight(&[1, values.len() as i64, 1, 1], values);
        self.push(operator, &format!("{x} {constant}"))
    }

    /// A convolution of 3×3, rows and columns times factors, with a bias.
    fn conv(&mut self, x: &str, seed: u64, inputs: usize, [rows, columns, bias]: [&[f64]; 3]) -> String {
        let outputs = self.size.channels;
        let weights = random_values(seed, outputs * inputs * 9);
        let spread = 1.0 / (inputs as f64 * 3.0).sqrt();
        let of = |(index, &weight): (usize, &f32)| {
            f64::from(weight) * spread * rows[index / (inputs * 9)] * columns[index / 9 % inputs]
        };
        let weights = weights.iter().enumerate().map(of).collect();
        let weight = self.weight(&[outputs as i64, inputs as i64, 3, 3], weights);
        let bias = self.weight(&[outputs as i64], bias.to_vec());
        let name = self.push("Conv", &format!("{x} {weight} {bias}"));
        let pads = vec![integers("pads", &[1, 1, 1, 1])];
        self.nodes.last_mut().expect("the convolution").attribute = pads;
        name
    }

    /// The polynomial of a value; in the folded form the value is `√|a|·x + d`, and the result wants a sign yet.
    fn quadratic(&mut self, x: &str, quadratic: &Quadratic) -> String {
        match self.form {
            Form::Exported => {
                let two = self.weight(&[], vec![2.0]);
                let power = self.push("Pow", &format!("{x} {two}"));
                let square = self.with("Mul", &power, quadratic.a.clone());
                let linear = self.with("Mul", x, quadratic.b.clone());
                let sum = self.push("Add", &format!("{square} {linear}"));
                self.with("Add", &sum, quadratic.c.clone())
            }
            Form::Horner => {
                let scaled = self.with("Mul", x, quadratic.a.clone());
                let shifted = self.with("Add", &scaled, quadratic.b.clone());
                let product = self.push("Mul", &format!("{shifted} {x}"));
                self.with("Add", &product, quadratic.c.clone())
            }
            Form::Completed => {
                let scaled = self.with("Mul", x, quadratic.root());
                let base = self.with("Add", &scaled, quadratic.shift());
                let square = self.push("Mul", &format!("{base} {base}"));
                let signed = self.with("Mul", &square, quadratic.sign());
                self.with("Add", &signed, quadratic.rest())
            }
            Form::Folded => {
                let square = self.push("Mul", &format!("{x} {x}"));
                let rest = quadratic.rest().iter().zip(quadratic.sign()).map(|(rest, sign)| rest * sign).collect();
                self.with("Add", &square, rest)
            }
        }
    }
}

/// The network as an ONNX file.
pub(crate) fn network(form: Form, size: Size, seed: u64) -> Vec<u8> {
    let Size { blocks, channels, side } = size;
    let mut writer = Writer { form, size, nodes: vec![], weights: vec![] };
    let quadratics: Vec<Quadratic> =
        (0..=2 * blocks as u64).map(|number| Quadratic::new(seed + 10 * number, channels)).collect();
    let ones = vec![1.0; channels.max(3)];
    let is_folded = form == Form::Folded;
    let biases = |number: u64| -> Vec<f64> {
        random_values(seed + 7 + 10 * number, channels).into_iter().map(|value| 0.1 * f64::from(value)).collect()
    };
    // Rows and bias of the convolution before a polynomial, and columns of the one behind it.
    let before = |number: usize| -> (Vec<f64>, Vec<f64>) {
        let (quadratic, bias) = (&quadratics[number], biases(number as u64));
        if !is_folded {
            return (ones.clone(), bias);
        }
        let root = quadratic.root();
        let bias = bias.iter().zip(&root).zip(quadratic.shift()).map(|((bias, root), shift)| bias * root + shift);
        (root.clone(), bias.collect())
    };
    let behind = |number: usize| if is_folded { quadratics[number].sign() } else { ones.clone() };
    let (rows, bias) = before(0);
    let x = writer.conv("x", seed + 5, 3, [&rows, &ones, &bias]);
    let mut y = writer.quadratic(&x, &quadratics[0]);
    for block in 0..blocks {
        let (first, second) = (2 * block + 1, 2 * block + 2);
        let (rows, bias) = before(first);
        let x = writer.conv(&y, seed + 5 + 10 * first as u64, channels, [&rows, &behind(first - 1), &bias]);
        let inner = writer.quadratic(&x, &quadratics[first]);
        let (rows, bias) = before(second);
        let x = writer.conv(&inner, seed + 5 + 10 * second as u64, channels, [&rows, &behind(first), &bias]);
        let shortcut = match is_folded {
            true => {
                let factors = quadratics[second].root().iter().zip(behind(first - 1)).map(|(a, b)| a * b).collect();
                writer.with("Mul", &y, factors)
            }
            false => y.clone(),
        };
        let sum = writer.push("Add", &format!("{x} {shortcut}"));
        y = writer.quadratic(&sum, &quadratics[second]);
    }
    if is_folded {
        y = writer.with("Mul", &y, behind(2 * blocks));
    }
    let elements = channels * side * side;
    let flat = writer.push("Flatten", &y);
    let weights = random_values(seed + 3, CLASSES * elements).into_iter();
    let weights = weights.map(|weight| f64::from(weight) / (elements as f64).sqrt()).collect();
    let weight = writer.weight(&[elements as i64, CLASSES as i64], weights);
    let result = writer.push("MatMul", &format!("{flat} {weight}"));
    writer.nodes.last_mut().expect("the last layer").output = vec!["y".into()];
    assert!(!result.is_empty());
    model(13, &[1, 3, side as i64, side as i64], writer.nodes, writer.weights).encode_to_vec()
}
