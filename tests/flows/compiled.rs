//! Sources that are compiled before they run, and those that can't be.

use script_engine_core::contract::Diagnostic;
use script_engine_core::{ExecutionState, Identity, LanguageId, Outcome, ScriptDraft, ScriptName, Settings};
use script_engine_testkit::fake::Action;

use crate::bench_of_work::{Bench, request};

fn draft(name: &str) -> ScriptDraft {
    ScriptDraft::new(ScriptName::parse(name).unwrap(), format!("act {name};"))
        .with_language(LanguageId::parse("acts").unwrap())
}

fn fault() -> Vec<Diagnostic> {
    vec![Diagnostic { line: 3, column: 7, message: "no such act".into() }]
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_compile_is_its_author_s_fault_and_compiled_once() {
    let bench = Bench::new(Settings::default(), vec![("refused", vec![Action::Exit(1)])]).await;
    for _ in 0..3 {
        let record = bench.run(request("refused")).await;
        assert_eq!(record.state, ExecutionState::Failed);
        assert_eq!(record.outcome(), Some(&Outcome::NotCompiled(fault())));
        assert!(record.started.is_none());
        let why = record.outcome().and_then(Outcome::explain).unwrap();
        assert_eq!(why, "the script does not compile: line 3, column 7: no such act");
    }
    assert_eq!(bench.engine.check(&Identity::default(), &draft("refused")).await.unwrap(), fault());
    assert_eq!(bench.fake.jobs().len(), 1);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_compiler_that_breaks_a_limit_is_tried_again() {
    let broken = vec![Action::ExhaustMemory];
    let bench = Bench::new(Settings::default(), vec![("compiled-large", broken)]).await;
    for _ in 0..2 {
        let record = bench.run(request("compiled-large")).await;
        let Some(Outcome::NotCompiled(found)) = record.outcome() else { panic!("{record:?}") };
        assert!(found[0].message.starts_with("broke the limit of memory of a step"), "{found:?}");
    }
    assert_eq!(bench.fake.jobs().len(), 2);
    bench.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn what_was_checked_is_compiled_when_it_runs_and_nothing_of_it_was_kept() {
    let bench = Bench::new(Settings::default(), vec![("compiled", vec![Action::Exit(0)])]).await;
    assert_eq!(bench.engine.check(&Identity::default(), &draft("compiled")).await.unwrap(), vec![]);
    assert_eq!(bench.fake.jobs().len(), 1);
    assert_eq!(bench.run(request("compiled")).await.state, ExecutionState::Completed);
    assert_eq!(bench.fake.jobs().len(), 2);
    let other = ScriptName::parse("compiled-other").unwrap();
    drop(bench.engine.check(&Identity::default(), &draft("compiled-other")).await);
    assert!(bench.engine.find_script(&Identity::default(), &other).await.unwrap().is_none());
    bench.assert_clean();
}
