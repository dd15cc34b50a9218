//! Archives from package registries, fetched by the registries' own clients as they are configured, checked and unpacked.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recipe::Archive;
use crate::Outcome;
use crate::command::capture;

/// Fetches a wheel and puts what is taken of it into `root`.
pub(super) fn wheel(requirement: &str, archive: &Archive, root: &Path, scratch: &Path) -> Outcome {
    let downloads = scratch.join("downloads");
    fs::create_dir_all(&downloads)?;
    // Not `pip3`: a wrapper in PATH may belong to another Python than `python3`.
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    capture(pip.args(["--only-binary", ":all:", "--dest"]).arg(&downloads).arg(requirement))?;
    take(&only_file(&downloads)?, archive, root, scratch, |file, into| {
        capture(Command::new("unzip").args(["-q", "-o"]).arg(file).arg("-d").arg(into)).map(drop)
    })
}

/// Fetches a package of the npm registry and puts what is taken of it into `root`.
pub(super) fn npm(package: &str, archive: &Archive, root: &Path, scratch: &Path) -> Outcome {
    let downloads = scratch.join("downloads");
    fs::create_dir_all(&downloads)?;
    capture(Command::new("npm").current_dir(&downloads).args(["pack", "--silent", package]))?;
    take(&only_file(&downloads)?, archive, root, scratch, |file, into| {
        capture(Command::new("tar").arg("-xf").arg(file).arg("-C").arg(into).arg("--no-same-owner")).map(drop)
    })
}

fn only_file(folder: &Path) -> Outcome<PathBuf> {
    match fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?.as_slice() {
        [one] => Ok(one.path()),
        all => Err(format!("{} files came where one was asked for", all.len()).into()),
    }
}

/// Checks `file`, unpacks it and moves what is taken of it. Leaves `scratch` empty.
fn take(
    file: &Path,
    archive: &Archive,
    root: &Path,
    scratch: &Path,
    unpack: impl FnOnce(&Path, &Path) -> Outcome,
) -> Outcome {
    let sum = capture(Command::new("sha256sum").arg("--binary").arg(file))?;
    if !sum.starts_with(archive.sha256.as_bytes()) {
        return Err(format!("{} is not the archive that the recipe names", file.display()).into());
    }
    let unpacked = scratch.join("unpacked");
    fs::create_dir_all(&unpacked)?;
    unpack(file, &unpacked)?;
    // What archives say of permissions is by chance: everybody may read, nobody else may write.
    capture(Command::new("chmod").args(["-R", "u=rwX,go=rX"]).arg(&unpacked))?;
    for (from, to) in archive.take {
        let found = matches(&unpacked, from)?;
        if found.is_empty() {
            return Err(format!("{}: there is no `{from}` in it", file.display()).into());
        }
        let many = from.rsplit('/').next().is_some_and(|it| it.contains('*'));
        for path in found {
            let target = match path.file_name() {
                Some(name) if many => root.join(to).join(name),
                _ => root.join(to),
            };
            fs::create_dir_all(target.parent().unwrap_or(root))?;
            fs::rename(&path, &target)?;
        }
    }
    for program in archive.programs.iter().map(|it| matches(root, it)).collect::<Outcome<Vec<_>>>()?.concat() {
        fs::set_permissions(program, Permissions::from_mode(0o755))?;
    }
    for folder in fs::read_dir(scratch)? {
        fs::remove_dir_all(folder?.path())?;
    }
    Ok(())
}

/// The paths below `folder` that a pattern means, in order.
fn matches(folder: &Path, pattern: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for folder in found {
            match part.split_once('*') {
                None => next.extend(Some(folder.join(part)).filter(|it| it.symlink_metadata().is_ok())),
                Some((begin, end)) if folder.is_dir() => {
                    for entry in fs::read_dir(&folder)? {
                        let entry = entry?;
                        let name = entry.file_name();
                        let rest = name.to_str().and_then(|it| it.strip_prefix(begin));
                        if rest.is_some_and(|it| it.ends_with(end)) {
                            next.push(entry.path());
                        }
                    }
                }
                Some(_) => {}
            }
        }
        next.sort();
        found = next;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_a_part_of_one_name() {
        let folder = std::env::temp_dir().join(format!("xtask-matches-{}", std::process::id()));
        for path in ["a/1.2/x.dll", "a/1.2/y.json", "a/2.0/z.dll", "b/x.dll"] {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let check = |pattern: &str, expect: &[&str]| {
            let found = matches(&folder, pattern).unwrap();
            let found: Vec<_> = found.iter().map(|it| it.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
            assert_eq!(found, expect, "{pattern}");
        };
        check("a/*/*.dll", &["a/1.2/x.dll", "a/2.0/z.dll"]);
        check("a/1*", &["a/1.2"]);
        check("b/x.dll", &["b/x.dll"]);
        check("b/x.dll/*", &[]);
        check("c/*", &[]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
