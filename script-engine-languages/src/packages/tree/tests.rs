//! Tests of trees: what is unpacked, and what no archive may do.

use tar::{Builder, Header};

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-layer-tree-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// An archive of these: path, kind, link, content. The names are put down unchecked.
fn archive(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, link, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o4755);
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

const FILE: EntryType = EntryType::Regular;
const FOLDER: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Symlink;

#[test]
fn what_is_unpacked_is_what_is_read_again() {
    let folder = Folder::new("good");
    let bytes = archive(&[
        ("./", FOLDER, "", b""),
        ("./a/", FOLDER, "", b""),
        ("./a/program", FILE, "", b"one"),
        ("b/c/text", FILE, "", b"two"),
        ("b/link", LINK, "../a/program", b""),
        ("b/hard", EntryType::Link, "a/program", b""),
        ("a/", FOLDER, "", b""),
    ]);
    let tree = Tree::unpack(&bytes[..], &folder.0).unwrap();
    assert_eq!(tree, Tree::read(&folder.0).unwrap());
    assert_eq!((tree.0.len(), tree.bytes()), (7, 9));
    // No bit but the executable one comes from the archive.
    assert_eq!(fs::metadata(folder.0.join("a/program")).unwrap().mode() & 0o7777, 0o755);
    let before = fingerprint(&folder.0).unwrap();
    assert_eq!(before, fingerprint(&folder.0).unwrap());
    fs::write(folder.0.join("b/c/text"), b"TWO").unwrap();
    assert_ne!(before, fingerprint(&folder.0).unwrap());
    assert_ne!(tree, Tree::read(&folder.0).unwrap());
    assert_ne!(tree.digest().unwrap(), Tree::read(&folder.0).unwrap().digest().unwrap());
}

#[track_caller]
fn check(name: &str, entries: &[(&str, EntryType, &str, &[u8])], expect: &str) {
    let folder = Folder::new(name);
    let outside = folder.0.join("outside");
    let root = folder.0.join("root");
    fs::create_dir(&root).unwrap();
    let error = Tree::unpack(&archive(entries)[..], &root).unwrap_err().to_string();
    assert!(error.contains(expect), "{error}");
    assert!(!outside.exists());
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn nothing_is_written_outside_and_nothing_odd_is_taken() {
    check("parent", &[("../outside", FILE, "", b"x")], "leads out of the tree");
    check("inner", &[("a/../../outside", FILE, "", b"x")], "leads out of the tree");
    check("absolute", &[("/outside", FILE, "", b"x")], "leads out of the tree");
    check("link out", &[("a", LINK, "../outside", b"")], "link that leads out");
    check("link absolute", &[("a", LINK, "/etc", b"")], "link that leads out");
    check("link empty", &[("a", LINK, "", b"")], "link that leads out");
    check("through a link", &[("a", LINK, "b", b""), ("a/outside", FILE, "", b"x")], "is no folder, and used as one");
    check("over a link", &[("a", LINK, "b", b""), ("a", FILE, "", b"x")], "is there twice");
    check("twice", &[("a", FILE, "", b"x"), ("./a", FILE, "", b"y")], "is there twice");
    check("file as folder", &[("a", FILE, "", b"x"), ("a/b", FILE, "", b"y")], "is no folder");
    check("folder as file", &[("a", FOLDER, "", b""), ("a", FILE, "", b"y")], "is a folder, and something else too");
    check("hard link out", &[("a", EntryType::Link, "../outside", b"")], "leads out of the tree");
    check("hard link to nothing", &[("a", EntryType::Link, "b", b"")], "hard link to no file");
    check("device", &[("a", EntryType::Char, "", b"")], "neither file, folder nor link");
    check("fifo", &[("a", EntryType::Fifo, "", b"")], "neither file, folder nor link");
    check("sparse", &[("a", EntryType::GNUSparse, "", b"")], "");
}

#[test]
fn a_torn_archive_is_an_error() {
    let bytes = archive(&[("a", FILE, "", &[7; 2000])]);
    for end in [100, 512, 600, 1500] {
        let folder = Folder::new(&format!("torn-{end}"));
        assert!(Tree::unpack(&bytes[..end], &folder.0).is_err(), "{end}");
    }
}

#[test]
fn links_are_judged_by_where_they_are() {
    for (path, target, expect) in
        [("a/b", "../c", true), ("a/b", "../../c", false), ("a", "b/../c", true), ("a/b/c", "./../../x/y", true)]
    {
        assert_eq!(stays_within(Path::new(path), Path::new(target)), expect, "{path} -> {target}");
    }
}
