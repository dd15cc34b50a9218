//! What the engine itself costs: executions over a fake executor that ends at once.
#![expect(clippy::expect_used, reason = "a bench that can't run has nothing to say")]

use std::sync::Arc;

use script_engine::Engine;
use script_engine::languages::builtin;
use script_engine_benches::{Way, compare, run, save};
use script_engine_testkit::fake::{Action, FakeExecutor};

#[tokio::main]
async fn main() {
    let fake = FakeExecutor::new().with_script(|_| true, vec![Action::say("hello\n")]);
    let owner = fake.owner();
    let builder = Engine::builder(Arc::new(fake)).with_owner(owner);
    let builder = builtin().into_iter().fold(builder, script_engine::EngineBuilder::with_language);
    let engine = builder.build().await.expect("an engine");
    let script = save(&engine, "hello.sh", "echo hello").await;
    let (engine, script) = (&engine, &script);
    compare(
        "engine over a fake executor",
        2000,
        vec![Way::new("submit to record", || async move { drop(run(engine, script).await) })],
    )
    .await;
}
