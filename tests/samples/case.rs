//! One case: which sample it is about, and what it does on a stage.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use libtest_mimic::Failed;
use script_engine::Sample;
use tokio::runtime::Builder;

use crate::stage::Stage;

/// How long one case may take, however loaded the machine is and however far away its packages are.
const LIMIT: Duration = Duration::from_secs(600);

/// A case under way.
pub(crate) type Proving<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// What is shown of one sample.
pub(crate) struct Case {
    /// The sample's id, or what else the case is about.
    pub(crate) id: &'static str,
    pub(crate) prove: for<'a> fn(&'a Stage) -> Proving<'a>,
}

/// Makes cases of functions.
macro_rules! cases {
    ($($id:literal: $function:ident),+ $(,)?) => {
        vec![$($crate::case::Case { id: $id, prove: |stage| Box::pin($function(stage)) }),+]
    };
}
pub(crate) use cases;

impl Case {
    /// Carries it out on an engine of its own.
    pub(crate) fn carry_out(&self) -> Result<(), Failed> {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started");
        runtime.block_on(async {
            let whole = async {
                let stage = Stage::new().await;
                (self.prove)(&stage).await;
                stage.finish().await;
            };
            tokio::time::timeout(LIMIT, whole).await.map_err(|_| format!("did not end within {LIMIT:?}").into())
        })
    }
}

/// Why a sample has no case.
pub(crate) fn why_not(sample: &Sample) -> String {
    match sample.language {
        "csharp" => "its packages are on NuGet alone, and NuGet is not reachable where this is tested".to_owned(),
        _ => "nobody wrote a case for it".to_owned(),
    }
}
