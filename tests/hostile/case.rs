//! One hostile case: its name, what it does on a bench, and how it is carried out.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use libtest_mimic::Failed;
use tokio::runtime::{Builder, Runtime};

use crate::bench::{Bench, Who};

/// How long one case may take, however loaded the machine is. A case that hangs has failed.
const LIMIT: Duration = Duration::from_secs(110);

/// A case under way.
pub(crate) type Proving<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One hostile case.
#[derive(Clone, Copy)]
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) prove: for<'a> fn(&'a Bench) -> Proving<'a>,
}

impl Hostile {
    /// What the case is called when this user carries it out.
    pub(crate) fn name_as(&self, who: Who) -> String {
        format!("{}::{}", who.name(), self.name)
    }
}

/// Makes cases of functions.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        vec![$($crate::case::Hostile { name: stringify!($name), prove: |bench| Box::pin($name(bench)) }),+]
    };
}
pub(crate) use cases;

/// What an engine runs on.
pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started")
}

/// Carries a case out on an engine of its own, with everything that must hold afterwards.
pub(crate) fn carry_out(case: &Hostile, who: Who) -> Result<(), Failed> {
    runtime().block_on(async {
        let whole = async {
            let bench = Bench::new(who).await;
            (case.prove)(&bench).await;
            bench.finish().await;
        };
        tokio::time::timeout(LIMIT, whole).await.map_err(|_| format!("did not end within {LIMIT:?}").into())
    })
}
