//! The build context of an image with packages: a Dockerfile and a tree, as a plain archive that is made while it
//! is sent. Links are archived as what they say; nothing is followed.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

use crate::tar::{self, Kind};

/// What the Dockerfile and the tree are called in the context.
pub(crate) const DOCKERFILE: &str = "Dockerfile";
pub(crate) const TREE: &str = "tree";
/// Pieces that may wait to be sent, and their size.
const AHEAD: usize = 8;
const PIECE: usize = 64 << 10;
/// Files in one tree.
const MOST: usize = 2_000_000;

/// The archive, read by a thread of its own as fast as it is taken.
pub(crate) fn stream(dockerfile: String, tree: PathBuf) -> impl Stream<Item = io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut archive = Archive { sender, entries: 0 };
        if let Err(error) = archive.write(&dockerfile, &tree) {
            // A receiver that is gone wants no more.
            drop(archive.sender.blocking_send(Err(error)));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

/// Bytes in the files of a tree.
pub(crate) fn size(tree: &Path) -> io::Result<u64> {
    let mut sum = 0;
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                folders.push(entry.path());
            } else if found.is_file() {
                sum += found.len();
            }
        }
    }
    Ok(sum)
}

struct Archive {
    sender: mpsc::Sender<io::Result<Bytes>>,
    entries: usize,
}

impl Archive {
    fn write(&mut self, dockerfile: &str, tree: &Path) -> io::Result<()> {
        self.send(tar::entry(DOCKERFILE.as_bytes(), 0o644, &Kind::File(dockerfile.len() as u64)))?;
        self.send(padded(dockerfile.as_bytes().to_vec()))?;
        self.folder(TREE.as_bytes())?;
        // Depth first, in order of the names: equal trees give equal archives.
        let mut ahead = vec![(TREE.as_bytes().to_vec(), tree.to_owned())];
        while let Some((name, path)) = ahead.pop() {
            let mut names: Vec<OsString> =
                fs::read_dir(&path)?.map(|it| Ok(it?.file_name())).collect::<io::Result<_>>()?;
            names.sort();
            let mut folders = Vec::new();
            for file in names {
                let below = [name.as_slice(), b"/", file.as_bytes()].concat();
                let at = path.join(&file);
                let found = fs::symlink_metadata(&at)?;
                if found.is_dir() {
                    self.folder(&below)?;
                    folders.push((below, at));
                } else if found.is_symlink() {
                    let target = fs::read_link(&at)?.into_os_string().into_vec();
                    self.count()?;
                    self.send(tar::entry(&below, 0o777, &Kind::Link(&target)))?;
                } else if found.is_file() {
                    let mode = if found.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
                    self.file(&below, &at, mode)?;
                } else {
                    let text = format!("{} is neither a file nor a folder nor a link", at.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
                }
            }
            ahead.extend(folders.into_iter().rev());
        }
        self.send(vec![0; 2 * tar::BLOCK])
    }

    fn count(&mut self) -> io::Result<()> {
        self.entries += 1;
        if self.entries > MOST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the packages have more than {MOST} files"),
            ));
        }
        Ok(())
    }

    fn folder(&mut self, name: &[u8]) -> io::Result<()> {
        self.count()?;
        self.send(tar::entry(&[name, b"/"].concat(), 0o755, &Kind::Folder))
    }

    fn file(&mut self, name: &[u8], path: &Path, mode: u32) -> io::Result<()> {
        self.count()?;
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        self.send(tar::entry(name, mode, &Kind::File(size)))?;
        // Not more than was announced, whatever happens to the file meanwhile.
        let mut rest = file.take(size);
        let mut sent = 0;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            rest.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            if piece.is_empty() {
                break;
            }
            sent += piece.len() as u64;
            self.send(piece)?;
        }
        if sent < size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{} became shorter", path.display())));
        }
        self.send(vec![0; size.next_multiple_of(tar::BLOCK as u64).saturating_sub(size) as usize])
    }

    fn send(&self, piece: Vec<u8>) -> io::Result<()> {
        if piece.is_empty() {
            return Ok(());
        }
        self.sender.blocking_send(Ok(Bytes::from(piece))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

fn padded(mut content: Vec<u8>) -> Vec<u8> {
    content.resize(content.len().next_multiple_of(tar::BLOCK), 0);
    content
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;
    use std::process::Command;

    #[tokio::test]
    async fn the_tar_program_unpacks_what_was_packed() {
        let folder = std::env::temp_dir().join(format!("script-engine-context-{}", std::process::id()));
        let long = "long/".repeat(60);
        let script = format!(
            "mkdir -p in/{long} in/empty out; echo a > in/a; printf x > in/{long}x; chmod 700 in/{long}x
             ln -s {long}x in/link; ln -s /etc/shadow in/out; head -c 200000 /dev/zero > in/zeros; : > in/nothing"
        );
        fs::create_dir_all(&folder).unwrap();
        assert!(Command::new("sh").args(["-ec", &script]).current_dir(&folder).status().unwrap().success());
        let pieces: Vec<Bytes> = stream("FROM x\n".into(), folder.join("in")).try_collect().await.unwrap();
        let again: Vec<Bytes> = stream("FROM x\n".into(), folder.join("in")).try_collect().await.unwrap();
        assert_eq!(pieces, again);
        fs::write(folder.join("context.tar"), pieces.concat()).unwrap();
        let unpack = "tar -xf context.tar -C out; diff -r --no-dereference in out/tree; cat out/Dockerfile; \
            stat -c %a out/tree/a out/tree/long; readlink out/tree/out";
        let seen = Command::new("sh").args(["-ec", unpack]).current_dir(&folder).output().unwrap();
        let text = String::from_utf8_lossy(&seen.stdout).into_owned();
        assert_eq!(size(&folder.join("in")).unwrap(), 200_003);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(text, "FROM x\n644\n755\n/etc/shadow\n", "{}", String::from_utf8_lossy(&seen.stderr));
    }
}
