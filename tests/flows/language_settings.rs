//! What settings change about a language.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use script_engine_core::memory::MemoryScripts;
use script_engine_core::{
    Engine, ErrorKind, Identity, LanguageSettings, ResourceLimits, Result, ScriptDraft, ScriptName, Settings,
};
use script_engine_testkit::fake::{Action, FakeExecutor};

use crate::bench_of_work::{acts, request};

async fn engine(scripts: &Arc<MemoryScripts>, changed: LanguageSettings) -> Result<Engine> {
    let fake = FakeExecutor::new().with_source("act x;", vec![Action::Exit(0)]);
    let mut settings = Settings::default();
    settings.languages.insert("acts".into(), changed);
    settings.languages.insert("cobol".into(), LanguageSettings { enabled: false, ..LanguageSettings::default() });
    Engine::builder(Arc::new(fake))
        .with_language(acts())
        .with_settings(settings)
        .with_script_store(Arc::clone(scripts) as _)
        .build()
        .await
}

fn draft() -> ScriptDraft {
    let mut draft = ScriptDraft::new(ScriptName::parse("x").unwrap(), Bytes::from_static(b"act x;"));
    draft.entry_point = Some(script_engine_core::EntryPoint::parse("main.act").unwrap());
    draft
}

#[tokio::test(start_paused = true)]
async fn a_language_that_is_switched_off_is_refused_at_save_and_at_submit() {
    let scripts = Arc::new(MemoryScripts::new(10));
    let on = engine(&scripts, LanguageSettings::default()).await.unwrap();
    let off = LanguageSettings { enabled: false, ..LanguageSettings::default() };
    let off = engine(&scripts, off).await.unwrap();
    let says = "language: acts is switched off here: settings.languages.acts.enabled is false; use another language";
    let error = off.save(&Identity::default(), draft()).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidRequest, says));
    on.save(&Identity::default(), draft()).await.unwrap();
    let error = off.submit(request("x")).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidRequest, says));
    on.submit(request("x")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn image_time_and_limits_are_the_operator_s() {
    let scripts = Arc::new(MemoryScripts::new(10));
    let changed = LanguageSettings {
        runtime_image: Some("registry.test/acts:2".into()),
        default_timeout: Some(Duration::from_secs(7)),
        resource_limits: ResourceLimits { cpu: Some(250), memory: Some(64 << 20), ..ResourceLimits::default() },
        ..LanguageSettings::default()
    };
    let changed = engine(&scripts, changed).await.unwrap();
    let info = changed.languages().next().unwrap();
    assert_eq!(info.image, "registry.test/acts:2");
    changed.save(&Identity::default(), draft()).await.unwrap();
    let id = changed.submit(request("x")).await.unwrap();
    let limits = changed.get(id).await.unwrap().begun.limits;
    assert_eq!(limits.timeout, Duration::from_secs(7));
    assert_eq!((limits.milli_cpus, limits.memory_bytes, limits.pids), (250, 64 << 20, 256));
    let bad = LanguageSettings { default_timeout: Some(Duration::from_secs(1 << 40)), ..LanguageSettings::default() };
    let error = engine(&scripts, bad).await.unwrap_err();
    assert_eq!(error.problems()[0].field, "settings.languages.acts.limits.timeout");
    let bad = LanguageSettings { step_timeout: Some(Duration::ZERO), ..LanguageSettings::default() };
    let error = engine(&scripts, bad).await.unwrap_err();
    assert_eq!(error.problems()[0].field, "settings.languages.acts.step_limits.timeout");
}
