//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use script_engine::HostPort;

use crate::quantity;

/// Runs scripts, isolated and recorded.
#[derive(Debug, Parser)]
#[command(name = "script-engine", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a script file in a sandbox and pass its output and exit code through
    Run(Box<RunArguments>),
    /// Look for faults in a script: check it, get its packages, compile it, and run nothing
    Check(CheckArguments),
    /// Say what a container of your own has to mount to run a script with its parameters
    Mounts(MountArguments),
    /// Say exactly which packages a script would get: versions, addresses, hashes
    Lock(LockArguments),
    /// Look packages up
    #[command(subcommand)]
    Deps(DepsCommand),
    /// The scripts that come with the engine, to look at and to copy
    #[command(subcommand)]
    Samples(SamplesCommand),
    /// Say what works on this machine, and how to mend what doesn't
    Doctor(DoctorArguments),
}

/// Which sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// Namespaces, cgroups, seccomp and landlock
    #[default]
    Linux,
    /// Seccomp, landlock and limits only, for hosts that run in a container
    Process,
    /// Containers of the Docker Engine that DOCKER_HOST names, or of the one at the usual socket
    #[cfg(feature = "docker")]
    Docker,
}

/// The engine that a command works with.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArguments {
    /// Which sandbox scripts run in; `linux` if not given
    #[arg(long, value_name = "NAME")]
    pub(crate) backend: Option<Backend>,
    /// Where the engine keeps its state; the data directory of the user if not given
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// A JSON file with settings of the backend `docker`, such as {"image_cache": {"registry": "HOST:PORT"}}
    #[cfg(feature = "docker")]
    #[arg(long, value_name = "FILE")]
    pub(crate) docker_settings: Option<PathBuf>,
    /// A root file system for a language in place of the host's programs; may be given several times. What
    /// is in `roots/LANGUAGE` of the state folder is taken unasked
    #[arg(long = "root", value_name = "LANGUAGE=DIR", value_parser = quantity::pair)]
    pub(crate) roots: Vec<(String, String)>,
}

/// A script and its parameters.
#[derive(Debug, Args)]
pub(crate) struct ScriptArguments {
    /// The script
    pub(crate) file: PathBuf,
    /// The script's language, where neither its extension nor its `#!` line tells it
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    /// A parameter; may be given several times
    #[arg(long = "param", value_name = "K=V", value_parser = quantity::pair)]
    pub(crate) parameters: Vec<(String, String)>,
    /// A JSON file with parameters; `--param` goes before it
    #[arg(long = "params", value_name = "FILE")]
    pub(crate) parameter_file: Option<PathBuf>,
    /// A JSON Schema file that the parameters must satisfy
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(crate) script: ScriptArguments,
    /// An environment variable; may be given several times
    #[arg(long, value_name = "K=V", value_parser = quantity::pair)]
    pub(crate) env: Vec<(String, String)>,
    /// A file for the script's standard input, `-` for the program's own; empty if not given
    #[arg(long, value_name = "FILE|-")]
    pub(crate) stdin: Option<PathBuf>,
    /// How long the script may run, for example 30s or 5m
    #[arg(long, value_name = "D", value_parser = quantity::duration, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,
    /// How much memory the script may use, for example 256m
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(crate) memory: Option<u64>,
    /// How many cpus the script may use, for example 0.5
    #[arg(long, value_name = "N", value_parser = quantity::cpus)]
    pub(crate) cpus: Option<u32>,
    /// How many processes and threads the script may have
    #[arg(long, value_name = "N")]
    pub(crate) pids: Option<u32>,
    /// How much of each output stream is kept whole, for example 1m
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub(crate) output_limit: Option<u64>,
    /// A host and port that the script may reach by TCP, for example example.com:443; may be given several times
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) network: Vec<HostPort>,
    /// Give the script the network of the host that its sandbox is on, where the backend's settings allow it
    #[arg(long, conflicts_with = "network")]
    pub(crate) host_network: bool,
    /// Run it in this container, which is there already, in place of a sandbox; what it is kept from is the container's
    /// affair. Implies `--backend docker`
    #[cfg(feature = "docker")]
    #[arg(long = "in", value_name = "CONTAINER")]
    pub(crate) container: Option<String>,
    /// The user whose rights it has in there, by name or number; the container's own if not given
    #[cfg(feature = "docker")]
    #[arg(long, value_name = "USER[:GROUP]", requires = "container")]
    pub(crate) user: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print the execution record as one JSON object instead of the script's output
    #[arg(long)]
    pub(crate) json: bool,
}

/// For whom mounts are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A `docker run` line
    Docker,
    /// A fragment for Compose
    Compose,
    /// A ConfigMap and a pod
    Kubernetes,
}

#[derive(Debug, Args)]
pub(crate) struct MountArguments {
    #[command(flatten)]
    pub(crate) script: ScriptArguments,
    /// For whom
    #[arg(long, value_name = "FORM")]
    pub(crate) form: Form,
    /// Where the files are written that binds lead to; Kubernetes needs none but for packages
    #[arg(long, value_name = "DIR", required_if_eq_any([("form", "docker"), ("form", "compose")]))]
    pub(crate) into: Option<PathBuf>,
    /// The container's image; the one of the script's language if not given
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// The script
    pub(crate) file: PathBuf,
    /// The script's language, where neither its extension nor its `#!` line tells it
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print the faults as one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LockArguments {
    /// The script
    pub(crate) file: PathBuf,
    /// The script's language, where neither its extension nor its `#!` line tells it
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    /// Look for newer packages even where the script's are known
    #[arg(long)]
    pub(crate) upgrade: bool,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print the lock as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DepsCommand {
    /// Look packages of a language up by name or words, as its index allows
    Search(SearchArguments),
}

#[derive(Debug, Args)]
pub(crate) struct SearchArguments {
    /// The language
    pub(crate) language: String,
    /// A name or words
    #[arg(required = true)]
    pub(crate) text: Vec<String>,
    /// How many to show
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) engine: EngineArguments,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SamplesCommand {
    /// List them
    List(ListArguments),
    /// Show what one does, and which parameters it takes
    Show(ShowArguments),
    /// Copy one into a folder: the script, and the schema of its parameters
    Clone(CloneArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only those in this language
    #[arg(long, value_name = "L")]
    pub(crate) language: Option<String>,
    /// Only those with this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    /// The sample's id
    pub(crate) id: String,
    /// Print the script itself
    #[arg(long, conflicts_with = "json")]
    pub(crate) source: bool,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CloneArguments {
    /// The sample's id
    pub(crate) id: String,
    /// Where to; a new folder with the sample's id as its name if not given
    pub(crate) folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
