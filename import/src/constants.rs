//! Constant tensors: weights, and the integers that shape chains compute. Reads them from the file.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use half::{bf16, f16};
use paf_ir::tensor::Tensor;
use paf_ir::{Constant, Shape};

use super::error::ImportError;
use super::onnx::{DataLocation, DataType, TensorProto};
use super::source::WeightFolder;

/// No tensor of a model may have more elements, so that sizes can be multiplied without overflow.
pub(super) const MAX_ELEMENTS: usize = 1 << 27;

/// No tensor that nodes make of smaller ones may have more: no circuit has room for it, and a small file cannot ask for it.
pub(super) const MAX_COMPUTED: usize = 1 << 22;

/// Elements that the constants may have together that nodes compute, beside so many times those of the weights.
pub(super) const COMPUTED_CONSTANTS: usize = 1 << 20;
pub(super) const COMPUTED_OF_WEIGHTS: usize = 8;

/// What the elements of a constant are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementKind {
    Real,
    Integer,
    Boolean,
}

/// A constant tensor. Integers are held as f64 too: exact to 2^53, far above any size or index.
#[derive(Debug, Clone)]
pub(super) struct ConstantValue {
    pub(super) tensor: Constant,
    pub(super) kind: ElementKind,
    /// The list in which the elements are places, where they stand for texts.
    pub(super) texts: Option<Arc<Vec<String>>>,
}

impl ConstantValue {
    pub(super) fn new(shape: Shape, data: Vec<f64>, kind: ElementKind) -> Self {
        ConstantValue::of(Arc::new(Tensor::new(shape, data)), kind)
    }

    /// Elements that are numbers.
    pub(super) fn of(tensor: Constant, kind: ElementKind) -> Self {
        ConstantValue { tensor, kind, texts: None }
    }

    /// A list of integers.
    pub(super) fn integers(values: impl IntoIterator<Item = i64>) -> Self {
        let data: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        ConstantValue::new(Shape(vec![data.len()]), data, ElementKind::Integer)
    }

    /// A scalar.
    pub(super) fn scalar(value: f64, kind: ElementKind) -> Self {
        ConstantValue::new(Shape(vec![]), vec![value], kind)
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.tensor.shape
    }

    /// The elements as integers, if that is what they are.
    pub(super) fn as_integers(&self) -> Option<Vec<i64>> {
        (self.kind == ElementKind::Integer).then(|| self.tensor.data.iter().map(|&value| value as i64).collect())
    }

    /// The value of a tensor with one element.
    pub(super) fn as_scalar(&self) -> Option<f64> {
        if let [value] = self.tensor.data[..] { Some(value) } else { None }
    }
}

/// Number of elements of a shape, if no tensor is too large.
pub(super) fn checked_size(shape: &[usize]) -> Option<usize> {
    size_within(shape, MAX_ELEMENTS)
}

/// Number of elements of a shape, if it is within a limit.
pub(super) fn size_within(shape: &[usize], limit: usize) -> Option<usize> {
    let size = shape.iter().try_fold(1usize, |size, &axis| size.checked_mul(axis))?;
    // A zero hides the sizes beside it; they are bounded too.
    let all_small = shape.iter().all(|&axis| axis <= limit);
    (size <= limit && all_small).then_some(size)
}

/// Reads a weight and checks that it is finite. `folder` is where external data lies, if there may be such.
pub(super) fn read_weight(
    tensor: &TensorProto,
    name: &str,
    folder: Option<&WeightFolder>,
) -> Result<ConstantValue, ImportError> {
    let failed = |problem: String| ImportError::Weight { name: name.into(), problem };
    let value = read(tensor, folder).map_err(failed)?;
    match value.tensor.data.iter().position(|element| !element.is_finite()) {
        Some(index) => Err(ImportError::NotFinite { name: name.into(), index, value: value.tensor.data[index] }),
        None => Ok(value),
    }
}

fn read(tensor: &TensorProto, folder: Option<&WeightFolder>) -> Result<ConstantValue, String> {
    let axes = tensor.dims.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>();
    let shape = axes.ok_or_else(|| format!("the sizes {:?} are not valid", tensor.dims))?;
    let size = checked_size(&shape).ok_or_else(|| format!("the sizes {:?} are too large", tensor.dims))?;
    let element_type = DataType::try_from(tensor.data_type)
        .map_err(|_| format!("the element type {} is unknown", tensor.data_type))?;
    if element_type == DataType::String && tensor.string_data.len() == size {
        let texts = tensor.string_data.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        let places = (0..size).map(|place| place as f64).collect();
        let places = ConstantValue::new(Shape(shape), places, ElementKind::Integer);
        return Ok(ConstantValue { texts: Some(Arc::new(texts)), ..places });
    }
    let data = if tensor.data_location == Some(DataLocation::External as i32) {
        let width = width(element_type).ok_or_else(|| unreadable(element_type))?;
        from_bytes(&external_bytes(tensor, folder, size * width)?, element_type)?
    } else if tensor.raw_data.is_empty() {
        from_fields(tensor, element_type)?
    } else {
        from_bytes(&tensor.raw_data, element_type)?
    };
    if data.len() != size {
        return Err(format!("it holds {} elements, its shape {shape:?} has {size}", data.len()));
    }
    Ok(ConstantValue::new(Shape(shape), data, kind(element_type)))
}

/// Integer, boolean or floating point.
pub(super) fn kind(element_type: DataType) -> ElementKind {
    match element_type {
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16 => ElementKind::Real,
        DataType::Bool => ElementKind::Boolean,
        _ => ElementKind::Integer,
    }
}

/// Whether elements of a type are real numbers, integers or truth values.
pub(super) fn are_numbers(element_type: DataType) -> bool {
    use DataType::{Complex64, Complex128, String, Undefined};
    !matches!(element_type, Undefined | String | Complex64 | Complex128)
}

fn unreadable(element_type: DataType) -> String {
    format!("elements of type {} are not supported; use FLOAT", element_type.name())
}

/// Bytes an element of raw data.
fn width(element_type: DataType) -> Option<usize> {
    Some(match element_type {
        DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        _ => return None,
    })
}

/// Little-endian elements.
fn from_bytes(bytes: &[u8], element_type: DataType) -> Result<Vec<f64>, String> {
    let values = match element_type {
        DataType::Bool => bytes.iter().map(|&byte| f64::from(byte != 0)).collect(),
        DataType::Uint8 => bytes.iter().copied().map(f64::from).collect(),
        DataType::Int8 => bytes.iter().map(|&byte| f64::from(byte as i8)).collect(),
        DataType::Uint16 => elements(bytes, |raw| f64::from(u16::from_le_bytes(raw)))?,
        DataType::Int16 => elements(bytes, |raw| f64::from(i16::from_le_bytes(raw)))?,
        DataType::Float16 => elements(bytes, |raw| f16::from_le_bytes(raw).to_f64())?,
        DataType::Bfloat16 => elements(bytes, |raw| bf16::from_le_bytes(raw).to_f64())?,
        DataType::Uint32 => elements(bytes, |raw| f64::from(u32::from_le_bytes(raw)))?,
        DataType::Int32 => elements(bytes, |raw| f64::from(i32::from_le_bytes(raw)))?,
        DataType::Float => elements(bytes, |raw| f64::from(f32::from_le_bytes(raw)))?,
        DataType::Uint64 => elements(bytes, |raw| u64::from_le_bytes(raw) as f64)?,
        DataType::Int64 => elements(bytes, |raw| i64::from_le_bytes(raw) as f64)?,
        DataType::Double => elements(bytes, f64::from_le_bytes)?,
        _ => return Err(unreadable(element_type)),
    };
    Ok(values)
}

fn elements<const WIDTH: usize>(bytes: &[u8], convert: impl Fn([u8; WIDTH]) -> f64) -> Result<Vec<f64>, String> {
    let (whole, rest) = bytes.as_chunks::<WIDTH>();
    if rest.is_empty() {
        return Ok(whole.iter().map(|&raw| convert(raw)).collect());
    }
    Err(format!("{} bytes are no whole number of {WIDTH}-byte elements", bytes.len()))
}

/// Elements in the typed fields of the message.
fn from_fields(tensor: &TensorProto, element_type: DataType) -> Result<Vec<f64>, String> {
    let narrow = || tensor.int32_data.iter();
    Ok(match element_type {
        DataType::Float => tensor.float_data.iter().copied().map(f64::from).collect(),
        DataType::Double => tensor.double_data.clone(),
        DataType::Float16 => narrow().map(|&bits| f16::from_bits(bits as u16).to_f64()).collect(),
        DataType::Bfloat16 => narrow().map(|&bits| bf16::from_bits(bits as u16).to_f64()).collect(),
        DataType::Bool => narrow().map(|&value| f64::from(value != 0)).collect(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Uint8 | DataType::Uint16 => {
            narrow().copied().map(f64::from).collect()
        }
        DataType::Int64 => tensor.int64_data.iter().map(|&value| value as f64).collect(),
        DataType::Uint32 | DataType::Uint64 => tensor.uint64_data.iter().map(|&value| value as f64).collect(),
        _ => return Err(unreadable(element_type)),
    })
}

/// The bytes of a tensor that lies in a file beside the model, as many as its shape and type say.
pub(super) fn external_raw_data(tensor: &TensorProto, folder: Option<&WeightFolder>) -> Result<Vec<u8>, String> {
    let element_type = DataType::try_from(tensor.data_type).ok().and_then(width);
    let width = element_type.ok_or_else(|| format!("the element type {} is not supported", tensor.data_type))?;
    let axes = tensor.dims.iter().map(|&axis| usize::try_from(axis).ok()).collect::<Option<Vec<_>>>();
    let size = axes.and_then(|shape| checked_size(&shape));
    let size = size.ok_or_else(|| format!("the sizes {:?} are not valid", tensor.dims))?;
    external_bytes(tensor, folder, size * width)
}

/// The bytes of a tensor that lies in a file beside the model.
fn external_bytes(tensor: &TensorProto, folder: Option<&WeightFolder>, length: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
    let location = entry("location").ok_or("its external data has no location")?;
    let offset: u64 = entry("offset").map_or(Ok(0), |text| text.parse().map_err(|_| format!("bad offset `{text}`")))?;
    let folder =
        folder.ok_or_else(|| format!("its external data `{location}` lie in a file, and only the model is given"))?;
    let failed = |problem: std::io::Error| format!("its external data `{location}` cannot be read: {problem}");
    let mut file = folder.open(location)?;
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
