//! Single sections of a file, in any order.

use std::fs;
use std::path::Path;

use paf_circuit::container::{
    Binding, FileKind, HEADER_BYTES, Header, SECTION_HEADER_BYTES, SectionIndex, SectionKind, SectionWriter,
};

const BODIES: [&[u8]; 4] = [b"first", b"", b"a longer one", b"last"];

fn written(path: &Path) {
    let header = Header { kind: FileKind::ServerKey, binding: Binding::default(), sections: BODIES.len() as u64 };
    let mut writer = SectionWriter::create(path, header).unwrap();
    for (kind, body) in (1..).zip(BODIES) {
        writer.section(SectionKind(kind), body).unwrap();
    }
    writer.commit().unwrap();
}

#[test]
fn sections_are_read_in_any_order_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    written(&path);
    let mut index = SectionIndex::open(&path, FileKind::ServerKey).unwrap();
    let mut body = b"what was there before".to_vec();
    for section in [2, 0, 3, 3, 1, 2] {
        assert_eq!(index.length(section), BODIES[section].len() as u64);
        assert_eq!(index.read(section, &mut body).unwrap(), SectionKind(section as u32 + 1));
        assert_eq!(body, BODIES[section], "section {section}");
    }
}

#[test]
fn damage_is_noticed_in_the_section_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    written(&path);
    let whole = fs::read(&path).unwrap();
    let mut body = vec![];
    for place in HEADER_BYTES + 12..HEADER_BYTES + SECTION_HEADER_BYTES + BODIES[0].len() {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        fs::write(&path, &damaged).unwrap();
        let mut index = SectionIndex::open(&path, FileKind::ServerKey).unwrap();
        let error = index.read(0, &mut body).unwrap_err().to_string();
        assert!(error.contains("keys: the file is damaged: the checksum of section 0"), "{error}");
        index.read(3, &mut body).unwrap();
        assert_eq!(body, BODIES[3]);
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = SectionIndex::open(&path, FileKind::ServerKey).unwrap_err().to_string();
        assert!(error.contains("keys: the file is cut short"), "{length} bytes: {error}");
    }
    fs::write(&path, &whole).unwrap();
    assert!(SectionIndex::open(&path, FileKind::Circuit).unwrap_err().to_string().contains("a circuit file is needed"));
}
