//! NumPy's `.npz` format: arrays by name, a zip archive of `.npy` files.

use std::io::{Read, Seek, SeekFrom};

use zip::ZipArchive;

use crate::error::FileError;

/// Deflate makes no more than this of a byte.
const MOST_INFLATION: u64 = 1032;

/// An archive that is open.
#[derive(Debug)]
pub struct Npz<R> {
    archive: ZipArchive<R>,
    length: u64,
}

impl<R: Read + Seek> Npz<R> {
    /// Reads the list of arrays.
    ///
    /// # Errors
    /// [`FileError::NotNpz`] or [`FileError::Io`].
    pub fn open(mut reader: R) -> Result<Self, FileError> {
        let length = reader.seek(SeekFrom::End(0))?;
        let archive = ZipArchive::new(reader).map_err(|error| FileError::NotNpz(error.to_string()))?;
        Ok(Npz { archive, length })
    }

    /// Names of the arrays, in alphabetical order.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.archive.file_names().map(|name| name.strip_suffix(".npy").unwrap_or(name)).collect();
        names.sort_unstable();
        names
    }

    /// The bytes of an array, for a reader of [`crate::npy`]; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`FileError::NotNpz`] for an entry that is damaged or has more bytes than the archive can hold;
    /// [`FileError::Io`].
    pub fn array(&mut self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        let Some(index) =
            ["", ".npy"].iter().find_map(|suffix| self.archive.index_for_name(&format!("{name}{suffix}")))
        else {
            return Ok(None);
        };
        let entry = self.archive.by_index(index).map_err(|error| FileError::NotNpz(error.to_string()))?;
        let size = entry.size();
        if size > self.length.saturating_mul(MOST_INFLATION) {
            return Err(FileError::NotNpz(format!("`{name}` claims {size} bytes, more than the file can hold")));
        }
        let mut bytes = Vec::with_capacity(size.min(self.length) as usize);
        entry.take(size).read_to_end(&mut bytes).map_err(|error| FileError::NotNpz(format!("`{name}`: {error}")))?;
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use ndarray::ArrayD;
    use ndarray_npy::NpzWriter;

    use super::*;
    use crate::npy;

    type Memory = Cursor<Vec<u8>>;

    fn archive(writer: fn(Memory) -> NpzWriter<Memory>) -> Vec<u8> {
        let mut writer = writer(Cursor::new(Vec::new()));
        writer.add_array("y", &ArrayD::<i64>::ones(vec![3])).unwrap();
        writer.add_array("x", &ArrayD::<f32>::ones(vec![3, 1000])).unwrap();
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn arrays_have_names() {
        for writer in [NpzWriter::new, NpzWriter::new_compressed] {
            let mut npz = Npz::open(Cursor::new(archive(writer))).unwrap();
            assert_eq!(npz.names(), ["x", "y"]);
            let x = npy::samples(&npz.array("x").unwrap().unwrap()).unwrap();
            assert_eq!((x.shape, x.data), (vec![3, 1000], vec![1.0; 3000]));
            assert_eq!(npy::integers(&npz.array("y").unwrap().unwrap()).unwrap().data, [1; 3]);
            assert_eq!(npz.array("z").unwrap(), None);
        }
    }

    #[test]
    fn an_entry_costs_no_more_memory_than_its_bytes() {
        let whole = archive(NpzWriter::new);
        let claimed = (1u32 << 30).to_le_bytes();
        // The uncompressed size of each entry, as the directory at the end has it.
        let mut bytes = whole.clone();
        let places: Vec<usize> =
            whole.windows(4).enumerate().filter(|(_, window)| window == b"PK\x01\x02").map(|(at, _)| at + 24).collect();
        places.into_iter().for_each(|at| bytes[at..at + 4].copy_from_slice(&claimed));
        let error = Npz::open(Cursor::new(bytes)).unwrap().array("x").unwrap_err().to_string();
        assert!(error.contains("`x` claims 1073741824 bytes, more than the file can hold"), "{error}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = archive(NpzWriter::new_compressed);
        for length in 0..bytes.len() {
            assert!(matches!(Npz::open(Cursor::new(&bytes[..length])), Err(FileError::NotNpz(_))), "{length}");
        }
    }
}
