//! One case of a suite: a rule's id, what it shows, and how.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::verdict::Proof;

/// A future that owns what it uses.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A case that is being carried out; it stays on one thread.
pub type Proving = Pin<Box<dyn Future<Output = Proof>>>;

/// One case. Its id is the tag of the contract's sentence that it proves.
pub struct Case {
    /// The tag, such as `EX-11`.
    pub id: &'static str,
    /// What it shows, as a sentence about the implementation.
    pub title: &'static str,
    prove: Box<dyn Fn() -> Proving + Send + Sync>,
}

impl Case {
    /// Makes a case of a function that carries it out.
    pub fn new(id: &'static str, title: &'static str, prove: impl Fn() -> Proving + Send + Sync + 'static) -> Self {
        Self { id, title, prove: Box::new(prove) }
    }

    /// Carries the case out.
    #[must_use]
    pub fn prove(&self) -> Proving {
        (self.prove)()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.title)
    }
}

/// Makes the function of a case: `prove` held against a subject.
pub(crate) fn on<S, F>(subject: &Arc<S>, prove: fn(Arc<S>) -> F) -> impl Fn() -> Proving + Send + Sync + 'static
where
    S: Send + Sync + ?Sized + 'static,
    F: Future<Output = Proof> + 'static,
{
    let subject = Arc::clone(subject);
    move || Box::pin(prove(Arc::clone(&subject)))
}
