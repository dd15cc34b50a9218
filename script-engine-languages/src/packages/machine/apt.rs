//! apt's sources and keys, as files by their names below `/etc/apt`.

use super::{IndexSource, Machine};

/// What is read of the folder: files that say where packages come from, and the keys that sign for them.
const FOLDERS: [(&str, &[&str]); 4] = [
    ("sources.list.d/", &[".list", ".sources"]),
    ("trusted.gpg.d/", &[".asc", ".gpg"]),
    ("keyrings/", &[".asc", ".gpg"]),
    ("auth.conf.d/", &[".conf"]),
];

pub(super) fn read(machine: &dyn Machine) -> IndexSource {
    let mut more = Vec::new();
    for name in ["sources.list", "auth.conf"] {
        more.extend(machine.text(&format!("/etc/apt/{name}")).map(|it| (name.to_owned(), it)));
    }
    for (folder, endings) in FOLDERS {
        for file in machine.list(&format!("/etc/apt/{folder}")) {
            if !endings.iter().any(|it| file.ends_with(it)) {
                continue;
            }
            let name = format!("{folder}{file}");
            let content = machine.read(&format!("/etc/apt/{name}"));
            let text = |it: Vec<u8>| {
                if name.ends_with(".gpg") { digits(&it) } else { String::from_utf8_lossy(&it).into_owned() }
            };
            more.extend(content.map(|it| (name.clone(), text(it))));
        }
    }
    // Keys without sources say nothing of where packages come from.
    let says = |it: &(String, String)| it.0.starts_with("sources.list") && !it.1.trim().is_empty();
    if !more.iter().any(says) {
        more.clear();
    }
    IndexSource { more, ..IndexSource::default() }
}

/// Bytes in hexadecimal digits, for a key that is no text.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}
