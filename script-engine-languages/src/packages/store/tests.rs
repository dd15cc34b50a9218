//! Tests of the store: layers in place, changed, too many, and left by the dead.

use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("script-engine-layer-store-{name}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn archive(content: &[u8]) -> Vec<u8> {
    archive_of("lib/module.py", content)
}

fn archive_of(path: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, path, content).unwrap();
    builder.into_inner().unwrap()
}

fn put(store: &LayerStore, key: Digest, lock: Digest, archive: &[u8]) -> Result<()> {
    store.put(key, lock, store.stage(key, archive)?)
}

fn key(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

#[test]
fn a_layer_is_there_when_it_was_put_there() {
    let folder = Folder::new("put");
    let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
    let lock = key("lock");
    assert!(store.find(key("a"), lock).unwrap().is_none());
    put(&store, key("a"), lock, &archive(b"x = 1")).unwrap();
    let layer = store.find(key("a"), lock).unwrap().unwrap();
    assert_eq!(fs::read(layer.path.join("lib/module.py")).unwrap(), b"x = 1");
    // Whoever comes second finds the first one's.
    put(&store, key("a"), lock, &archive(b"x = 2")).unwrap();
    assert_eq!(store.find(key("a"), lock).unwrap().unwrap().digest, layer.digest);
    // A key that stands for another lock is not believed; while it is used it is not removed either.
    assert_eq!(store.find(key("a"), key("other")).unwrap_err().kind(), ErrorKind::Corrupted);
    drop(layer);
    assert!(store.find(key("a"), key("other")).unwrap().is_none());
    assert_eq!(fs::read_dir(&store.making).unwrap().count(), 0);
}

#[test]
fn what_is_made_of_a_tree_is_added_to_it_and_replaces_nothing() {
    let folder = Folder::new("added");
    let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
    let (lock, staged) = (key("lock"), || store.stage(key("a"), &archive(b"x = 1")).unwrap());
    assert!(staged().with(&archive(b"x = 2")).is_err());
    assert_eq!(fs::read_dir(&store.making).unwrap().count(), 0);
    store.put(key("a"), lock, staged().with(&archive_of("lib/more.py", b"y = 1")).unwrap()).unwrap();
    let layer = store.find(key("a"), lock).unwrap().unwrap();
    let made = |name: &str| fs::metadata(layer.path.join("lib").join(name)).unwrap().modified().unwrap();
    assert_eq!(made("module.py"), made("more.py"));
    assert_eq!(Tree::read(&layer.path).unwrap().0.len(), 3);
}

#[test]
fn a_layer_that_changed_is_never_served() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("content", |tree| fs::write(tree.join("lib/module.py"), b"x = 9").unwrap()),
        ("missing", |tree| fs::remove_file(tree.join("lib/module.py")).unwrap()),
        ("more", |tree| fs::write(tree.join("lib/more.py"), b"").unwrap()),
        ("description", |tree| fs::write(tree.with_file_name("layer.json"), b"{").unwrap()),
        ("no description", |tree| fs::remove_file(tree.with_file_name("layer.json")).unwrap()),
    ];
    for (name, change) in changes {
        let folder = Folder::new(name);
        let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
        put(&store, key("a"), key("lock"), &archive(b"x = 1")).unwrap();
        let tree = store.find(key("a"), key("lock")).unwrap().unwrap().path;
        change(&tree);
        assert!(store.find(key("a"), key("lock")).unwrap().is_none(), "{name}");
        assert!(!tree.exists(), "{name}");
        put(&store, key("a"), key("lock"), &archive(b"x = 1")).unwrap();
        assert!(store.find(key("a"), key("lock")).unwrap().is_some(), "{name}");
    }
}

#[test]
fn what_only_looks_changed_is_compared_and_served() {
    let folder = Folder::new("touched");
    let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
    put(&store, key("a"), key("lock"), &archive(b"x = 1")).unwrap();
    let tree = store.find(key("a"), key("lock")).unwrap().unwrap().path;
    fs::write(tree.join("lib/module.py"), b"x = 1").unwrap();
    assert!(store.find(key("a"), key("lock")).unwrap().is_some());
    fs::remove_file(tree.with_file_name("seen")).unwrap();
    let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
    assert!(store.find(key("a"), key("lock")).unwrap().is_some());
    assert!(tree.with_file_name("seen").exists());
}

#[test]
fn what_was_used_longest_ago_goes_first_and_what_is_in_use_stays() {
    let folder = Folder::new("budget");
    let store = LayerStore::open(&folder.0, 250).unwrap();
    let lock = key("lock");
    let mut held = None;
    for (age, name) in (1..=2).rev().zip(["old", "held"]) {
        put(&store, key(name), lock, &archive(&[7; 100])).unwrap();
        held = store.find(key(name), lock).unwrap();
        let guard = store.guard(&key(name).to_string()).unwrap();
        guard.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 - age * 100)).unwrap();
    }
    let is_there = |name| store.layers.join(key(name).to_string()).exists();
    put(&store, key("new"), lock, &archive(&[7; 100])).unwrap();
    assert_eq!(["old", "held", "new"].map(is_there), [false, true, true]);
    put(&store, key("newer"), lock, &archive(&[7; 100])).unwrap();
    assert_eq!(["held", "new", "newer"].map(is_there), [true, false, true]);
    drop(held);
}

#[test]
fn what_a_dead_maker_left_is_removed_and_a_failed_one_leaves_nothing() {
    let folder = Folder::new("crash");
    let store = LayerStore::open(&folder.0, 1 << 20).unwrap();
    // No process has this number.
    let dead = store.making.join(format!("{}-4194999-0", key("a")));
    let living = store.making.join(format!("{}-{}-7", key("a"), std::process::id()));
    fs::create_dir(&dead).unwrap();
    fs::create_dir(&living).unwrap();
    LayerStore::open(&folder.0, 1 << 20).unwrap();
    assert_eq!((dead.exists(), living.exists()), (false, true));
    fs::remove_dir(&living).unwrap();
    let torn = &archive(b"x = 1")[..700];
    assert!(put(&store, key("a"), key("lock"), torn).is_err());
    assert_eq!(fs::read_dir(&store.making).unwrap().count(), 0);
    assert!(store.find(key("a"), key("lock")).unwrap().is_none());
}
