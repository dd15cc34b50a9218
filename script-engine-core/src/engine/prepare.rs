//! Third stage: secrets and compiled files are fetched, and the job is put together.

use std::sync::Arc;

use bytes::Bytes;

use super::accept::Admitted;
use super::admit::Permit;
use super::components::Components;
use super::course::{Course, Ended};
use super::output::OutputCollector;
use super::provision::Unprovided;
use crate::contract::{Check, DependencyLayer, Language, LanguageInfo, Prepared as Compiled, Toolchain};
use crate::output::SecretMasker;
use crate::packages::LayerUse;
use crate::{
    Cancel, EgressSettings, Error, ErrorKind, Job, JobFile, LayerMount, Outcome, RelPath, Result, RuntimeSpec, Secret,
    SecretScope, Stage, Stdin,
};

/// Where a script puts its result.
pub(super) const RESULT_PATH: &str = "/tmp/.script-result";

/// An execution whose job is ready.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) course: Course,
    pub(super) permit: Permit,
    pub(super) job: Job,
    pub(super) output: OutputCollector,
    pub(super) toolchain: String,
    pub(super) layer: Option<DependencyLayer>,
}

impl Components {
    /// Makes the job. A failure ends the execution, and nothing of it is held but what `settle` releases.
    pub(super) async fn prepare(&self, admitted: Admitted) -> Result<Prepared, Box<Ended>> {
        let Admitted { mut course, permit } = admitted;
        course.stopwatch.enter(Stage::Resolve);
        let live = Arc::clone(&course.live);
        let given_up = async { Outcome::Cancelled(live.cancelled().await) };
        let made = self.provision(given_up, |cancel| self.make_job(&course, cancel)).await;
        match made {
            Ok(Ok(Made { job, output, toolchain, layer })) => {
                Ok(Prepared { course, permit, job, output, toolchain, layer })
            }
            Ok(Err(found)) => Err(Box::new(Ended::early(course, Some(permit), Outcome::NotCompiled(found)))),
            Err(Unprovided { outcome, unclean }) => {
                let mut ended = Ended::early(course, Some(permit), outcome);
                ended.notes.extend(unclean.map(|it| it.to_string()));
                Err(Box::new(ended))
            }
        }
    }

    /// The job; or what is wrong with the source.
    async fn make_job(&self, course: &Course, cancel: Cancel) -> Result<std::result::Result<Made, Check>> {
        let language = Arc::clone(self.language(&course.version.manifest.language)?);
        let (compiled, toolchain) =
            self.compiled(&course.executor, &language, &course.version.manifest, &cancel).await?;
        match compiled {
            Ok(compiled) => cancel.guard(self.assemble(course, &language, compiled, &toolchain)).await.map(Ok),
            Err(found) => Ok(Err(found)),
        }
    }

    async fn assemble(
        &self,
        course: &Course,
        language: &Arc<dyn Language>,
        compiled: Compiled,
        toolchain: &Toolchain,
    ) -> Result<Made> {
        let manifest = &course.version.manifest;
        let layer = match compiled.with_packages {
            true => self.layer(language.as_ref(), toolchain, manifest, LayerUse::Run, Some(course.record.id())).await?,
            false => None,
        };
        if let (Some(target), Some(_)) = (&course.request.target, &layer) {
            let message = format!(
                "the script's packages can't be brought into {}; run it in a sandbox, or save it without packages and \
                 name a container that has them",
                target.name
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let scope = SecretScope { tenant: course.request.identity.tenant.clone() };
        let secrets = self.secrets.resolve(&course.request.secrets, &scope).await?;
        let values = secrets.iter().map(|it| it.expose().to_vec()).chain(course.parameter_secrets.iter().cloned());
        let masker = SecretMasker::new(values)?;
        let limits = &course.record.begun.limits;
        let compiled = language.fit(compiled, limits);
        let sink = self.outputs.open(course.record.id(), limits.output_bytes).await?;
        course.live.printing.send_replace(true);
        let output =
            OutputCollector::new(sink, masker, &self.settings, limits.output_bytes, course.request.on_output_limit);
        let mut job = job(course, language.info(), compiled, layer.as_ref(), &secrets)?;
        job.egress = self.settings.egress.clone();
        Ok(Made { job, output, toolchain: toolchain_of(course, toolchain), layer })
    }
}

/// What runs the script, as far as that is known: what interprets it in a machine of somebody else's is not.
fn toolchain_of(course: &Course, toolchain: &Toolchain) -> String {
    if course.request.target.is_some() { String::new() } else { toolchain.to_string() }
}

/// What the stage makes.
struct Made {
    job: Job,
    output: OutputCollector,
    toolchain: String,
    layer: Option<DependencyLayer>,
}

fn job(
    course: &Course,
    info: &LanguageInfo,
    compiled: Compiled,
    layer: Option<&DependencyLayer>,
    secrets: &[Secret],
) -> Result<Job> {
    let mut files = compiled.files;
    files.push(JobFile {
        path: RelPath::parse("args.json")?,
        content: Bytes::from(course.delivery.args_json.clone()),
        executable: false,
    });
    let mut env = environment(&info.env, &compiled.env);
    env.push(("SCRIPT_EXECUTION_ID".into(), course.record.id().to_string().into_bytes()));
    env.push(("SCRIPT_ARGS_FILE".into(), b"/scripts/args.json".to_vec()));
    env.push(("SCRIPT_RESULT".into(), RESULT_PATH.as_bytes().to_vec()));
    let own = env.len();
    env.extend(course.delivery.env.iter().cloned());
    env.extend(course.request.env.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())));
    for (wanted, secret) in course.request.secrets.iter().zip(secrets) {
        if secret.expose().contains(&0) {
            return Err(Error::invalid(
                format!("secrets.{}", wanted.variable),
                "holds a NUL byte, which no environment can carry",
            ));
        }
        env.push((wanted.variable.clone(), secret.expose().to_vec()));
    }
    let given = env.iter().skip(own).map(|(name, _)| name.clone()).collect();
    Ok(Job {
        tenant: Some(course.request.identity.tenant.clone()),
        runtime: runtime(info, layer),
        target: course.request.target.clone(),
        files,
        argv: compiled.argv,
        env,
        given,
        stdin: course.request.stdin != Stdin::Empty,
        limits: course.record.begun.limits.clone(),
        network: course.record.begun.network.clone(),
        egress: EgressSettings::default(),
    })
}

/// The runtime of a language, with the packages of a layer if there is one.
pub(super) fn runtime(info: &LanguageInfo, layer: Option<&DependencyLayer>) -> RuntimeSpec {
    let mount =
        |it: &DependencyLayer| LayerMount { digest: it.digest, source: it.path.clone(), at: info.packages_dir.clone() };
    RuntimeSpec { language: info.id.to_string(), image: info.image.clone(), layer: layer.map(mount) }
}

/// The environment that every program gets, nothing of the host's, with two lists of more. Of two values for one name
/// the later one holds.
pub(super) fn environment(first: &[(String, String)], second: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let base = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOME", "/work"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
    ];
    let own = base.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    let more = first.iter().chain(second).map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in own.chain(more) {
        match all.iter_mut().find(|it| it.0 == name) {
            Some(there) => there.1 = value,
            None => all.push((name, value)),
        }
    }
    all
}
