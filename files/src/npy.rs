//! NumPy's `.npy` format: one array.
//!
//! Readers look at bytes that are there instead of reading what a header promises, so a damaged or forged header costs
//! no memory. Elements are those of the machine's byte order, as NumPy writes them.

use std::io::{self, Write};

use half::f16;
use ndarray::{ArrayViewD, IxDyn};
pub use ndarray_npy::WritableElement;
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt, WriteNpyError, WriteNpyExt};

use crate::error::FileError;

/// An array with its elements row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct NumpyArray<T> {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The elements.
    pub data: Vec<T>,
}

/// Reads an array of numbers of any kind: float16, float32 or float64, integers, or truth values as 0 and 1.
///
/// # Errors
/// [`FileError::NotNpy`] or [`FileError::ElementType`].
pub fn floats(bytes: &[u8]) -> Result<NumpyArray<f64>, FileError> {
    let needed = "float16, float32, float64, an integer type or bool";
    if let Some(bits) = bits_of_halves(bytes) {
        return first_that_fits(&bits, needed, &[view::<u16, f64>(|bits| f16::from_bits(bits).to_f64())]);
    }
    let views = [
        view::<f32, f64>(f64::from),
        view::<f64, f64>(|value| value),
        view::<u8, f64>(f64::from),
        view::<i8, f64>(f64::from),
        view::<u16, f64>(f64::from),
        view::<i16, f64>(f64::from),
        view::<u32, f64>(f64::from),
        view::<i32, f64>(f64::from),
        view::<u64, f64>(|value| value as f64),
        view::<i64, f64>(|value| value as f64),
        view::<bool, f64>(f64::from),
    ];
    first_that_fits(bytes, needed, &views)
}

/// Reads an array of float16, float32, float64 or uint8.
///
/// # Errors
/// [`FileError::NotNpy`] or [`FileError::ElementType`].
pub fn samples(bytes: &[u8]) -> Result<NumpyArray<f32>, FileError> {
    let needed = "float16, float32, float64 or uint8";
    if let Some(bits) = bits_of_halves(bytes) {
        return first_that_fits(&bits, needed, &[view::<u16, f32>(|bits| f16::from_bits(bits).to_f32())]);
    }
    let views = [view::<f32, f32>(|value| value), view::<f64, f32>(|value| value as f32), view::<u8, f32>(f32::from)];
    first_that_fits(bytes, needed, &views)
}

/// Reads an array of int64, int32 or uint8.
///
/// # Errors
/// [`FileError::NotNpy`] or [`FileError::ElementType`].
pub fn integers(bytes: &[u8]) -> Result<NumpyArray<i64>, FileError> {
    let views = [view::<i64, i64>(|value| value), view::<i32, i64>(i64::from), view::<u8, i64>(i64::from)];
    first_that_fits(bytes, "int64, int32 or uint8", &views)
}

/// Reads the classes of samples, numbered from 0: one axis of int64, int32 or uint8.
///
/// # Errors
/// What is wrong with them, in words.
pub fn classes(bytes: &[u8]) -> Result<Vec<u32>, String> {
    let array = integers(bytes).map_err(|error| error.to_string())?;
    if array.shape.len() != 1 {
        return Err(format!("labels of shape {:?}; one class number a sample is needed", array.shape));
    }
    let class = |(index, &value): (usize, &i64)| {
        u32::try_from(value).map_err(|_| format!("label {index} is {value}; classes are numbered from 0"))
    };
    array.data.iter().enumerate().map(class).collect()
}

/// Writes an array.
///
/// # Errors
/// Any I/O error; an array with more or fewer elements than its shape has.
pub fn write<T: WritableElement>(output: &mut impl Write, shape: &[usize], data: &[T]) -> io::Result<()> {
    let array = ArrayViewD::from_shape(IxDyn(shape), data).map_err(io::Error::other)?;
    array.write_npy(output).map_err(|error| match error {
        WriteNpyError::Io(error) => error,
        other => io::Error::other(other),
    })
}

/// Writes an array of texts as NumPy's fixed-width Unicode (`<U`), four bytes a character, zeros behind short texts.
///
/// # Errors
/// Any I/O error; an array with more or fewer elements than its shape has.
pub fn write_texts(output: &mut impl Write, shape: &[usize], texts: &[&str]) -> io::Result<()> {
    /// Magic, version and length of the header.
    const PREFIX: usize = 10;
    if shape.iter().product::<usize>() != texts.len() {
        return Err(io::Error::other(format!("{} texts do not fill the shape {shape:?}", texts.len())));
    }
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<U{width}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Aligned to 64 bytes, the newline at its end.
    let spaces = 63 - (PREFIX + header.len()) % 64;
    header.extend(std::iter::repeat_n(' ', spaces).chain(['\n']));
    let length = u16::try_from(header.len()).map_err(io::Error::other)?;
    output.write_all(b"\x93NUMPY\x01\x00")?;
    output.write_all(&length.to_le_bytes())?;
    output.write_all(header.as_bytes())?;
    for text in texts {
        let characters = text.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
        characters.into_iter().try_for_each(|character| output.write_all(&character.to_le_bytes()))?;
    }
    Ok(())
}

/// An array of the elements wanted, or why the bytes are none.
type View<T> = Box<dyn Fn(&[u8]) -> Result<NumpyArray<T>, ViewNpyError>>;

fn view<T: ViewElement + Copy + 'static, U: 'static>(convert: fn(T) -> U) -> View<U> {
    Box::new(move |bytes| {
        let array = ArrayViewD::<T>::view_npy(bytes)?;
        Ok(NumpyArray { shape: array.shape().to_vec(), data: array.iter().map(|&value| convert(value)).collect() })
    })
}

/// The file with the numbers of 16 bits that its float16 are, which ndarray-npy does not know; none if it holds others.
fn bits_of_halves(bytes: &[u8]) -> Option<Vec<u8>> {
    let (half, integer) = (b"'descr': '<f2'", b"'descr': '<u2'");
    let header = bytes.iter().position(|&byte| byte == b'\n')?;
    let place = bytes[..header].windows(half.len()).position(|part| part == half)?;
    let mut bits = bytes.to_vec();
    bits[place..][..integer.len()].copy_from_slice(integer);
    Some(bits)
}

fn first_that_fits<T>(bytes: &[u8], needed: &'static str, views: &[View<T>]) -> Result<NumpyArray<T>, FileError> {
    check_header_length(bytes)?;
    let mut found = String::new();
    for view in views {
        match view(bytes) {
            Ok(array) => return Ok(array),
            Err(ViewNpyError::WrongDescriptor(descriptor)) => found = descriptor.to_string().replace('\'', ""),
            Err(error) => return Err(FileError::NotNpy(error.to_string())),
        }
    }
    Err(FileError::ElementType { found, needed })
}

/// Whether the header lies within the bytes: its reader makes room for all that it promises.
fn check_header_length(bytes: &[u8]) -> Result<(), FileError> {
    let length = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => usize::from(u16::from_le_bytes([*a, *b])),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]) as usize,
        _ => return Err(FileError::NotNpy("it is cut short, or another format".into())),
    };
    match length <= bytes.len() {
        true => Ok(()),
        false => Err(FileError::NotNpy(format!("its header has {length} bytes and the file {}", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::ArrayD;

    use super::*;

    fn npy<T: WritableElement>(shape: &[usize], data: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, shape, data).unwrap();
        bytes
    }

    /// The same bytes under another element type of the same size.
    fn with_type(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = bytes.to_vec();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    }

    #[test]
    fn floats_of_both_widths_are_read_in_row_major_order() {
        let array = floats(&npy(&[2, 2], &[1.0f32, 2.0, 3.0, 4.5])).unwrap();
        assert_eq!(array, NumpyArray { shape: vec![2, 2], data: vec![1.0, 2.0, 3.0, 4.5] });
        let transposed = ArrayD::from_shape_vec(IxDyn(&[2, 2]), vec![1.0, 2.0, 3.0, 4.5]).unwrap().reversed_axes();
        let mut bytes = Vec::new();
        transposed.write_npy(&mut bytes).unwrap();
        assert_eq!(floats(&bytes).unwrap().data, [1.0, 3.0, 2.0, 4.5]);
    }

    /// The bytes of `numpy.save` for `numpy.array([["a", "dog"]])`, header but for its padding.
    #[test]
    fn texts_are_those_of_numpy() {
        let mut bytes = Vec::new();
        write_texts(&mut bytes, &[1, 2], &["a", "dog"]).unwrap();
        assert!(
            bytes.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<U3', 'fortran_order': False, 'shape': (1,2,), }")
        );
        assert_eq!(bytes.len(), 128 + 2 * 3 * 4);
        assert_eq!(bytes[127], b'\n');
        assert_eq!(&bytes[128..], b"a\0\0\0\0\0\0\0\0\0\0\0d\0\0\0o\0\0\0g\0\0\0");
    }

    #[test]
    fn other_types_are_named() {
        let text = with_type(&npy(&[3], &[1u8; 3]), "|u1", "|S1");
        let error = floats(&text).unwrap_err().to_string();
        assert_eq!(error, "holds numbers of type |S1; float16, float32, float64, an integer type or bool is needed");
        let error = integers(&npy(&[1], &[1.0f32])).unwrap_err().to_string();
        assert_eq!(error, "holds numbers of type <f4; int64, int32 or uint8 is needed");
        assert_eq!(floats(&npy(&[2], &[-7i64, 7])).unwrap().data, [-7.0, 7.0]);
        assert_eq!(floats(&npy(&[2], &[true, false])).unwrap().data, [1.0, 0.0]);
        assert_eq!(samples(&npy(&[3], &[1u8; 3])).unwrap().data, [1.0; 3]);
        assert_eq!(integers(&npy(&[2], &[-7i32, 7])).unwrap().data, [-7, 7]);
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = npy(&[3], &[1.0f64; 3]);
        for length in 0..bytes.len() {
            assert!(matches!(floats(&bytes[..length]), Err(FileError::NotNpy(_))), "{length}");
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_an_error() {
        let mut bytes = npy(&[1], &[1.0f64]);
        let at = bytes.windows(4).position(|window| window == b"(1,)").unwrap();
        let huge = b"(99999999999999,)}";
        bytes[at..at + huge.len()].copy_from_slice(huge);
        assert!(matches!(floats(&bytes), Err(FileError::NotNpy(_))));
        let error = floats(b"\x93NUMPY\x02\x00\xff\xff\xff\xff").unwrap_err().to_string();
        assert_eq!(error, "is no .npy file: its header has 4294967295 bytes and the file 12");
    }

    #[test]
    fn halves_are_converted() {
        // As numpy.save writes numpy.float16([[1.0, -2.5, 65504.0]]).
        let mut bytes = b"\x93NUMPY\x01\x00v\x00{'descr': '<f2', 'fortran_order': False, 'shape': (1, 3), }".to_vec();
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([0x00, 0x3c, 0x00, 0xc1, 0xff, 0x7b]);
        let expected = NumpyArray { shape: vec![1, 3], data: vec![1.0, -2.5, 65504.0] };
        assert_eq!(floats(&bytes).unwrap(), expected);
        assert_eq!(samples(&bytes).unwrap().data, [1.0, -2.5, 65504.0]);
        assert!(integers(&bytes).unwrap_err().to_string().contains("<f2"));
    }
}
