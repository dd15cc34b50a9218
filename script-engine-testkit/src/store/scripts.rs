//! The suite of [`ScriptStore`].

use std::collections::BTreeSet;
use std::sync::Arc;

use script_engine_core::contract::{NewVersion, ScriptStore};
use script_engine_core::script::{Manifest, RefKind};
use script_engine_core::{Digest, RefName, ScriptId, Timestamp, VersionId};
use semver::Version;

use super::Factory;
use super::sample::{name, tenant, version};
use crate::case::{Case, on};
use crate::interrupt::join_all;
use crate::verdict::{Proof, Unproven, ensure, ensure_error};

type Made = Factory<dyn ScriptStore>;

/// The cases of a script store.
#[must_use]
pub fn script_store(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("SS-01", "an identical manifest is the version that exists", on(&make, ss_01)),
        Case::new("SS-02", "a number is given once", on(&make, ss_02)),
        Case::new("SS-03", "of many saves at once each gets its own number", on(&make, ss_03)),
        Case::new("SS-04", "a tenant lists its own scripts, each once, in order", on(&make, ss_04)),
        Case::new("SS-05", "a version comes back as it was saved", on(&make, ss_05)),
        Case::new("SS-06", "a ref moves only from where it is expected", on(&make, ss_06)),
        Case::new("SS-07", "a tag never moves", on(&make, ss_07)),
    ]
}

/// Where a ref of a script points.
async fn at(
    store: &dyn ScriptStore,
    script: ScriptId,
    kind: RefKind,
    name: &str,
) -> Result<Option<VersionId>, Unproven> {
    let (_, refs) = store.history(script).await?;
    let found: Vec<VersionId> =
        refs.iter().filter(|it| it.kind == kind && it.name.as_str() == name).map(|it| it.version).collect();
    ensure!(found.len() <= 1, "the ref {name} is there {} times", found.len());
    Ok(found.first().copied())
}

async fn ss_01(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let first = store.save(version(1, "a", b"one")?).await?;
    let second = store.save(version(2, "a", b"two")?).await?;
    ensure!(second.script == first.script, "a name that exists made another script");
    ensure!(second.parent == Some(first.id), "the second version does not come after the first");
    let again = NewVersion { author: "bob".into(), at: Timestamp::from_micros(5), ..version(3, "a", b"one")? };
    let again = store.save(again).await?;
    ensure!(again == first, "an identical manifest gave {again:?}, expected {first:?}");
    ensure!(store.history(first.script).await?.0.len() == 2, "an identical manifest made a version");
    let main = at(&*store, first.script, RefKind::Branch, "main").await?;
    ensure!(main == Some(first.id), "the branch did not move to the version that exists");
    let other = NewVersion { branch: RefName::parse("fix")?, ..version(4, "a", b"two")? };
    store.save(other).await?;
    let fix = at(&*store, first.script, RefKind::Branch, "fix").await?;
    ensure!(fix == Some(second.id), "another branch did not begin at the version that exists");
    ensure!(store.save(version(5, "b", b"one")?).await?.script != first.script, "two names share a script");
    let many = (0..16).map(|id| version(10 + id, "many", b"same")).collect::<Result<Vec<_>, _>>()?;
    let saved = join_all(many.into_iter().map(|it| store.save(it)).collect()).await;
    let saved = saved.into_iter().collect::<Result<Vec<_>, _>>()?;
    ensure!(saved.windows(2).all(|it| it[0] == it[1]), "16 identical saves at once made several versions");
    Ok(())
}

async fn ss_02(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let numbered = |source: &'static [u8], number: &str| -> Result<NewVersion, Unproven> {
        let number = Version::parse(number).map_err(|error| Unproven::Failed(error.to_string()))?;
        Ok(NewVersion { number: Some(number), ..version(1, "a", source)? })
    };
    let first = store.save(version(1, "a", b"one")?).await?;
    ensure!(first.number == Version::new(1, 0, 0), "the first version has number {}", first.number);
    let second = store.save(numbered(b"two", "2.5.0")?).await?;
    ensure_error!(store.save(numbered(b"three", "2.5.0")?).await, AlreadyExists, "a number that another version has");
    let (versions, _) = store.history(first.script).await?;
    ensure!(versions.len() == 2, "the refused save left a version");
    let main = at(&*store, first.script, RefKind::Branch, "main").await?;
    ensure!(main == Some(second.id), "the refused save moved the branch");
    let next = store.save(version(1, "a", b"four")?).await?;
    ensure!(next.number == Version::new(2, 5, 1), "after 2.5.0 comes {}", next.number);
    Ok(())
}

async fn ss_03(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let many = (0..32_u8).map(|it| version(u128::from(it) + 1, "a", &[it])).collect::<Result<Vec<_>, _>>()?;
    let saved = join_all(many.into_iter().map(|it| store.save(it)).collect()).await;
    let saved = saved.into_iter().collect::<Result<Vec<_>, _>>()?;
    let numbers: BTreeSet<&Version> = saved.iter().map(|it| &it.number).collect();
    ensure!(numbers.len() == 32, "32 saves at once got {} numbers", numbers.len());
    let scripts: BTreeSet<ScriptId> = saved.iter().map(|it| it.script).collect();
    ensure!(scripts.len() == 1, "32 saves of one name made {} scripts", scripts.len());
    let parents: BTreeSet<Option<VersionId>> = saved.iter().map(|it| it.parent).collect();
    ensure!(parents.len() == 32, "two versions of one branch come after the same one");
    Ok(())
}

async fn ss_04(make: Arc<Made>) -> Proof {
    let store = make().await?;
    // In an order that is neither that of names nor that of ids.
    let names = ["m", "a.b", "z", "a-b", "a", "q9", "b"];
    for (id, it) in (1..).zip(names) {
        store.save(version(id, it, b"x")?).await?;
        store.save(version(id, it, b"y")?).await?;
    }
    let foreign = NewVersion { tenant: tenant("globex")?, ..version(100, "c", b"x")? };
    store.save(foreign).await?;
    let own = NewVersion { tenant: tenant("globex")?, ..version(101, "a", b"x")? };
    store.save(own).await?;

    let mine = script_engine_core::TenantId::default();
    let mut seen = Vec::new();
    loop {
        let page = store.list(&mine, seen.last(), 2).await?;
        ensure!(page.len() <= 2, "a page of 2 has {} scripts", page.len());
        ensure!(page.iter().all(|it| it.tenant == mine), "a foreign script is listed: {page:?}");
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|it| it.name));
        ensure!(seen.len() < 100, "the pages have no end");
    }
    let mut expected = names.map(name).into_iter().collect::<Result<Vec<_>, _>>()?;
    expected.sort();
    ensure!(seen == expected, "listed {seen:?}, expected {expected:?}");
    ensure!(store.find(&mine, &name("c")?).await?.is_none(), "a foreign script is found");
    let found = store.find(&tenant("globex")?, &name("a")?).await?;
    ensure!(found.is_some_and(|it| it.id == ScriptId::from_bits(101)), "a tenant does not find its own script");
    ensure!(store.list(&tenant("nobody")?, None, 10).await?.is_empty(), "a tenant without scripts lists some");
    Ok(())
}

async fn ss_05(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let all: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    for (id, source) in (1..).zip([&b""[..], b"\x00\xff\r\n", &all]) {
        let new = version(id, &format!("s{id}"), source)?;
        let manifest: Manifest = (*new.manifest).clone();
        let saved = store.save(new.clone()).await?;
        let read = store.get(saved.script, saved.id).await?;
        ensure!(read == saved, "read back {read:?}, saved {saved:?}");
        ensure!(*read.manifest == manifest, "the manifest came back as another");
        ensure!(read.id == manifest.id(), "the version's id is not its manifest's");
        let told = (&read.name, &read.tenant, &read.author, read.created_at);
        ensure!(told == (&new.name, &new.tenant, &new.author, new.at), "came back as {told:?}");
        let (versions, _) = store.history(saved.script).await?;
        let short = versions.iter().find(|it| it.id == saved.id);
        let same = short.is_some_and(|it| it.sha256 == Digest::of(source) && it.number == saved.number);
        ensure!(same, "the history shows {short:?}");
    }
    let none = VersionId(Digest::of(b"none"));
    ensure_error!(store.get(ScriptId::from_bits(1), none).await, NotFound, "a version that does not exist");
    ensure_error!(store.get(ScriptId::from_bits(99), none).await, NotFound, "a version of no script");
    ensure_error!(store.history(ScriptId::from_bits(99)).await, NotFound, "the history of no script");
    let other = store.get(ScriptId::from_bits(2), version(1, "s1", b"")?.manifest.id()).await;
    ensure_error!(other, NotFound, "another script's version");
    Ok(())
}

async fn ss_06(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let a = store.save(version(1, "a", b"one")?).await?;
    let b = store.save(version(1, "a", b"two")?).await?;
    let (script, fix) = (a.script, RefName::parse("fix")?);
    let set = |expected, to| store.set_ref(script, RefKind::Branch, &fix, expected, to);
    ensure_error!(set(Some(a.id), b.id).await, Conflict, "a move of a ref that is not there");
    set(None, a.id).await?;
    ensure_error!(set(None, b.id).await, Conflict, "a second making of a ref");
    ensure_error!(set(Some(b.id), b.id).await, Conflict, "a move from elsewhere");
    let now = at(&*store, script, RefKind::Branch, "fix").await?;
    ensure!(now == Some(a.id), "a refused move moved the ref");
    set(Some(a.id), b.id).await?;
    let now = at(&*store, script, RefKind::Branch, "fix").await?;
    ensure!(now == Some(b.id), "a move did not move the ref");
    ensure_error!(set(Some(b.id), VersionId(Digest::of(b"none"))).await, NotFound, "a move to no version");
    let moves = join_all((0..16).map(|_| set(Some(b.id), a.id)).collect()).await;
    let won = moves.iter().filter(|it| it.is_ok()).count();
    ensure!(won == 1, "{won} of 16 moves at once won");
    Ok(())
}

async fn ss_07(make: Arc<Made>) -> Proof {
    let store = make().await?;
    let a = store.save(version(1, "a", b"one")?).await?;
    let b = store.save(version(1, "a", b"two")?).await?;
    let main = RefName::parse("main")?;
    // A tag may have a branch's name: they are different things.
    store.set_ref(a.script, RefKind::Tag, &main, None, a.id).await?;
    ensure_error!(store.set_ref(a.script, RefKind::Tag, &main, Some(a.id), b.id).await, Conflict, "a tag's move");
    ensure_error!(store.set_ref(a.script, RefKind::Tag, &main, None, b.id).await, Conflict, "a tag's second making");
    store.save(version(1, "a", b"three")?).await?;
    let now = at(&*store, a.script, RefKind::Tag, "main").await?;
    ensure!(now == Some(a.id), "a tag moved");
    let now = at(&*store, a.script, RefKind::Branch, "main").await?;
    ensure!(now != Some(a.id), "the branch of a tag's name did not move with the save");
    Ok(())
}
