//! The frame of multi-section files, and writing that leaves nothing half done.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use paf_circuit::container::{
    Binding, FileKind, HEADER_BYTES, Header, KeyId, SECTION_HEADER_BYTES, SectionKind, SectionReader, SectionWriter,
    read_file, read_header, write_file,
};
use paf_circuit::{CircuitError, Fingerprint, write_circuit};
use paf_files::AtomicFile;
use testkit::circuits::tiny;

const EVALUATION_KEY: SectionKind = SectionKind(2);

fn binding(key: u8) -> Binding {
    Binding { fingerprint: Fingerprint([3; 32]), key: KeyId([key; 32]) }
}

fn server_keys(key: u8, bodies: &[&[u8]]) -> Vec<u8> {
    let header = Header { kind: FileKind::ServerKey, binding: binding(key), sections: bodies.len() as u64 };
    let mut writer = SectionWriter::new(Vec::new(), Path::new("server.key"), header).unwrap();
    for body in bodies {
        writer.section(EVALUATION_KEY, body).unwrap();
    }
    writer.finish().unwrap().0
}

fn read_all(bytes: &[u8]) -> Result<Vec<Vec<u8>>, CircuitError> {
    let length = Some(bytes.len() as u64);
    let mut reader = SectionReader::new(bytes, length, Path::new("server.key"), FileKind::ServerKey)?;
    let (mut body, mut bodies) = (Vec::new(), Vec::new());
    while let Some(kind) = reader.next_section(&mut body)? {
        assert_eq!(kind, EVALUATION_KEY);
        bodies.push(body.clone());
    }
    Ok(bodies)
}

const BODIES: [&[u8]; 4] = [b"relinearization", b"rotation 1", b"", b"rotation 2"];

/// The byte ranges of the sections of [`BODIES`], end mark included.
fn sections() -> Vec<std::ops::Range<usize>> {
    let mut start = HEADER_BYTES;
    let lengths = BODIES.iter().map(|body| body.len()).chain([0]);
    let next = |length: usize| {
        let range = start..start + SECTION_HEADER_BYTES + length;
        start = range.end;
        range
    };
    lengths.map(next).collect()
}

/// A file of the sections of [`BODIES`] in another order.
fn reordered(file: &[u8], order: &[usize]) -> Vec<u8> {
    let sections = sections();
    let parts = order.iter().map(|&number| &file[sections[number].clone()]);
    [&file[..HEADER_BYTES]].into_iter().chain(parts).flatten().copied().collect()
}

#[test]
fn sections_come_back_in_order() {
    let file = server_keys(1, &BODIES);
    assert_eq!(read_all(&file).unwrap(), BODIES);
    assert_eq!(reordered(&file, &[0, 1, 2, 3, 4]), file);
    assert_eq!(read_all(&server_keys(1, &[])).unwrap(), Vec::<Vec<u8>>::new());
}

#[test]
fn moved_missing_and_repeated_sections_are_noticed() {
    let file = server_keys(1, &BODIES);
    for order in [&[0, 2, 1, 3, 4][..], &[0, 1, 1, 3, 4], &[0, 1, 2, 4], &[0, 1, 2, 3, 3, 4], &[4], &[0, 1, 2, 4, 3]] {
        let error = read_all(&reordered(&file, order)).unwrap_err();
        assert!(matches!(error.problem(), CircuitError::Checksum(_)), "{order:?}: {error}");
    }
    let error = read_all(&reordered(&file, &[0, 1, 2, 3])).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Truncated), "{error}");
    let error = read_all(&reordered(&file, &[0, 1, 2, 3, 4, 4])).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Malformed(_)), "{error}");
}

#[test]
fn a_section_of_another_file_is_noticed() {
    let (file, other) = (server_keys(1, &BODIES), server_keys(2, &BODIES));
    let section = sections()[1].clone();
    let mut mixed = file.clone();
    mixed[section.clone()].copy_from_slice(&other[section]);
    assert!(matches!(read_all(&mixed).unwrap_err().problem(), CircuitError::Checksum(_)));
}

#[test]
fn every_flip_and_every_cut_of_a_stream_is_noticed() {
    let file = server_keys(1, &BODIES);
    for bit in 0..8 * file.len() {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(read_all(&damaged).is_err(), "bit {bit} flipped is not noticed");
    }
    for length in 0..file.len() {
        let error = read_all(&file[..length]).unwrap_err();
        assert!(matches!(error.problem(), CircuitError::Truncated), "cut at {length}: {error}");
    }
}

#[test]
fn a_length_beyond_the_file_allocates_nothing() {
    let mut file = server_keys(1, &BODIES);
    file[HEADER_BYTES + 4..HEADER_BYTES + 12].copy_from_slice(&(1u64 << 60).to_le_bytes());
    assert!(matches!(read_all(&file).unwrap_err().problem(), CircuitError::Truncated));
    let pipe = SectionReader::new(&file[..], None, Path::new("pipe"), FileKind::ServerKey);
    let error = pipe.unwrap().next_section(&mut Vec::new()).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Truncated));
}

#[test]
fn other_kinds_and_versions_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ct");
    write_file(&path, FileKind::Ciphertexts, binding(1), b"body").unwrap();
    assert_eq!(read_file(&path, FileKind::Ciphertexts).unwrap(), (binding(1), b"body".to_vec()));
    assert_eq!(read_header(&path).unwrap(), Header { kind: FileKind::Ciphertexts, binding: binding(1), sections: 1 });
    let error = read_file(&path, FileKind::SecretKey).unwrap_err();
    assert!(error.to_string().ends_with("x.ct: this is a ciphertext file; a secret key file is needed"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] = 9;
    fs::write(&path, &bytes).unwrap();
    let error = read_file(&path, FileKind::Ciphertexts).unwrap_err();
    assert!(matches!(error.problem(), CircuitError::Version { found: 9, supported: 4 }));
    assert!(error.to_string().ends_with("format version 9, this program reads version 4"));
}

#[test]
fn files_of_other_circuits_and_keys_are_named() {
    let ours = binding(1);
    ours.check_circuit(&Fingerprint([3; 32])).unwrap();
    ours.check_key(&KeyId([1; 32])).unwrap();
    let error = ours.check_circuit(&Fingerprint([4; 32])).unwrap_err();
    assert!(matches!(error, CircuitError::OtherCircuit { found: Fingerprint(found), .. } if found == [3; 32]));
    let error = ours.check_key(&KeyId([2; 32])).unwrap_err();
    assert!(matches!(error, CircuitError::OtherKey { found: KeyId(found), .. } if found == [1; 32]));
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn wrong_section_counts_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.key");
    let header = Header { kind: FileKind::ServerKey, binding: binding(1), sections: 1 };
    let writer = SectionWriter::create(&path, header).unwrap();
    assert!(matches!(writer.commit().unwrap_err().problem(), CircuitError::Malformed(_)));
    let mut writer = SectionWriter::create(&path, header).unwrap();
    assert!(writer.section(SectionKind(0), b"").is_err(), "the kind of the end mark");
    writer.section(EVALUATION_KEY, b"one").unwrap();
    assert!(matches!(writer.section(EVALUATION_KEY, b"two").unwrap_err().problem(), CircuitError::Malformed(_)));
    drop(writer);
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn an_abandoned_file_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("y.npy");
    fs::write(&path, b"old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    drop(file);
    assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["y.npy".into()], b"old".to_vec()));
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"new").unwrap();
    file.commit().unwrap();
    assert_eq!((names(folder.path()), fs::read(&path).unwrap()), (vec!["y.npy".into()], b"new".to_vec()));
}

#[test]
fn folders_and_missing_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(AtomicFile::create(folder.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    let missing = folder.path().join("missing").join("circuit.bin");
    let error = write_circuit(&missing, &tiny()).unwrap_err();
    assert!(matches!(&error, CircuitError::Io { path, .. } if *path == missing), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_reads_a_secret_key() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let mode = |kind: FileKind| {
        let path = folder.path().join("key");
        write_file(&path, kind, binding(1), b"key").unwrap();
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(FileKind::SecretKey), 0o600);
    assert_ne!(mode(FileKind::ServerKey) & 0o400, 0);
}

#[cfg(unix)]
#[test]
fn a_link_keeps_pointing_to_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, b"old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    write_file(&link, FileKind::Client, binding(0), b"new").unwrap();
    assert!(link.is_symlink());
    assert_eq!(read_file(&file, FileKind::Client).unwrap().1, b"new");
}

/// A disk with room for some bytes.
struct SmallDisk(usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = bytes.len().min(self.0);
        self.0 -= written;
        if written == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(written) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_to(disk: SmallDisk) -> Result<SmallDisk, CircuitError> {
    let header = Header { kind: FileKind::ServerKey, binding: binding(1), sections: BODIES.len() as u64 };
    let mut writer = SectionWriter::new(disk, Path::new("server.key"), header)?;
    for body in BODIES {
        writer.section(EVALUATION_KEY, body)?;
    }
    writer.finish().map(|(disk, _)| disk)
}

#[test]
fn a_disk_that_fills_up_anywhere_is_an_error() {
    let needed = server_keys(1, &BODIES).len();
    for room in 0..needed {
        let error = write_to(SmallDisk(room)).err().expect("the disk is too small");
        let full = matches!(&error, CircuitError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull);
        assert!(full, "{error}");
    }
    assert_eq!(write_to(SmallDisk(needed)).unwrap().0, 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    let error = write_circuit(Path::new("/dev/full"), &tiny()).unwrap_err();
    assert!(matches!(&error, CircuitError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
    assert!(error.to_string().starts_with("/dev/full: "));
    assert!(!fs::metadata("/dev/full").unwrap().is_file());
}

/// Names the folder in which [`writing_process`] writes.
const WRITING_FOLDER: &str = "PAF_TEST_WRITING_FOLDER";

/// Run by [`a_file_that_cannot_grow_leaves_nothing`] in a process of its own, where files are limited in size.
#[test]
fn writing_process() {
    let Some(folder) = std::env::var_os(WRITING_FOLDER) else { return };
    let path = Path::new(&folder).join("server.key");
    let error = write_file(&path, FileKind::ServerKey, binding(1), &vec![1; 1 << 20]).unwrap_err();
    assert!(matches!(error, CircuitError::Io { .. }), "{error}");
    assert_eq!((names(Path::new(&folder)), fs::read(&path).unwrap()), (vec!["server.key".into()], b"old".to_vec()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_grow_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("server.key"), b"old").unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact writing_process"])
        .arg(std::env::current_exe().unwrap())
        .env(WRITING_FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    assert!(String::from_utf8_lossy(&status.stdout).contains("1 passed"));
}

#[test]
fn key_ids_read_back() {
    let id = KeyId(std::array::from_fn(|index| (17 * index) as u8));
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
    let text = id.to_string();
    for wrong in ["", &text[..62], &format!("{text}00"), &format!("+{}", &text[1..]), &format!("{}\u{e9}", &text[2..])]
    {
        assert!(wrong.parse::<KeyId>().is_err(), "{wrong}");
    }
}
