//! Carries out a recipe.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::recipe::{BASE, Part, Recipe};
use super::{debian, inside, registry};
use crate::Outcome;
use crate::command::capture;

/// Makes the base in `folder`.
pub(super) fn base(folder: &Path) -> Outcome {
    let scratch = Scratch::beside(folder)?;
    for part in BASE.parts {
        match part {
            Part::Debian(packages) => debian::base(packages, folder, &scratch.0)?,
            other => return Err(format!("a base has Debian packages only, not {other:?}").into()),
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    Ok(())
}

/// Makes a language's root in `folder`, on top of a copy of `base`.
pub(super) fn root(recipe: &Recipe, base: &Path, folder: &Path) -> Outcome {
    capture(Command::new("cp").args(["-a", "--reflink=auto"]).arg(base.join(".")).arg(folder))?;
    gather(recipe, base, folder)?;
    recipe.finish.iter().try_for_each(|argv| inside::run(folder, argv))
}

/// Puts a recipe's parts into `folder`, which may be empty: then it holds what comes on top of `base`.
pub(super) fn gather(recipe: &Recipe, base: &Path, folder: &Path) -> Outcome {
    let scratch = Scratch::beside(folder)?;
    for part in recipe.parts {
        match part {
            Part::Debian(packages) => debian::add(packages, base, folder, &scratch.0)?,
            Part::OtherDebian { suite, package } => debian::add_other(suite, package, folder, &scratch.0)?,
            Part::Wheel { requirement, archive } => registry::wheel(requirement, archive, folder, &scratch.0)?,
            Part::Npm { package, archive } => registry::npm(package, archive, folder, &scratch.0)?,
            Part::Script { path, text } => {
                let path = place(folder, path)?;
                fs::write(&path, text)?;
                fs::set_permissions(&path, Permissions::from_mode(0o755))?;
            }
            Part::Link { path, target } => {
                let path = place(folder, path)?;
                if path.symlink_metadata().is_ok() {
                    fs::remove_file(&path)?;
                }
                symlink(target, path)?;
            }
        }
    }
    Ok(())
}

fn place(folder: &Path, path: &str) -> Outcome<PathBuf> {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap_or(folder))?;
    Ok(path)
}

/// A folder for downloads, on the same file system as what is made of them; removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn beside(folder: &Path) -> Outcome<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.with_file_name(format!(".scratch-{}", name.trim_start_matches('.')));
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
