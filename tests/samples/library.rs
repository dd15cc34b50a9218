//! What holds of the library as a whole: a clone is a script of one's own, under a name that was free.

use script_engine::{ErrorKind, ExecutionRequest, Identity, ScriptDraft, ScriptName, clone_sample};

use crate::case::{Case, cases};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    cases!["a_clone_is_ones_own": a_clone_is_ones_own, "a_name_that_is_taken_is_refused": a_name_that_is_taken_is_refused]
}

async fn a_clone_is_ones_own(stage: &Stage) {
    let name = ScriptName::parse("greeter").unwrap();
    let version = clone_sample(&stage.engine, &stage.identity, "hello-world", name.clone()).await.unwrap();
    assert_eq!((version.number.to_string().as_str(), version.parent), ("1.0.0", None));
    assert_eq!(version.manifest.entry_point.as_str(), "hello.py");

    // Its next version is what its new owner makes of it.
    let source = String::from_utf8(version.manifest.source.to_vec()).unwrap().replace("Hello", "Salve");
    let mut draft = ScriptDraft::new(name.clone(), source);
    draft.entry_point = Some(version.manifest.entry_point.clone());
    let second = stage.engine.save(&stage.identity, draft).await.unwrap();
    assert_eq!((second.number.to_string().as_str(), second.script), ("1.0.1", version.script));
    let id = stage.engine.submit(ExecutionRequest::new(name)).await.unwrap();
    let record = stage.engine.wait(id).await.unwrap();
    let result = record.ending.unwrap().result.unwrap();
    assert_eq!(result["message"], "Salve, world!");
}

async fn a_name_that_is_taken_is_refused(stage: &Stage) {
    let name = ScriptName::parse("mine").unwrap();
    let mut draft = ScriptDraft::new(name.clone(), "print(1)");
    draft.entry_point = Some(script_engine::EntryPoint::parse("a.py").unwrap());
    // A script whose versions don't begin where those of a clone do.
    draft.number = Some("2.0.0".parse().unwrap());
    let own = stage.engine.save(&stage.identity, draft).await.unwrap();
    let clone = |identity: Identity, id: &'static str| {
        let name = name.clone();
        async move { clone_sample(&stage.engine, &identity, id, name).await }
    };
    let error = clone(stage.identity.clone(), "hello-world").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("a script named `mine` exists"), "{error}");
    let summary = stage.engine.find_script(&stage.identity, &name).await.unwrap().unwrap();
    assert_eq!(summary.id, own.script);

    // A name is one tenant's.
    let other = Identity { tenant: script_engine::TenantId::parse("other").unwrap(), ..Identity::default() };
    let theirs = clone(other, "hello-world").await.unwrap();
    assert_ne!(theirs.script, own.script);
    assert_eq!(clone(stage.identity.clone(), "nothing").await.unwrap_err().kind(), ErrorKind::NotFound);
}
