//! Writes an initial root file system as the kernel wants it: an uncompressed `cpio` archive in the `newc` format
//! (<https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>). Knows nothing of what is in it.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive in the making; parents of what is put in are made by themselves.
#[derive(Debug, Default)]
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    made: BTreeSet<String>,
    entries: u32,
}

impl Initramfs {
    /// Makes a directory and its parents; one that is there is left as it is.
    pub(crate) fn directory(&mut self, path: &str) {
        self.parents(path);
        if self.made.insert(path.to_owned()) {
            self.entry(path, DIRECTORY, &[]);
        }
    }

    /// Puts in a file that may be executed; the second of the same name is left out.
    pub(crate) fn program(&mut self, path: &str, content: &[u8]) {
        self.parents(path);
        if self.made.insert(path.to_owned()) {
            self.entry(path, PROGRAM, content);
        }
    }

    /// Makes a symbolic link; the second of the same name is left out.
    pub(crate) fn link(&mut self, path: &str, to: &str) {
        self.parents(path);
        if self.made.insert(path.to_owned()) {
            self.entry(path, LINK, to.as_bytes());
        }
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let links = 1;
        let (uid, gid, time, device) = (0, 0, 0, 0);
        let header = [self.entries, mode, uid, gid, links, time, size(content.len()), device, device, device, device];
        self.bytes.extend_from_slice(b"070701");
        for field in header.into_iter().chain([size(path.len() + 1), 0]) {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    /// Names and contents begin at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The format has 32 bits for a size, and nothing here comes near that.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_an_entry_as_the_kernel_reads_it() {
        let mut archive = Initramfs::default();
        archive.program("a", b"xyz");
        let bytes = archive.finish();
        let fields = "070701 00000001 000081ed 00000000 00000000 00000001 00000000 00000003 00000000 00000000 00000000 00000000 00000002 00000000";
        let expected = fields.replace(' ', "");
        assert_eq!(&bytes[..110], expected.as_bytes());
        assert_eq!(&bytes[110..116], b"a\0xyz\0");
        assert!(String::from_utf8_lossy(&bytes[116..]).contains("TRAILER!!!"));
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn makes_parents_once() {
        let mut archive = Initramfs::default();
        archive.program("usr/bin/a", b"");
        archive.link("usr/bin/b", "a");
        archive.link("usr/bin/b", "a");
        let bytes = archive.finish();
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("070701").count(), "usr, usr/bin, a, b, trailer".split(',').count());
    }
}
