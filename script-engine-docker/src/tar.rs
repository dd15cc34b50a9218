//! The plain tar archives that are sent to the daemon and read from it. Never compressed: a daemon may start
//! programs of the container to decompress one.

pub(crate) const BLOCK: usize = 512;
/// Where fields are in a header (POSIX `ustar`, with GNU's long names), and how long texts may be.
const MODE: usize = 100;
const USER: usize = 108;
const GROUP: usize = 116;
const SIZE: usize = 124;
const TIME: usize = 136;
const CHECKSUM: usize = 148;
const KIND: usize = 156;
const LINK: usize = 157;
const MAGIC: usize = 257;
const TEXT: usize = 100;
/// Types of entries whose content is the name, or the target, of the next one.
const LONG_NAME: u8 = b'L';
const LONG_LINK: u8 = b'K';

/// What an entry is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// A file of this many bytes, which follow, filled up to whole blocks.
    File(u64),
    /// A folder, whose name ends with a slash.
    Folder,
    /// A symbolic link that says this.
    Link(&'a [u8]),
}

/// The head of an entry that belongs to root, long names included.
pub(crate) fn entry(name: &[u8], mode: u32, kind: &Kind<'_>) -> Vec<u8> {
    let (kind, size, link): (u8, u64, &[u8]) = match kind {
        Kind::File(size) => (b'0', *size, b""),
        Kind::Folder => (b'5', 0, b""),
        Kind::Link(target) => (b'2', 0, target),
    };
    let mut bytes = Vec::with_capacity(BLOCK);
    for (text, kind) in [(name, LONG_NAME), (link, LONG_LINK)] {
        if text.len() >= TEXT {
            bytes.extend_from_slice(&header(b"././@LongLink", 0o644, kind, text.len() as u64 + 1, b""));
            bytes.extend_from_slice(text);
            bytes.resize((bytes.len() + 1).next_multiple_of(BLOCK), 0);
        }
    }
    bytes.extend_from_slice(&header(cut(name), mode, kind, size, cut(link)));
    bytes
}

fn cut(text: &[u8]) -> &[u8] {
    text.get(..text.len().min(TEXT - 1)).unwrap_or_default()
}

/// An archive of one file.
pub(crate) fn file(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut archive = entry(name.as_bytes(), mode, &Kind::File(content.len() as u64));
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

/// An archive of an empty folder.
pub(crate) fn empty() -> Vec<u8> {
    let mut archive = entry(b"proc/", 0o755, &Kind::Folder);
    archive.resize(3 * BLOCK, 0);
    archive
}

fn header(name: &[u8], mode: u32, kind: u8, size: u64, link: &[u8]) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (place, byte) in header.iter_mut().skip(at).zip(text) {
            *place = *byte;
        }
    };
    put(0, name);
    put(MODE, format!("{mode:07o}").as_bytes());
    put(USER, b"0000000");
    put(GROUP, b"0000000");
    put(SIZE, &digits(size));
    put(TIME, b"00000000000");
    // Summed with spaces in its own place.
    put(CHECKSUM, b"        ");
    put(KIND, &[kind]);
    put(LINK, link);
    put(MAGIC, b"ustar  \0");
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    for (place, byte) in header.iter_mut().skip(CHECKSUM).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    header
}

/// A size as the header has it: octal, or, where that is too short, GNU's binary form.
fn digits(size: u64) -> [u8; 12] {
    let text = format!("{size:011o}");
    let mut field = [0; 12];
    if text.len() < field.len() {
        field[..text.len()].copy_from_slice(text.as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&size.to_be_bytes());
    }
    field
}

/// The content of the first plain file of an archive; `None` if there is none, or not the whole of it.
pub(crate) fn first_file(mut archive: &[u8]) -> Option<&[u8]> {
    loop {
        let (header, rest) = archive.split_at_checked(BLOCK)?;
        let digits = header.get(SIZE..SIZE + 12)?;
        let digits = std::str::from_utf8(digits).ok()?.trim_matches(['\0', ' ']);
        let size = usize::from_str_radix(digits, 8).ok()?;
        match header.get(KIND)? {
            b'0' | 0 => return rest.get(..size),
            // Folders and the extended headers that some daemons send ahead.
            _ => archive = rest.get(size.checked_next_multiple_of(BLOCK)?..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_what_is_read() {
        for content in [b"".as_slice(), b"x", &[7; 512], &[1; 1025]] {
            let archive = file("agent", 0o755, content);
            assert_eq!(archive.len() % BLOCK, 0);
            assert_eq!(first_file(&archive), Some(content));
        }
    }

    #[test]
    fn the_archive_is_what_the_tar_program_understands() {
        let archive = file("agent", 0o755, b"content");
        let path = std::env::temp_dir().join(format!("script-engine-tar-{}", std::process::id()));
        std::fs::write(&path, archive).unwrap();
        let listed = std::process::Command::new("tar").arg("-tvf").arg(&path).output().unwrap();
        std::fs::remove_file(&path).unwrap();
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.status.success() && text.starts_with("-rwxr-xr-x 0/0") && text.contains(" 7 "), "{text}");
    }

    #[test]
    fn other_entries_are_passed_over_and_half_of_a_file_is_none() {
        let mut archive = entry(b"folder/", 0o755, &Kind::Folder);
        archive.extend_from_slice(&file(&"name".repeat(50), 0o755, b"content"));
        assert_eq!(first_file(&archive), Some(b"content".as_slice()));
        assert_eq!(first_file(&archive[..BLOCK * 4 + 3]), None);
        assert_eq!(first_file(&[0; 100]), None);
        assert_eq!(first_file(&[b'z'; 1024]), None);
    }

    #[test]
    fn sizes_that_octal_digits_do_not_hold_are_binary() {
        assert_eq!(&digits(8), b"00000000010\0");
        assert_eq!(digits(1 << 40)[0], 0x80);
    }
}
