//! Putting files where scripts find them, and fetching what scripts have left. Folders that a script
//! can write to are hostile: each step of a path is taken by descriptor, and none over a link.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::script::child::Failure;
use crate::serve::Config;
use crate::serve::link::Link;
use crate::sys::file::{self, Kind, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY, O_WRONLY};
use crate::sys::{self, Errno, identity};
use crate::wire::{FromAgent, MAX_DATA, Place, Stream, gate};

/// The longest path that is accepted (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// The longest name in a path (`NAME_MAX`).
const MAX_NAME: usize = 255;

/// A piece of a file, as the engine sends it.
#[derive(Debug)]
pub struct Piece {
    pub place: Place,
    pub path: Vec<u8>,
    pub mode: u32,
    pub offset: u64,
    pub last: bool,
    pub data: Vec<u8>,
}

/// The file that is being put, if there is one.
#[derive(Debug, Default)]
pub struct Files {
    open: Option<Open>,
    /// A file that could not be put: its other pieces say nothing new.
    refused: Option<(Place, Vec<u8>)>,
}

#[derive(Debug)]
struct Open {
    place: Place,
    path: Vec<u8>,
    file: OwnedFd,
    length: u64,
}

impl Files {
    /// Takes a piece of a file. Each file that cannot be put fails once.
    pub fn put(&mut self, config: &Config, piece: &Piece) -> Result<(), Failure> {
        let refused = self.refused.as_ref().is_some_and(|(place, path)| *place == piece.place && *path == piece.path);
        if refused && piece.offset > 0 {
            return Ok(());
        }
        self.refused = None;
        self.write(config, piece).map_err(|(text, error)| {
            self.open = None;
            self.refused = Some((piece.place, piece.path.clone()));
            Failure::new("file", format!("{text} {}", String::from_utf8_lossy(&piece.path)), error)
        })
    }

    fn write(&mut self, config: &Config, piece: &Piece) -> Result<(), (&'static str, Errno)> {
        let (root, owner) = match piece.place {
            Place::Scripts | Place::Gate => (&config.scripts_dir, None),
            Place::Work => (&config.work_dir, config.script_uid),
        };
        let below = if piece.place == Place::Gate { Some(gate::FOLDER.as_bytes()) } else { None };
        let mut open = if piece.offset == 0 {
            let mut names = split(&piece.path).ok_or(("not a relative path of plain names:", Errno::EINVAL))?;
            if let Some(folder) = below {
                names.insert(0, folder);
            }
            let file = identity::as_file_user(owner, || create(root, &names)).map_err(|it| ("cannot create", it))?;
            Open { place: piece.place, path: piece.path.clone(), file, length: 0 }
        } else {
            self.open.take().ok_or(("no beginning came of", Errno::EINVAL))?
        };
        if (open.place, &open.path, open.length) != (piece.place, &piece.path, piece.offset) {
            return Err(("pieces out of order of", Errno::EINVAL));
        }
        file::write_all(open.file.as_raw_fd(), &piece.data).map_err(|it| ("cannot write", it))?;
        open.length += piece.data.len() as u64;
        if piece.last {
            return identity::as_file_user(owner, || file::set_mode(open.file.as_fd(), piece.mode & 0o777))
                .map_err(|it| ("cannot set the mode of", it));
        }
        self.open = Some(open);
        Ok(())
    }
}

/// Takes a relative path apart; `None` unless every part is a plain name.
fn split(path: &[u8]) -> Option<Vec<&[u8]>> {
    let plain = |it: &&[u8]| !it.is_empty() && *it != b"." && *it != b".." && it.len() <= MAX_NAME && !it.contains(&0);
    let names: Vec<&[u8]> = path.split(|it| *it == b'/').collect();
    (path.len() <= MAX_PATH && names.iter().all(plain)).then_some(names)
}

fn create(root: &[u8], names: &[&[u8]]) -> sys::Result<OwnedFd> {
    let (name, folders) = names.split_last().ok_or(Errno::EINVAL)?;
    let mut folder = file::open(root, O_PATH | O_DIRECTORY, 0)?;
    for it in folders {
        match file::make_folder(folder.as_raw_fd(), it, 0o755) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
        folder = file::open_at(folder.as_raw_fd(), it, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0)?;
    }
    file::open_at(folder.as_raw_fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
}

/// A file of the script on its way to the engine.
#[derive(Debug)]
pub struct Fetch {
    execution: u32,
    file: OwnedFd,
    left: u64,
    total: u64,
}

impl Fetch {
    /// Opens the file and tells how long it is, or why it cannot be had.
    pub fn begin(config: &Config, link: &mut Link, execution: u32, path: &[u8], max_bytes: u64) -> Option<Self> {
        let found = identity::as_file_user(config.script_uid, || find(config, path)).and_then(|file| {
            let (kind, size, _) = file::kind_of(file.as_fd())?;
            Ok((file, kind, size))
        });
        let note = match found {
            Ok((file, Kind::File, size)) if size <= max_bytes => {
                link.send(execution, &FromAgent::FileBegin { size, note: String::new() });
                return Some(Self { execution, file, left: size, total: 0 });
            }
            Ok((_, Kind::File, size)) => format!("{size} bytes long, more than the {max_bytes} that were asked for"),
            Ok(_) | Err(Errno::ENXIO | Errno::EISDIR) => "not a plain file".to_owned(),
            Err(Errno::ENOENT) => String::new(),
            Err(Errno::ELOOP | Errno::ENOTDIR) => {
                "a link or a file is in the place of a folder or of the file".to_owned()
            }
            Err(Errno::EINVAL) => "not an absolute path of plain names below the script's folders".to_owned(),
            Err(error) => format!("cannot be opened: {error}"),
        };
        link.send(execution, &FromAgent::FileBegin { size: u64::MAX, note });
        None
    }

    /// Sends the next piece. Gives itself back unless that was the last.
    pub fn pump(mut self, link: &mut Link) -> Option<Self> {
        let limit = MAX_DATA.min(usize::try_from(self.left).unwrap_or(MAX_DATA));
        // A file that became shorter, or cannot be read on, ends early; the total says so.
        let count = match limit {
            0 => 0,
            _ => link.carry(self.file.as_raw_fd(), Stream::File, self.execution, limit).unwrap_or(0),
        };
        self.left -= count as u64;
        self.total += count as u64;
        if count > 0 && self.left > 0 {
            return Some(self);
        }
        link.send(self.execution, &FromAgent::End { stream: Stream::File, total: self.total });
        None
    }
}

fn find(config: &Config, path: &[u8]) -> sys::Result<OwnedFd> {
    let roots: [(&[u8], &[u8]); 4] = [
        (&config.work_dir, &config.work_dir),
        (&config.tmp_dir, &config.tmp_dir),
        (b"/work", &config.work_dir),
        (b"/tmp", &config.tmp_dir),
    ];
    let below = |(name, root): &(&[u8], &'_ [u8])| {
        Some((path.strip_prefix(*name)?.strip_prefix(b"/")?.to_vec(), root.to_vec()))
    };
    let (rest, root) = roots.iter().find_map(below).ok_or(Errno::EINVAL)?;
    let names = split(&rest).ok_or(Errno::EINVAL)?;
    let (name, folders) = names.split_last().ok_or(Errno::EINVAL)?;
    let mut folder = file::open(&root, O_PATH | O_DIRECTORY, 0)?;
    for it in folders {
        folder = file::open_at(folder.as_raw_fd(), it, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0)?;
    }
    // A pipe or a device must not make the opening wait.
    file::open_at(folder.as_raw_fd(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)
}
