//! The few tar archives that are sent to the daemon and read from it: plain, never compressed, for a daemon
//! may start programs of the container to decompress one.

const BLOCK: usize = 512;
/// Where fields are in a header (POSIX `ustar`): name, mode, ids, size, time, checksum, type, magic.
const MODE: usize = 100;
const USER: usize = 108;
const GROUP: usize = 116;
const SIZE: usize = 124;
const TIME: usize = 136;
const CHECKSUM: usize = 148;
const KIND: usize = 156;
const MAGIC: usize = 257;

/// An archive of one file that belongs to root.
pub(crate) fn file(name: &str, mode: u32, content: &[u8]) -> Vec<u8> {
    let mut archive = Vec::with_capacity(content.len() + 4 * BLOCK);
    archive.extend_from_slice(&header(name, mode, b'0', content.len()));
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

/// An archive of an empty folder.
pub(crate) fn empty() -> Vec<u8> {
    let mut archive = header("proc/", 0o755, b'5', 0).to_vec();
    archive.resize(3 * BLOCK, 0);
    archive
}

fn header(name: &str, mode: u32, kind: u8, size: usize) -> [u8; BLOCK] {
    let mut header = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| {
        for (place, byte) in header.iter_mut().skip(at).zip(text) {
            *place = *byte;
        }
    };
    put(0, name.as_bytes());
    put(MODE, format!("{mode:07o}").as_bytes());
    put(USER, b"0000000");
    put(GROUP, b"0000000");
    put(SIZE, format!("{size:011o}").as_bytes());
    put(TIME, b"00000000000");
    // Summed with spaces in its own place.
    put(CHECKSUM, b"        ");
    put(KIND, &[kind]);
    put(MAGIC, b"ustar\x0000");
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    for (place, byte) in header.iter_mut().skip(CHECKSUM).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    header
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
        let mut archive = header("folder/", 0o755, b'5', 0).to_vec();
        archive.extend_from_slice(&file("agent", 0o755, b"content"));
        assert_eq!(first_file(&archive), Some(b"content".as_slice()));
        assert_eq!(first_file(&archive[..BLOCK * 2 + 3]), None);
        assert_eq!(first_file(&[0; 100]), None);
        assert_eq!(first_file(&[b'z'; 1024]), None);
    }
}
