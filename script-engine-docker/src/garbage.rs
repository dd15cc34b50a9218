//! Removes images with packages that nobody uses, the longest unused first, until the rest fits a budget. Images
//! of others are never touched: only those that carry this backend's label under its own names.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bollard::models::ImageSummary;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use script_engine_core::contract::GcReport;

use crate::config::Config;
use crate::daemon::Daemon;
use crate::error::DockerError;
use crate::image::{Image, Images};
use crate::layer::{BYTES_LABEL, KEY_LABEL};

/// Notes that an image is used now, in a file of its own, for engines to come too.
pub(crate) fn touch(state_dir: &Path, image: &Image) -> Result<(), DockerError> {
    let Some(key) = image.labels.get(KEY_LABEL).filter(|it| is_plain(it)) else { return Ok(()) };
    let path = mark(state_dir, key);
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, &image.name));
    written.map_err(DockerError::file("can't note the use of an image in", &path))
}

/// Removes images until at most `budget` bytes of packages are kept.
pub(crate) async fn collect(
    daemon: &Daemon,
    config: &Config,
    images: &Images,
    budget: u64,
) -> Result<GcReport, DockerError> {
    let filters = HashMap::from([("label", vec![KEY_LABEL])]);
    let options = ListImagesOptionsBuilder::default().all(false).filters(&filters).build();
    let api = daemon.api().await?;
    let found = daemon.call("list images", api.list_images(Some(options))).await?;
    let mut kept: Vec<Kept> = found.iter().map(|it| Kept::of(it, &config.state_dir)).collect();
    kept.retain(|it| it.is_of(&config.image_prefix));
    if !config.image_cache.enabled {
        // Only what was got here: others may keep theirs.
        let own = images.own();
        kept.retain(|it| own.contains(&it.id));
    }
    let mut report = GcReport::default();
    let mut gone = HashSet::new();
    for kept in surplus(kept, &images.held(), budget) {
        let mut removed = !kept.names.is_empty();
        for name in &kept.names {
            let options = RemoveImageOptionsBuilder::default().force(false).noprune(false).build();
            match daemon.call("remove an image", api.remove_image(name, Some(options), None)).await {
                Ok(_) => {}
                Err(error) if error.is_unreachable() => return Err(error),
                // A container has it, of this engine or another; or it is gone.
                Err(error) => {
                    removed = error.is_missing();
                    tracing::debug!(image = name, %error, "an image is not removed");
                }
            }
        }
        if removed {
            report.removed += 1;
            report.freed_bytes += kept.bytes;
            drop(fs::remove_file(mark(&config.state_dir, &kept.key)));
            gone.insert(kept.id);
        }
    }
    images.forget_ids(&gone);
    Ok(report)
}

fn mark(state_dir: &Path, key: &str) -> PathBuf {
    state_dir.join("docker").join("images").join(key)
}

/// Whether a label is the digest that it should be, and not a path.
fn is_plain(key: &str) -> bool {
    key.len() == 64 && key.bytes().all(|it| it.is_ascii_hexdigit())
}

/// An image with packages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    id: String,
    key: String,
    names: Vec<String>,
    bytes: u64,
    /// When it was used last, as far as this state folder knows.
    used: Option<SystemTime>,
}

impl Kept {
    fn of(found: &ImageSummary, state_dir: &Path) -> Self {
        let label = |name: &str| found.labels.get(name).cloned().unwrap_or_default();
        let key = Some(label(KEY_LABEL)).filter(|it| is_plain(it)).unwrap_or_default();
        let used = fs::metadata(mark(state_dir, &key)).and_then(|it| it.modified()).ok();
        Self {
            id: found.id.clone(),
            names: found.repo_tags.clone(),
            bytes: label(BYTES_LABEL).parse().unwrap_or(0),
            used: used.filter(|_| !key.is_empty()),
            key,
        }
    }
}

impl Kept {
    /// Whether it has the names that images get here, and no others.
    fn is_of(&self, prefix: &str) -> bool {
        let ours = format!("{prefix}-runtime/");
        let is_ours = |it: &String| it.starts_with(&ours) || it.contains(&format!("/{ours}"));
        !self.names.is_empty() && self.names.iter().all(is_ours)
    }
}

/// What must go, the longest unused first; what was never used here is the first of all.
fn surplus(mut kept: Vec<Kept>, held: &HashSet<String>, budget: u64) -> Vec<Kept> {
    let mut sum: u64 = kept.iter().map(|it| it.bytes).sum();
    kept.retain(|it| !held.contains(&it.id) && !it.key.is_empty());
    kept.sort_by(|a, b| (a.used, &a.id).cmp(&(b.used, &b.id)));
    let goes = |it: &Kept| {
        let goes = sum > budget;
        sum -= if goes { it.bytes } else { 0 };
        goes
    };
    kept.into_iter().take_while(goes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn kept(id: &str, bytes: u64, used: Option<u64>) -> Kept {
        let used = used.map(|it| SystemTime::UNIX_EPOCH + Duration::from_secs(it));
        Kept { id: id.into(), key: "0".repeat(64), names: vec![id.into()], bytes, used }
    }

    #[track_caller]
    fn check(held: &[&str], budget: u64, expected: &[&str]) {
        let all = vec![kept("a", 10, Some(3)), kept("b", 20, Some(1)), kept("c", 5, None), kept("d", 1, Some(2))];
        let held = held.iter().map(ToString::to_string).collect();
        let gone: Vec<String> = surplus(all, &held, budget).into_iter().map(|it| it.id).collect();
        assert_eq!(gone, expected);
    }

    #[test]
    fn the_longest_unused_goes_first_and_what_is_held_stays() {
        check(&[], 36, &[]);
        check(&[], 35, &["c"]);
        check(&[], 30, &["c", "b"]);
        check(&[], 0, &["c", "b", "d", "a"]);
        check(&["b"], 12, &["c", "d", "a"]);
        check(&["a", "b", "c", "d"], 0, &[]);
    }

    #[test]
    fn what_has_a_name_of_somebody_elses_stays() {
        for (names, ours) in [
            (&["stella-runtime/go:1"][..], true),
            (&["stella-runtime/go:1", "r.example/stella-runtime/go:1"], true),
            (&["stella-runtime/go:1", "mine:1"], false),
            (&["other-runtime/go:1"], false),
            (&["not-stella-runtime/go:1"], false),
            (&[], false),
        ] {
            let names = names.iter().map(ToString::to_string).collect();
            assert_eq!(Kept { names, ..kept("a", 1, None) }.is_of("stella"), ours);
        }
    }

    #[test]
    fn a_label_that_is_a_path_is_none() {
        assert!(is_plain(&"a0".repeat(32)));
        assert!(!is_plain("../../etc/passwd"));
        let found =
            ImageSummary { labels: HashMap::from([(KEY_LABEL.into(), "../x".into())]), ..ImageSummary::default() };
        assert_eq!(Kept::of(&found, Path::new("/srv")).key, "");
    }
}
