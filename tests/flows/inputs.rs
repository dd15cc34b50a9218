//! Bad input: named, all at once, before anything was taken.

use std::time::Duration;

use script_engine_core::contract::Target;
use script_engine_core::{
    Capability, Engine, EntryPoint, ErrorKind, Identity, LanguageId, LimitOverrides, Mechanism, Needs, Restriction,
    ScriptDraft, ScriptName, SecretRef, Selector, Settings, Targets, TenantId,
};
use script_engine_testkit::fake::{Action, FakeExecutor};
use serde_json::{Value, json};

use super::bench_of_work::{Bench, request};

async fn bench() -> Bench {
    Bench::new(Settings::default(), vec![("good", vec![Action::say("hi")])]).await
}

fn draft(source: impl Into<bytes::Bytes>) -> ScriptDraft {
    ScriptDraft::new(ScriptName::parse("new").unwrap(), source).with_language(LanguageId::parse("acts").unwrap())
}

#[track_caller]
fn fields(error: &script_engine_core::Error) -> Vec<&str> {
    assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
    error.problems().iter().map(|it| it.field.as_str()).collect()
}

async fn refused(engine: &Engine, draft: ScriptDraft) -> script_engine_core::Error {
    let name = draft.name.clone();
    let error = engine.save(&Identity::default(), draft).await.unwrap_err();
    let missing = engine.submit(script_engine_core::ExecutionRequest::new(name)).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "something was kept");
    error
}

#[tokio::test]
async fn drafts_are_refused_by_field() {
    let Bench { engine, .. } = bench().await;
    assert_eq!(fields(&refused(&engine, draft("")).await), ["source"]);
    assert_eq!(fields(&refused(&engine, draft(" \n\t")).await), ["source"]);
    assert_eq!(fields(&refused(&engine, draft(vec![b'x'; 20 << 20])).await), ["source"]);
    let mut unknown = draft("act good;");
    unknown.language = Some(LanguageId::parse("cobol").unwrap());
    let error = refused(&engine, unknown).await;
    assert_eq!(fields(&error), ["language"]);
    assert!(error.to_string().contains("acts"), "{error}");
    let mut unsaid = draft("act good;");
    unsaid.language = None;
    assert_eq!(fields(&refused(&engine, unsaid).await), ["language"]);
    let no_schema =
        draft("act good;").with_parameter_schema(json!({"type": "object", "properties": {"a": {"type": 7}}}));
    assert!(fields(&refused(&engine, no_schema).await)[0].starts_with("parameter_schema"));
    for timeout in [Duration::ZERO, Duration::MAX] {
        let limits = LimitOverrides { timeout: Some(timeout), ..LimitOverrides::default() };
        assert_eq!(fields(&refused(&engine, draft("act good;").with_limits(limits)).await), ["limits.timeout"]);
    }
    for bad in ["../x", "/etc/passwd", "a\0b", "a\nb", "-rf"] {
        assert!(EntryPoint::parse(bad).is_err() && ScriptName::parse(bad).is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn requests_are_refused_by_field_and_all_at_once() {
    let Bench { engine, fake } = bench().await;
    let schema = json!({
        "type": "object",
        "properties": {"count": {"type": "integer", "minimum": 1}, "mode": {"enum": ["a", "b"]}},
        "required": ["name"],
        "additionalProperties": false,
    });
    let checked = ScriptDraft::new(ScriptName::parse("checked").unwrap(), "act good; checked")
        .with_language(LanguageId::parse("acts").unwrap())
        .with_parameter_schema(schema);
    engine.save(&Identity::default(), checked).await.unwrap();
    let mut wanted =
        request("checked").with_parameter("count", 0).with_parameter("mode", "c").with_env("LD_PRELOAD", "x");
    wanted = wanted.with_env("ACTS_HOOK", "x").with_env("ACT", "x");
    wanted = wanted.with_secret(SecretRef { name: "token".into(), variable: "ACTS_PATH".into() });
    wanted.limits.timeout = Some(Duration::ZERO);
    let error = engine.submit(wanted).await.unwrap_err();
    let found = fields(&error);
    for field in ["/count", "/mode", "name", "env.LD_PRELOAD", "env.ACTS_HOOK", "secrets.ACTS_PATH", "limits.timeout"] {
        assert!(found.iter().any(|it| it.contains(field)), "{field} in {found:?}");
    }
    assert!(!found.iter().any(|it| it.ends_with("env.ACT")), "{found:?}");
    let unknown = request("checked").with_parameter("name", "x").with_parameter("typo", 1);
    assert!(engine.submit(unknown).await.unwrap_err().to_string().contains("typo"));

    let error = engine.submit(request("good").with_selector("9.9.9".parse().unwrap())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("1.0.0"), "{error}");
    assert!("no such".parse::<Selector>().is_err());
    assert_eq!(engine.submit(request("missing")).await.unwrap_err().kind(), ErrorKind::NotFound);
    let other = Identity { tenant: TenantId::parse("other").unwrap(), invoker: "eve".into() };
    assert_eq!(engine.submit(request("good").with_identity(other)).await.unwrap_err().kind(), ErrorKind::NotFound);
    let secret = SecretRef { name: "token".into(), variable: "TOKEN".into() };
    assert_eq!(engine.submit(request("good").with_secret(secret)).await.unwrap_err().kind(), ErrorKind::NotFound);
    let mut elsewhere = request("good");
    elsewhere.backend = Some("moon".into());
    assert_eq!(fields(&engine.submit(elsewhere).await.unwrap_err()), ["backend"]);
    assert!(fake.jobs().is_empty());
}

#[tokio::test]
async fn what_no_backend_enforces_is_unsupported() {
    use script_engine_core::{Capability, Mechanism, Restriction};
    let weak = Capability::all(Mechanism::Kernel).without(Restriction::Memory, "has no cgroup; delegate one");
    let fake = script_engine_testkit::fake::FakeExecutor::new().with_capability(weak);
    let engine = Engine::builder(std::sync::Arc::new(fake)).build().await.unwrap();
    // The script is looked for first, so that a missing one is named as such.
    assert_eq!(
        engine.submit(request("good").with_needs(Needs::kernel_for_all())).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn saving_the_same_again_gives_the_same_version_and_numbers_count_up() {
    let Bench { engine, .. } = bench().await;
    let me = Identity::default();
    let first = engine.save(&me, draft("act good;")).await.unwrap();
    let again = engine.save(&me, draft("act good;")).await.unwrap();
    let second = engine.save(&me, draft("act good; // changed")).await.unwrap();
    assert_eq!((first.id, first.number.to_string()), (again.id, "1.0.0".to_owned()));
    assert_eq!(second.number.to_string(), "1.0.1");
    assert_eq!(second.parent, Some(first.id));
}

#[tokio::test]
async fn parameters_arrive_typed_in_the_file_and_as_text_in_the_environment() {
    let Bench { engine, fake } = bench().await;
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}, "who": {"default": "you"}}});
    let checked = ScriptDraft::new(ScriptName::parse("args").unwrap(), "act good; args")
        .with_language(LanguageId::parse("acts").unwrap())
        .with_parameter_schema(schema);
    engine.save(&Identity::default(), checked).await.unwrap();
    let id = engine.submit(request("args").with_parameter("n", "42")).await.unwrap();
    let record = engine.wait(id).await.unwrap();
    assert_eq!(Value::Object(record.begun.parameters), json!({"n": 42, "who": "you"}));
    let job = &fake.jobs()[0];
    let file = job.files.iter().find(|it| it.path.as_str() == "args.json").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&file.content).unwrap(), json!({"n": 42, "who": "you"}));
    let var = |name: &str| job.env.iter().find(|it| it.0 == name).map(|it| String::from_utf8_lossy(&it.1).into_owned());
    assert_eq!(var("PARAM_N").as_deref(), Some("42"));
    assert_eq!(var("PARAM_WHO").as_deref(), Some("you"));
    assert_eq!(var("SCRIPT_ARGS_FILE").as_deref(), Some("/scripts/args.json"));
}

#[tokio::test]
async fn a_machine_of_somebody_elses_is_entered_only_where_the_operator_opens_it() {
    let target = |name: &str| Target { name: name.into(), user: None };
    let closed = bench().await;
    let error = closed.engine.submit(request("good").with_target(target("app"))).await.unwrap_err();
    assert_eq!(fields(&error), ["target.name"]);
    assert!(error.to_string().contains("settings.targets"), "{error}");

    let targets = Targets::Named(["app".to_owned()].into());
    let scripts = || vec![("good", vec![Action::say("hi")])];
    let settings = Settings { targets, ..Settings::default() };
    // Its executor gets into none.
    let open = Bench::new(settings.clone(), scripts()).await;
    let error = open.engine.submit(request("good").with_target(target("app"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");

    let guests = Capability::all(Mechanism::Supervised).without(Restriction::FileSystem, "it is somebody else's");
    let fake = FakeExecutor::new().with_capability(Capability::all(Mechanism::Kernel).with_guests(guests));
    let open = Bench::on(fake, settings, scripts()).await;
    assert_eq!(
        fields(&open.engine.submit(request("good").with_target(target("other"))).await.unwrap_err()),
        ["target.name"]
    );
    let record = open.run(request("good").with_target(target("app"))).await;
    assert_eq!(record.begun.target, Some(target("app")));
    let waived = &record.started.unwrap().enforcement.waived;
    assert_eq!(waived.iter().map(|it| it.restriction).collect::<Vec<_>>(), [Restriction::FileSystem]);
    let strict = request("good").with_target(target("app")).with_needs(Needs::default());
    assert_eq!(open.engine.submit(strict).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
