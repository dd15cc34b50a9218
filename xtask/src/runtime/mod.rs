//! `cargo xtask runtime-root`: root file systems with a language's toolchain in them, made of packages. The Linux sandbox
//! takes such a folder for a language that the host has no toolchain for; an image is the same folder, imported.

mod build;
mod debian;
mod inside;
mod recipe;
mod registry;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use recipe::{RECIPES, Recipe};

use crate::Outcome;
use crate::metadata::Metadata;
use crate::setup::{self, Need, need};

/// What making a root needs of the machine.
const NEEDS: &[Need] = &[
    need("mmdebstrap", "mmdebstrap"),
    need("unzip", "unzip"),
    need("npm", "npm"),
    need("pip3", "python3-pip"),
    need("tar", "tar"),
    need("sha256sum", "coreutils"),
    need("unshare", "util-linux"),
];

/// Languages that tests run in a root, for want of a toolchain on the machine.
const TESTED: [&str; 1] = ["csharp"];

/// Makes what tests look for, beside what cargo builds.
pub(crate) fn for_tests() -> Outcome {
    make(&TESTED, &Metadata::load()?.target_directory()?.join("runtime-roots"))
}

/// The command: makes the roots of `languages`, of all if there are none, below `into`.
pub(crate) fn make(languages: &[&str], into: &Path) -> Outcome {
    let wanted: Vec<&Recipe> = match languages {
        [] => RECIPES.iter().collect(),
        some => some.iter().map(|it| recipe::find(it)).collect::<Outcome<_>>()?,
    };
    for recipe in wanted {
        let root = ensure(recipe, into)?;
        println!("the root of {} is {}", recipe.language, root.display());
    }
    Ok(())
}

/// Puts into the empty `folder` what the root of a language has on top of its base, where none of it comes from Debian's
/// packages of the base's own release.
pub(crate) fn lay_over(language: &str, folder: &Path) -> Outcome {
    setup::ensure(NEEDS)?;
    build::gather(recipe::find(language)?, folder, folder)
}

/// Gets the root of a recipe in place below `into`: the one that is there if it was made by the same recipe, else a new one,
/// which takes its place as a whole.
fn ensure(recipe: &Recipe, into: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(into)?;
    let into = into.canonicalize()?;
    let _guard = lock(&into)?;
    place(&into, recipe.language, &recipe.text(), |folder| {
        setup::ensure(NEEDS)?;
        let base = place(&into, ".base", &recipe::BASE.text(), build::base)?;
        build::root(recipe, &base, folder)
    })
}

/// Only one program makes roots in a folder at one time; the others wait.
fn lock(into: &Path) -> Outcome<File> {
    let file = File::create(into.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

/// `into/name` as `made_by` makes it. What it was made by lies beside it as text; while the folder is changed there is none.
fn place(into: &Path, name: &str, made_by: &str, make: impl FnOnce(&Path) -> Outcome) -> Outcome<PathBuf> {
    let (root, note) = (into.join(name), into.join(format!("{name}.recipe")));
    if root.is_dir() && fs::read_to_string(&note).is_ok_and(|it| it == made_by) {
        return Ok(root);
    }
    let begin = Instant::now();
    let (fresh, old) = (into.join(format!(".new-{name}")), into.join(format!(".old-{name}")));
    remove(&fresh)?;
    remove(&old)?;
    fs::create_dir(&fresh)?;
    make(&fresh).map_err(|error| format!("the root of {name}: {error}"))?;
    if note.exists() {
        fs::remove_file(&note)?;
    }
    if root.exists() {
        fs::rename(&root, &old)?;
    }
    fs::rename(&fresh, &root)?;
    fs::write(&note, made_by)?;
    remove(&old)?;
    eprintln!("made {} in {} s", root.display(), begin.elapsed().as_secs());
    Ok(root)
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{} can't be removed: {error}", folder.display()).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_made_once_for_each_recipe_and_replaced_as_a_whole() {
        let into = std::env::temp_dir().join(format!("xtask-roots-{}", std::process::id()));
        fs::create_dir(&into).unwrap();
        let make = |recipe: &str, contents: Option<&str>| {
            place(&into, "lang", recipe, |folder| {
                fs::write(folder.join("file"), contents.ok_or("must not be made")?).map_err(Into::into)
            })
            .map(|root| fs::read_to_string(root.join("file")).unwrap())
            .map_err(|error| error.to_string())
        };
        assert_eq!(make("one", Some("1")), Ok("1".into()));
        assert_eq!(make("one", None), Ok("1".into()));
        assert_eq!(make("two", None), Err("the root of lang: must not be made".into()));
        assert_eq!(make("one", None), Ok("1".into()), "a failure leaves the old one");
        assert_eq!(make("two", Some("2")), Ok("2".into()));
        let mut left: Vec<_> = fs::read_dir(&into).unwrap().map(|it| it.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["lang", "lang.recipe"]);
        fs::remove_dir_all(&into).unwrap();
    }
}
