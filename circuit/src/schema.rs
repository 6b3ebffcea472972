//! The protobuf messages of `proto/circuit.proto`, field by field; a test compares the two.

/// A compiled network.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Circuit {
    #[prost(message, optional, tag = "1")]
    pub(crate) model: Option<Model>,
    #[prost(message, optional, tag = "2")]
    pub(crate) parameters: Option<Parameters>,
    #[prost(message, optional, tag = "3")]
    pub(crate) program: Option<Program>,
    #[prost(message, optional, tag = "4")]
    pub(crate) prediction: Option<Prediction>,
    /// Fingerprint of the client's part: SHA-256 of its `ClientPart` message.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) fingerprint: Vec<u8>,
    /// Rotations outside of bootstraps that need a key, ascending.
    #[prost(message, repeated, tag = "6")]
    pub(crate) rotations: Vec<Rotation>,
}

/// A rotation key: slots to the left, and the highest level of its use.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Rotation {
    #[prost(sint64, tag = "1")]
    pub(crate) steps: i64,
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
}

/// Where the circuit comes from.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Model {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(crate) source_sha256: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(crate) compiler: String,
    #[prost(message, repeated, tag = "4")]
    pub(crate) pafs: Vec<NodePaf>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) notes: Vec<String>,
    /// Absent where it was not measured.
    #[prost(message, optional, tag = "6")]
    pub(crate) fidelity: Option<Fidelity>,
}

/// How well the polynomial network predicts as the original one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Fidelity {
    #[prost(double, tag = "1")]
    pub(crate) same: f64,
    #[prost(uint64, tag = "2")]
    pub(crate) samples: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) outside: u64,
    #[prost(double, tag = "4")]
    pub(crate) expected: f64,
}

/// The polynomial that replaced one operator.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NodePaf {
    #[prost(string, tag = "1")]
    pub(crate) node: String,
    #[prost(string, tag = "2")]
    pub(crate) operator: String,
    #[prost(string, tag = "3")]
    pub(crate) paf: String,
    #[prost(double, tag = "4")]
    pub(crate) scale: f64,
    #[prost(double, tag = "5")]
    pub(crate) max_error: f64,
}

/// What the compiler expects of a run.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Prediction {
    #[prost(uint64, tag = "1")]
    pub(crate) peak_bytes: u64,
    #[prost(double, tag = "2")]
    pub(crate) seconds: f64,
    #[prost(double, tag = "3")]
    pub(crate) precision_bits: f64,
    /// What the seconds are made of; absent where it is not known.
    #[prost(message, optional, tag = "4")]
    pub(crate) work: Option<Work>,
    /// The machine that the seconds are for; empty for the reference machine.
    #[prost(string, tag = "5")]
    pub(crate) machine: String,
    /// Bytes of evaluation keys that are in memory at a time, the others being read when they are needed; 0 for all.
    #[prost(uint64, tag = "6")]
    pub(crate) key_memory: u64,
}

/// Seconds on the reference machine by kind of work.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Work {
    #[prost(double, tag = "1")]
    pub(crate) key_switch: f64,
    #[prost(double, tag = "2")]
    pub(crate) plaintext_product: f64,
    #[prost(double, tag = "3")]
    pub(crate) encoding: f64,
    #[prost(double, tag = "4")]
    pub(crate) product: f64,
    #[prost(double, tag = "5")]
    pub(crate) rescale: f64,
    #[prost(double, tag = "6")]
    pub(crate) addition: f64,
    #[prost(double, tag = "7")]
    pub(crate) bootstrap: f64,
    #[prost(double, tag = "8")]
    pub(crate) key_loading: f64,
}

/// Parameters of the CKKS scheme.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Parameters {
    #[prost(uint64, tag = "1")]
    pub(crate) ring_dimension: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) slots: u64,
    #[prost(uint32, tag = "3")]
    pub(crate) levels: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) scale_bits: u32,
    #[prost(uint32, tag = "5")]
    pub(crate) first_modulus_bits: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) digits: u32,
    #[prost(uint32, tag = "7")]
    pub(crate) special_primes: u32,
    #[prost(enumeration = "Secret", tag = "8")]
    pub(crate) secret: i32,
    #[prost(uint32, tag = "9")]
    pub(crate) log_qp: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) security_bits: u32,
    #[prost(message, optional, tag = "11")]
    pub(crate) bootstrap: Option<Bootstrap>,
}

/// How bootstraps are evaluated: levels for encoding and decoding, and levels that one takes from the top.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Bootstrap {
    #[prost(uint32, tag = "1")]
    pub(crate) encoding_levels: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) decoding_levels: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) depth: u32,
    /// Bits that the first of two iterations reaches; 0 for one iteration.
    #[prost(uint32, tag = "4")]
    pub(crate) refinement_bits: u32,
}

/// Distribution of the secret key's coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Secret {
    Unspecified = 0,
    UniformTernary = 1,
    UniformTernaryEncapsulated = 2,
}

/// What the client gets: no weights, no program.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientFile {
    #[prost(message, optional, tag = "1")]
    pub(crate) part: Option<ClientPart>,
    #[prost(string, tag = "2")]
    pub(crate) model_name: String,
    #[prost(bytes = "vec", tag = "3")]
    pub(crate) fingerprint: Vec<u8>,
    /// Of the result, as the compiler predicts it.
    #[prost(double, tag = "4")]
    pub(crate) precision_bits: f64,
}

/// All that keys and ciphertexts depend on.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientPart {
    #[prost(message, optional, tag = "1")]
    pub(crate) parameters: Option<Parameters>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) rotations: Vec<Rotation>,
    #[prost(uint32, tag = "3")]
    pub(crate) relinearization_level: u32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) layouts: Vec<Layout>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) inputs: Vec<InputPort>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) outputs: Vec<OutputPort>,
    #[prost(uint32, repeated, tag = "7")]
    pub(crate) input_levels: Vec<u32>,
    #[prost(uint32, repeated, tag = "8")]
    pub(crate) output_levels: Vec<u32>,
    #[prost(uint64, repeated, tag = "9")]
    pub(crate) bootstrap_slots: Vec<u64>,
    #[prost(message, optional, tag = "10")]
    pub(crate) client: Option<ClientProgram>,
}

/// An input: the client multiplies by `scale`, lays out and encrypts; columns of their own have a scale of their own.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct InputPort {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) shape: Vec<u64>,
    #[prost(uint32, tag = "3")]
    pub(crate) layout: u32,
    #[prost(double, tag = "4")]
    pub(crate) scale: f64,
    #[prost(double, tag = "5")]
    pub(crate) range_low: f64,
    #[prost(double, tag = "6")]
    pub(crate) range_high: f64,
    #[prost(message, optional, tag = "7")]
    pub(crate) own: Option<OwnColumns>,
}

/// Element i is of column (i / repeat) mod count; those listed have a scale of their own.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OwnColumns {
    #[prost(uint64, tag = "1")]
    pub(crate) repeat: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) count: u64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) columns: Vec<OwnColumn>,
}

/// The client subtracts `offset` and multiplies by `scale`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct OwnColumn {
    #[prost(uint64, tag = "1")]
    pub(crate) column: u64,
    #[prost(double, tag = "2")]
    pub(crate) offset: f64,
    #[prost(double, tag = "3")]
    pub(crate) scale: f64,
    #[prost(double, tag = "4")]
    pub(crate) range_low: f64,
    #[prost(double, tag = "5")]
    pub(crate) range_high: f64,
}

/// What the client decrypts: it reads the layout and multiplies by `scale`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OutputPort {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) shape: Vec<u64>,
    #[prost(uint32, tag = "3")]
    pub(crate) layout: u32,
    #[prost(double, tag = "4")]
    pub(crate) scale: f64,
}

/// What the client computes from decrypted tensors; unset where these are the model's outputs.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientProgram {
    /// The shape of each decrypted tensor in the model.
    #[prost(message, repeated, tag = "1")]
    pub(crate) ports: Vec<Shape>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) steps: Vec<ClientStep>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) results: Vec<ClientResult>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Shape {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) sizes: Vec<u64>,
}

/// An operation by its name, with its integers and its constant.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientStep {
    #[prost(string, tag = "1")]
    pub(crate) operation: String,
    #[prost(sint64, repeated, tag = "2")]
    pub(crate) integers: Vec<i64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) constant: Option<Constant>,
    /// Tensors before it: the ports, then the steps.
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) operands: Vec<u32>,
    #[prost(message, optional, tag = "5")]
    pub(crate) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClientResult {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(uint32, tag = "2")]
    pub(crate) value: u32,
    #[prost(message, optional, tag = "3")]
    pub(crate) shape: Option<Shape>,
    #[prost(enumeration = "ResultKind", tag = "4")]
    pub(crate) kind: i32,
    #[prost(string, repeated, tag = "5")]
    pub(crate) texts: Vec<String>,
}

/// What the elements of a result are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum ResultKind {
    Unspecified = 0,
    Real = 1,
    Integer = 2,
    Boolean = 3,
    Text = 4,
}

/// The ciphertext program. Layouts, constants and names are tables that the rest refers to by index.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Program {
    #[prost(uint64, tag = "1")]
    pub(crate) slots: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) constants: Vec<Constant>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) layouts: Vec<Layout>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) names: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) maps: Vec<Map>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) inputs: Vec<InputPort>,
    #[prost(message, repeated, tag = "7")]
    pub(crate) outputs: Vec<OutputPort>,
    /// Value of each output.
    #[prost(uint32, repeated, tag = "8")]
    pub(crate) output_values: Vec<u32>,
    #[prost(message, repeated, tag = "9")]
    pub(crate) values: Vec<Value>,
    #[prost(message, optional, tag = "10")]
    pub(crate) client: Option<ClientProgram>,
}

/// A tensor of weights, row-major: `floats` if every value is exactly an f32, else `doubles`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Constant {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) shape: Vec<u64>,
    #[prost(float, repeated, tag = "2")]
    pub(crate) floats: Vec<f32>,
    #[prost(double, repeated, tag = "3")]
    pub(crate) doubles: Vec<f64>,
}

/// Where a tensor's elements lie in slots.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Layout {
    #[prost(uint64, tag = "1")]
    pub(crate) period: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) ciphertexts: u64,
    #[prost(enumeration = "Gaps", tag = "3")]
    pub(crate) gaps: i32,
    #[prost(oneof = "LayoutPlaces", tags = "4, 5")]
    pub(crate) places: Option<LayoutPlaces>,
}

/// The choice `places` of [`Layout`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum LayoutPlaces {
    #[prost(message, tag = "4")]
    Digits(Digits),
    #[prost(message, tag = "5")]
    Table(Table),
}

/// What slots without an element hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Gaps {
    Unspecified = 0,
    Zero = 1,
    Leftover = 2,
}

/// Mixed-radix digits, innermost first: slot = first + the sum of digit * stride.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Digits {
    #[prost(uint32, tag = "1")]
    pub(crate) first: u32,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) sizes: Vec<u64>,
    #[prost(sint64, repeated, tag = "3")]
    pub(crate) strides: Vec<i64>,
}

/// The slot of each element.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Table {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) slots: Vec<u32>,
}

/// A linear map y = scale * F_k(...F_1(x)) + bias between two layouts, with its evaluation plan.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Map {
    #[prost(uint32, tag = "1")]
    pub(crate) name: u32,
    #[prost(message, repeated, tag = "2")]
    pub(crate) factors: Vec<Factor>,
    #[prost(double, tag = "3")]
    pub(crate) scale: f64,
    #[prost(message, optional, tag = "4")]
    pub(crate) bias: Option<Bias>,
    #[prost(uint32, tag = "5")]
    pub(crate) input_layout: u32,
    #[prost(uint32, tag = "6")]
    pub(crate) output_layout: u32,
    #[prost(message, optional, tag = "7")]
    pub(crate) plan: Option<Plan>,
}

/// Element i gets constant[(i / repeat) mod length].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Bias {
    #[prost(uint32, tag = "1")]
    pub(crate) constant: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) repeat: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Factor {
    #[prost(oneof = "FactorKind", tags = "1, 2, 3, 4, 5, 6")]
    pub(crate) kind: Option<FactorKind>,
}

/// The choice `kind` of [`Factor`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum FactorKind {
    #[prost(message, tag = "1")]
    Conv(Conv),
    #[prost(message, tag = "2")]
    Dense(Dense),
    #[prost(message, tag = "3")]
    AveragePool(Window),
    #[prost(message, tag = "4")]
    Select(Select),
    #[prost(message, tag = "5")]
    Permute(Permute),
    #[prost(message, tag = "6")]
    Diagonal(Diagonal),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Conv {
    #[prost(uint32, tag = "1")]
    pub(crate) weight: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) window: Option<Window>,
    #[prost(uint64, tag = "3")]
    pub(crate) groups: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Dense {
    #[prost(uint32, tag = "1")]
    pub(crate) weight: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) left: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) right: u64,
}

/// A sliding window over [channels, height, width].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Window {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) input: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) kernel: Vec<u64>,
    #[prost(uint64, repeated, tag = "3")]
    pub(crate) strides: Vec<u64>,
    /// Top, left, bottom, right.
    #[prost(uint64, repeated, tag = "4")]
    pub(crate) pads: Vec<u64>,
    #[prost(uint64, repeated, tag = "5")]
    pub(crate) dilations: Vec<u64>,
    #[prost(uint64, repeated, tag = "6")]
    pub(crate) output: Vec<u64>,
    #[prost(bool, tag = "7")]
    pub(crate) count_include_pad: bool,
}

/// Per axis, the input index each output index takes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Select {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) input: Vec<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) indices: Vec<Indices>,
}

/// Indices plus one; 0 takes a zero.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Indices {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) plus_one: Vec<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Permute {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) input: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) permutation: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Diagonal {
    #[prost(uint32, tag = "1")]
    pub(crate) values: u32,
    #[prost(uint64, tag = "2")]
    pub(crate) repeat: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) size: u64,
}

/// Baby-step giant-step plan over generalised diagonals.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Plan {
    #[prost(uint64, tag = "1")]
    pub(crate) modulus: u64,
    #[prost(message, repeated, tag = "2")]
    pub(crate) giants: Vec<Giant>,
    #[prost(sint64, repeated, tag = "3")]
    pub(crate) folds: Vec<i64>,
    #[prost(int64, tag = "4")]
    pub(crate) outer_stride: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Giant {
    #[prost(sint64, tag = "1")]
    pub(crate) rotation: i64,
    #[prost(sint64, repeated, tag = "2")]
    pub(crate) babies: Vec<i64>,
}

/// One operation; operands are indices of earlier values.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Value {
    #[prost(uint32, tag = "1")]
    pub(crate) name: u32,
    #[prost(oneof = "ValueOperation", tags = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13")]
    pub(crate) operation: Option<ValueOperation>,
}

/// The choice `operation` of [`Value`].
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum ValueOperation {
    #[prost(message, tag = "2")]
    Input(Input),
    #[prost(message, tag = "3")]
    Linear(Linear),
    #[prost(message, tag = "4")]
    Rotate(Rotate),
    #[prost(message, tag = "5")]
    Add(Pair),
    #[prost(message, tag = "6")]
    Sub(Pair),
    #[prost(message, tag = "7")]
    Mul(Pair),
    #[prost(message, tag = "8")]
    MulConstant(MulConstant),
    #[prost(message, tag = "9")]
    AddConstant(AddConstant),
    #[prost(message, tag = "10")]
    Relinearize(Single),
    #[prost(message, tag = "11")]
    Rescale(Single),
    #[prost(message, tag = "12")]
    Drop(ToLevel),
    #[prost(message, tag = "13")]
    Bootstrap(Refresh),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Input {
    #[prost(uint32, tag = "1")]
    pub(crate) port: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Linear {
    #[prost(uint32, tag = "1")]
    pub(crate) map: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) input: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) level: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Rotate {
    #[prost(sint64, tag = "1")]
    pub(crate) steps: i64,
    #[prost(uint32, tag = "2")]
    pub(crate) input: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Pair {
    #[prost(uint32, tag = "1")]
    pub(crate) left: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) right: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MulConstant {
    #[prost(double, tag = "1")]
    pub(crate) constant: f64,
    #[prost(uint32, tag = "2")]
    pub(crate) input: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) level: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct AddConstant {
    #[prost(double, tag = "1")]
    pub(crate) constant: f64,
    #[prost(uint32, tag = "2")]
    pub(crate) input: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Single {
    #[prost(uint32, tag = "1")]
    pub(crate) input: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ToLevel {
    #[prost(uint32, tag = "1")]
    pub(crate) input: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Refresh {
    #[prost(uint32, tag = "1")]
    pub(crate) input: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) level: u32,
    #[prost(uint64, tag = "3")]
    pub(crate) slots: u64,
}
