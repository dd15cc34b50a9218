//! The suite of [`SecretProvider`].

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;

use script_engine_core::contract::SecretProvider;
use script_engine_core::{Result, Secret, SecretRef, SecretScope, TenantId};

use super::Factory;
use super::sample::tenant;
use crate::case::{BoxFuture, Case, on};
use crate::verdict::{Proof, Unproven, ensure, fail};

/// How the suite gives a tenant a secret.
pub type PutSecret = Arc<dyn Fn(TenantId, String, Secret) -> BoxFuture<Result<()>> + Send + Sync>;

/// A provider, and how the suite fills it.
#[derive(Clone)]
pub struct SecretsBackend {
    /// The provider.
    pub provider: Arc<dyn SecretProvider>,
    /// Gives a tenant a secret.
    pub put: PutSecret,
}

impl fmt::Debug for SecretsBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.provider.fmt(f)
    }
}

type Made = Factory<SecretsBackend>;

/// The cases of a secret provider.
#[must_use]
pub fn secret_provider(make: Made) -> Vec<Case> {
    let make = Arc::new(make);
    vec![
        Case::new("SP-01", "a missing secret is named, and no value is", on(&make, sp_01)),
        Case::new("SP-02", "another tenant's secret does not exist", on(&make, sp_02)),
        Case::new("SP-03", "no value is shown anywhere", on(&make, sp_03)),
    ]
}

/// A value that is nowhere else.
const CANARY: &str = "canary-7f3b29c1";

impl SecretsBackend {
    async fn give(&self, tenant: &TenantId, name: &str, value: &str) -> Result<()> {
        (self.put)(tenant.clone(), name.to_owned(), Secret::new(value)?).await
    }

    async fn resolve(&self, tenant: &TenantId, names: &[&str]) -> Result<Vec<Secret>> {
        let wanted: Vec<SecretRef> =
            names.iter().map(|it| SecretRef { name: (*it).to_owned(), variable: "TOKEN".into() }).collect();
        self.provider.resolve(&wanted, &SecretScope { tenant: tenant.clone() }).await
    }
}

async fn sp_01(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let acme = tenant("acme")?;
    it.give(&acme, "one", CANARY).await?;
    it.give(&acme, "two", "second value").await?;
    let values = it.resolve(&acme, &["two", "one", "two"]).await?;
    let values: Vec<&[u8]> = values.iter().map(Secret::expose).collect();
    let expected = [b"second value".as_slice(), CANARY.as_bytes(), b"second value"];
    ensure!(values == expected, "the secrets are not those that were asked for, or not in that order");
    ensure!(it.resolve(&acme, &[]).await?.is_empty(), "nothing was asked for, and something came");
    let Err(error) = it.resolve(&acme, &["one", "three"]).await else { fail!("a missing secret was resolved") };
    ensure!(error.kind() == script_engine_core::ErrorKind::NotFound, "a missing secret is {error:?}");
    ensure!(error.to_string().contains("three"), "the error does not name the missing secret: {error}");
    Ok(())
}

async fn sp_02(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let (acme, globex) = (tenant("acme")?, tenant("globex")?);
    it.give(&acme, "qq1", CANARY).await?;
    let (Err(foreign), Err(missing)) = (it.resolve(&globex, &["qq1"]).await, it.resolve(&globex, &["qq2"]).await)
    else {
        fail!("another tenant's secret was resolved");
    };
    let same = foreign.kind() == missing.kind() && foreign.to_string().replace("qq1", "qq2") == missing.to_string();
    ensure!(same, "a foreign secret answers {foreign}, a missing one {missing}");
    it.give(&globex, "qq1", "its own value").await?;
    let values = it.resolve(&globex, &["qq1"]).await?;
    ensure!(values.iter().all(|it| it.expose() == b"its own value"), "a tenant got another tenant's value");
    let values = it.resolve(&acme, &["qq1"]).await?;
    ensure!(values.iter().all(|it| it.expose() == CANARY.as_bytes()), "a tenant's value changed another's");
    Ok(())
}

async fn sp_03(make: Arc<Made>) -> Proof {
    let it = make().await?;
    let acme = tenant("acme")?;
    it.give(&acme, "one", CANARY).await?;
    let values = it.resolve(&acme, &["one"]).await?;
    let mut shown = vec![format!("{:?} {:#?} {values:?} {values:#?}", it.provider, it.provider)];
    for names in [&["one", "gone"][..], &["gone", "one"], &["gone"]] {
        let Err(error) = it.resolve(&acme, names).await else { fail!("a missing secret was resolved") };
        shown.push(format!("{error} {error:?} {error:#?}"));
        let mut source = error.source();
        while let Some(error) = source {
            shown.push(format!("{error} {error:?}"));
            source = error.source();
        }
    }
    shown.iter().try_for_each(|it| hides(it))
}

/// Fails if a text shows the canary or one of the forms in which bytes are usually printed.
fn hides(text: &str) -> Proof {
    let hex: String = CANARY.bytes().map(|it| format!("{it:02x}")).collect();
    let list = CANARY.bytes().map(|it| it.to_string()).collect::<Vec<_>>().join(", ");
    for form in [CANARY, &hex, &hex.to_uppercase(), &list] {
        if text.contains(form) {
            return Err(Unproven::Failed(format!("a secret is shown as {form}")));
        }
    }
    Ok(())
}
