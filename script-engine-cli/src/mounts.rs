//! `script-engine mounts`: what a container of the user's own mounts to run a script.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use script_engine::mounts::{MountRequest, Mounts};
use script_engine::{Engine, Error, ScriptDraft, Shutdown};
use serde_json::{Map, Value, json};

use crate::arguments::{Form, MountArguments};
use crate::run::explained;
use crate::{engine, exit, inputs, terminal};

/// Writes the files that are mounted and says how. Gives 0, or 125 with a message on stderr.
pub(crate) async fn mounts(arguments: MountArguments) -> ExitCode {
    let (draft, parameters) = match inputs::script(&arguments.script) {
        Ok(inputs) => inputs,
        Err(problems) => return exit::fail(&problems.join("\nscript-engine: ")),
    };
    let into = match arguments.into.as_ref().map(std::path::absolute).transpose() {
        Ok(into) => into,
        Err(error) => return exit::fail(&format!("--into: {error}")),
    };
    let progress = terminal::Progress::begin("preparing a sandbox");
    let engine = match engine::build(&arguments.engine, false).await {
        Ok(engine) => engine,
        Err(error) => return progress.fail(&explained(&error)),
    };
    progress.follow(&engine);
    let made = make(&engine, draft, parameters, &arguments, into).await;
    progress.end();
    engine.shutdown(Shutdown::Drain).await;
    match made {
        Ok(text) => {
            // A closed pipe has nobody to tell.
            drop(terminal::print(&text));
            ExitCode::SUCCESS
        }
        Err(error) => exit::fail(&explained(&error)),
    }
}

async fn make(
    engine: &Engine,
    draft: ScriptDraft,
    parameters: Map<String, Value>,
    arguments: &MountArguments,
    into: Option<PathBuf>,
) -> Result<String, Error> {
    let version = engine.save(&inputs::identity(), draft).await?;
    let mut request = MountRequest::new(version.name.clone()).with_identity(inputs::identity());
    request.parameters = parameters;
    request.image.clone_from(&arguments.image);
    let mounts = engine.mounts(request).await?;
    // Told before anything is written: what can't be told is not wanted.
    let told = tell(&mounts, arguments, into.as_deref())?;
    match into {
        Some(into) => drop(mounts.write(into).await?),
        None if mounts.has_packages() => {
            let message = "is needed for the packages, which go into a volume; name a folder that they are written to";
            return Err(Error::invalid("--into", message));
        }
        None => {}
    }
    Ok(told)
}

fn tell(mounts: &Mounts, arguments: &MountArguments, into: Option<&Path>) -> Result<String, Error> {
    let into = into.unwrap_or_else(|| Path::new(""));
    let json = arguments.json;
    let text = match arguments.form {
        Form::Docker => {
            let docker = mounts.docker(into)?;
            let words = docker.run_arguments();
            if json {
                let all = json!({
                    "name": mounts.name(),
                    "binds": docker.binds,
                    "env": docker.env,
                    "secret_variables": docker.secret_variables,
                    "image": docker.image,
                    "command": docker.command,
                    "run_arguments": words,
                });
                return Ok(format!("{all}\n"));
            }
            let words: Vec<String> = words.iter().map(|it| terminal::quoted(it)).collect();
            format!("docker run --rm {}\n", words.join(" "))
        }
        Form::Compose => {
            let made = mounts.compose(into)?;
            if json { format!("{}\n", made.fragment) } else { made.to_yaml() }
        }
        Form::Kubernetes => {
            let made = mounts.kubernetes()?;
            if json { format!("{}\n", json!({"config_map": made.config_map, "pod": made.pod})) } else { made.to_yaml() }
        }
    };
    Ok(text)
}
