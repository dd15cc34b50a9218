//! Decides what a container is made of: pure functions from limits and settings to what the daemon is asked
//! for. Nothing in it comes from a script or its author.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountType, MountVolumeOptions, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};
use script_engine_core::{LayerMount, Limits, OwnerId, TenantId};

use crate::flavour::Flavour;

/// Where the agent is in every container.
pub(crate) const AGENT_FOLDER: &str = "/.script-engine";
pub(crate) const AGENT_PATH: &str = "/.script-engine/agent";
/// What containers are labelled with.
pub(crate) const OWNER_LABEL: &str = "script-engine.owner";
pub(crate) const STATE_LABEL: &str = "script-engine.state";
pub(crate) const LANGUAGE_LABEL: &str = "script-engine.language";
/// For whom it is, where that is known when it is made.
const TENANT_LABEL: &str = "script-engine.tenant";
/// What the agent needs: to become the script's user, to end its processes, to empty its bounding set.
pub(crate) const CAPABILITIES: [&str; 4] = ["SETUID", "SETGID", "KILL", "SETPCAP"];
/// Memory that the agent may use on top of the script's.
const AGENT_RESERVE: u64 = 16 << 20;
/// Processes that are not the script's: the agent, the children that wipe and look around, and the threads
/// of whatever starts the agent.
const AGENT_PIDS: u32 = 24;
/// Room for the files of a job.
const SCRIPTS_BYTES: u64 = 64 << 20;
const SCRIPTS_FILES: u64 = 16_384;
/// Bytes of a page of memory, in which a file system in memory counts.
const PAGE: u64 = 4096;
/// What the daemon calls the network of its machine.
const HOST: &str = "host";
/// Descriptors that the agent needs itself.
const AGENT_FILES: u32 = 512;
/// Ids of users that scripts get where the daemon maps users.
const MAPPED_IDS: (u32, u32) = (10_000, 60_000);

/// Who a container is and what it is made of.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) owner: OwnerId,
    /// What the container is called.
    pub(crate) name: &'a str,
    /// The state folder's name.
    pub(crate) state: &'a str,
    pub(crate) language: &'a str,
    pub(crate) tenant: Option<&'a TenantId>,
    /// The image's id, not its name: a name may mean another one by now.
    pub(crate) image: &'a str,
    /// Folders for which the image asks for volumes.
    pub(crate) volumes: &'a [String],
    /// The agent, and what else is mounted.
    pub(crate) mounts: Vec<Mount>,
    pub(crate) script_id: u32,
    pub(crate) oci_runtime: Option<&'a str>,
    pub(crate) limits: &'a Limits,
    /// Thousandths of cpus that the daemon's machine has: it makes no container that may use more.
    pub(crate) milli_cpus: u32,
    /// Which engine makes it.
    pub(crate) flavour: Flavour,
    /// Whether it has the network of the daemon's machine, which somebody asked for and may have.
    pub(crate) host_network: bool,
}

/// Chooses the user id of the script in the container with this number. Numbers are counted up from a start
/// that is different for each owner, so that no two containers of the machine share a user, whose processes
/// the kernel counts together.
pub(crate) fn script_id(range: (u32, u32), maps_users: bool, start: u64, number: u64) -> u32 {
    let (low, high) = if maps_users { MAPPED_IDS } else { range };
    let slots = u64::from(high.saturating_sub(low).max(1));
    low + (start.wrapping_add(number) % slots) as u32
}

/// A container as the daemon is asked for it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) body: ContainerCreateBody,
    /// Made before it, removed after it.
    pub(crate) volumes: Vec<VolumeCreateRequest>,
}

/// What is made for a sandbox.
pub(crate) fn plan(wanted: &Wanted<'_>) -> Plan {
    Plan { body: container(wanted), volumes: volumes(wanted) }
}

/// The volumes that are made for a container, and go with it: its folders in memory, where the engine takes no bounds for
/// those of the container itself.
fn volumes(wanted: &Wanted<'_>) -> Vec<VolumeCreateRequest> {
    if !wanted.flavour.has_folders_as_volumes() {
        return Vec::new();
    }
    let text = str::to_owned;
    let volume = |folder: &Folder| VolumeCreateRequest {
        name: Some(folder.volume(wanted.name)),
        driver: Some(text("local")),
        driver_opts: Some(
            [("type", text("tmpfs")), ("device", text("tmpfs")), ("o", folder.options_of_volume())]
                .map(|(name, value)| (text(name), value))
                .into(),
        ),
        labels: Some(labels_of(wanted)),
        ..VolumeCreateRequest::default()
    };
    folders(wanted).iter().map(volume).collect()
}

/// What the daemon is asked to make.
fn container(wanted: &Wanted<'_>) -> ContainerCreateBody {
    let text = str::to_owned;
    let id = wanted.script_id;
    let owner = wanted.owner.to_string();
    let command = ["serve", "--script-uid", &format!("{id}:{id}"), "--private", "--owner", &owner];
    ContainerCreateBody {
        image: Some(text(wanted.image)),
        hostname: Some(text("sandbox")),
        user: Some(text("0:0")),
        working_dir: Some(text("/")),
        entrypoint: Some(vec![text(AGENT_PATH)]),
        cmd: Some(command.map(text).to_vec()),
        // What an image has set up to be called from time to time is not called.
        healthcheck: Some(HealthConfig { test: Some(vec![text("NONE")]), ..HealthConfig::default() }),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        // The agent hears of the engine's end as the end of its input.
        stdin_once: Some(true),
        tty: Some(false),
        labels: Some(labels_of(wanted)),
        host_config: Some(host_config(wanted)),
        ..ContainerCreateBody::default()
    }
}

/// The labels of a container and of what goes with it. That of the packages' hash is its image's.
fn labels_of(wanted: &Wanted<'_>) -> HashMap<String, String> {
    let mut labels = labels(wanted.owner, wanted.state, wanted.language);
    labels.extend(wanted.tenant.map(|it| (TENANT_LABEL.to_owned(), it.to_string())));
    labels
}

/// The labels of whatever belongs to an owner.
pub(crate) fn labels(owner: OwnerId, state: &str, language: &str) -> HashMap<String, String> {
    let pairs =
        [(OWNER_LABEL, owner.to_string()), (STATE_LABEL, state.to_owned()), (LANGUAGE_LABEL, language.to_owned())];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn host_config(wanted: &Wanted<'_>) -> HostConfig {
    let text = str::to_owned;
    let limits = wanted.limits;
    let bounds = Bounds::of(limits, wanted.milli_cpus);
    let files = i64::from(limits.open_files.max(AGENT_FILES));
    let ulimit =
        |name: &str, value: i64| ResourcesUlimits { name: Some(text(name)), soft: Some(value), hard: Some(value) };
    let mut ulimits = vec![ulimit("nofile", files), ulimit("core", 0)];
    if wanted.flavour.asks_for_processes() {
        ulimits.push(ulimit("nproc", bounds.pids));
    }
    HostConfig {
        memory: Some(bounds.memory),
        // Memory and swap together: no swap.
        memory_swap: Some(bounds.memory),
        nano_cpus: Some(bounds.nano_cpus),
        pids_limit: Some(bounds.pids),
        ulimits: Some(ulimits),
        oom_kill_disable: None,
        init: Some(false),
        log_config: Some(HostConfigLogConfig { typ: Some(text("none")), config: None }),
        network_mode: Some(text(if wanted.host_network { HOST } else { "none" })),
        // Else the host's own resolver would be named in the container.
        dns: (!wanted.host_network).then(|| vec![text("127.0.0.1")]),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        auto_remove: Some(false),
        mounts: Some(mounts(wanted)),
        cap_drop: Some(vec![text("ALL")]),
        cap_add: Some(CAPABILITIES.map(text).to_vec()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        ipc_mode: Some(text("private")),
        privileged: Some(false),
        readonly_rootfs: Some(true),
        security_opt: Some(vec![text("no-new-privileges")]),
        tmpfs: Some(memory_folders(wanted)),
        // Podman leaves it to the host's setting: scripts may listen where they like on their own loopback.
        // The host's own loopback keeps its rule.
        sysctls: (!wanted.host_network)
            .then(|| HashMap::from([(text("net.ipv4.ip_unprivileged_port_start"), text("0"))])),
        runtime: wanted.oci_runtime.map(text),
        ..HostConfig::default()
    }
}

/// A folder that is a file system in memory.
struct Folder {
    path: &'static str,
    bytes: u64,
    files: u64,
    mode: &'static str,
    /// Whose it is.
    id: u32,
}

impl Folder {
    /// The options that it is mounted with.
    fn options(&self) -> String {
        self.with_room(&format!("size={}", self.bytes))
    }

    /// The same for a volume. Podman takes `size` there for a quota of its disk, so the room is told in pages.
    fn options_of_volume(&self) -> String {
        self.with_room(&format!("nr_blocks={}", self.bytes.div_ceil(PAGE)))
    }

    fn with_room(&self, room: &str) -> String {
        let Self { files, mode, id, .. } = self;
        format!("rw,nosuid,nodev,exec,{room},nr_inodes={files},mode={mode},uid={id},gid={id}")
    }

    /// The name of the volume that it is for a container of this name.
    fn volume(&self, container: &str) -> String {
        format!("{container}{}", self.path.replace('/', "."))
    }
}

fn folders(wanted: &Wanted<'_>) -> [Folder; 4] {
    let (limits, id, files) = (wanted.limits, wanted.script_id, u64::from(wanted.limits.files));
    [
        Folder { path: "/work", bytes: limits.work_bytes, files, mode: "755", id },
        Folder { path: "/tmp", bytes: limits.tmp_bytes, files, mode: "1777", id },
        Folder { path: "/dev/shm", bytes: limits.tmp_bytes, files, mode: "1777", id },
        Folder { path: "/scripts", bytes: SCRIPTS_BYTES, files: SCRIPTS_FILES, mode: "755", id: 0 },
    ]
}

/// The folders that are file systems in memory of the container itself, with their options.
fn memory_folders(wanted: &Wanted<'_>) -> HashMap<String, String> {
    // What an image declares as a volume would be a folder of the host without a bound.
    let besides = wanted.flavour.writable_besides().iter().map(ToString::to_string);
    let closed = wanted.volumes.iter().cloned().chain(besides);
    let mut all: HashMap<String, String> =
        closed.map(|it| (it, "ro,nosuid,nodev,noexec,size=4096".to_owned())).collect();
    if !wanted.flavour.has_folders_as_volumes() {
        all.extend(folders(wanted).iter().map(|it| (it.path.to_owned(), it.options())));
    }
    all
}

fn mounts(wanted: &Wanted<'_>) -> Vec<Mount> {
    let mut all = wanted.mounts.clone();
    if wanted.flavour.has_folders_as_volumes() {
        all.extend(folders(wanted).iter().map(|it| Mount {
            target: Some(it.path.to_owned()),
            source: Some(it.volume(wanted.name)),
            typ: Some(MountType::VOLUME),
            read_only: Some(false),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
            ..Mount::default()
        }));
    }
    all
}

/// The bounds of the container as a whole: what the script may use, its scratch space (which lives in
/// memory), and what the agent needs to outlive a script that has used it all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) memory: i64,
    pub(crate) nano_cpus: i64,
    pub(crate) pids: i64,
}

impl Bounds {
    pub(crate) fn of(limits: &Limits, milli_cpus: u32) -> Self {
        let scratch =
            limits.work_bytes.saturating_add(limits.tmp_bytes.saturating_mul(2)).saturating_add(SCRIPTS_BYTES);
        let memory = limits.memory_bytes.saturating_add(scratch).saturating_add(AGENT_RESERVE);
        Self {
            memory: i64::try_from(memory).unwrap_or(i64::MAX),
            nano_cpus: i64::from(limits.milli_cpus.min(milli_cpus)).saturating_mul(1_000_000),
            pids: i64::from(limits.pids.saturating_add(AGENT_PIDS)),
        }
    }
}

/// What the daemon is asked to change of a container whose scratch space was made for `booted`, on a machine with so
/// many thousandths of cpus.
pub(crate) fn update(booted: &Limits, milli_cpus: u32, limits: &Limits) -> ContainerUpdateBody {
    let limits = Limits { work_bytes: booted.work_bytes, tmp_bytes: booted.tmp_bytes, ..limits.clone() };
    let Bounds { memory, nano_cpus, pids } = Bounds::of(&limits, milli_cpus);
    ContainerUpdateBody {
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(nano_cpus),
        pids_limit: Some(pids),
        ..ContainerUpdateBody::default()
    }
}

/// Packages, from a folder of the daemon's machine.
pub(crate) fn layer_mount(layer: &LayerMount) -> Mount {
    let source = layer.source.to_string_lossy();
    Mount { target: Some(layer.at.clone()), ..agent_mount(MountType::BIND, &source, true) }
}

/// The agent's folder, from a volume or from a folder of the daemon's machine.
pub(crate) fn agent_mount(kind: MountType, source: &str, read_only: bool) -> Mount {
    let options = MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() };
    Mount {
        target: Some(AGENT_FOLDER.to_owned()),
        source: Some(source.to_owned()),
        typ: Some(kind),
        read_only: Some(read_only),
        volume_options: (kind == MountType::VOLUME).then_some(options),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests;
