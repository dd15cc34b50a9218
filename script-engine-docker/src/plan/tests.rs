//! Containers as tables.

use super::*;

fn container_of(limits: &Limits, volumes: &[String]) -> ContainerCreateBody {
    container(&Wanted {
        owner: OwnerId::from_bits(7),
        name: "container",
        state: "state",
        language: "python",
        tenant: Some(&TenantId::default()),
        image: "sha256:00",
        volumes,
        mounts: vec![agent_mount(MountType::VOLUME, "agent", true)],
        script_id: 7001,
        oci_runtime: None,
        limits,
        milli_cpus: 2000,
        flavour: Flavour::Docker,
        host_network: false,
    })
}

fn host_config_of(limits: &Limits) -> HostConfig {
    container_of(limits, &[]).host_config.unwrap()
}

#[test]
fn a_container_has_nothing_that_is_not_needed() {
    let config = host_config_of(&Limits::default());
    assert_eq!(config.network_mode.as_deref(), Some("none"));
    assert_eq!(config.readonly_rootfs, Some(true));
    assert_eq!(config.privileged, Some(false));
    assert_eq!(config.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(config.cap_add, Some(CAPABILITIES.map(str::to_owned).to_vec()));
    assert_eq!(config.security_opt, Some(vec!["no-new-privileges".to_owned()]));
    assert_eq!(config.dns, Some(vec!["127.0.0.1".to_owned()]));
    assert_eq!(config.ipc_mode.as_deref(), Some("private"));
    assert_eq!((config.binds, config.devices, config.group_add, config.volumes_from), (None, None, None, None));
    let mounts = config.mounts.unwrap();
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].read_only, Some(true));
}

#[test]
fn a_container_says_whose_it_is() {
    let labels = container_of(&Limits::default(), &[]).labels.unwrap();
    let mut labels: Vec<String> = labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    let owner = OwnerId::from_bits(7);
    let expect = [
        "script-engine.language=python".to_owned(),
        format!("script-engine.owner={owner}"),
        "script-engine.state=state".to_owned(),
        "script-engine.tenant=default".to_owned(),
    ];
    assert_eq!(labels, expect);
}

#[test]
fn nothing_of_the_image_is_carried_out() {
    let body = container_of(&Limits::default(), &[]);
    assert_eq!(body.entrypoint, Some(vec![AGENT_PATH.to_owned()]));
    assert_eq!(body.user.as_deref(), Some("0:0"));
    assert_eq!(body.working_dir.as_deref(), Some("/"));
    assert_eq!(body.healthcheck.unwrap().test, Some(vec!["NONE".to_owned()]));
}

#[test]
fn memory_is_that_of_the_script_its_folders_and_the_agent_without_swap() {
    let limits = Limits { memory_bytes: 100 << 20, work_bytes: 10 << 20, tmp_bytes: 1 << 20, ..Limits::default() };
    let config = host_config_of(&limits);
    assert_eq!(config.memory, Some((100 + 10 + 2 + 64 + 16) << 20));
    assert_eq!(config.memory_swap, config.memory);
    let folders = config.tmpfs.unwrap();
    assert!(folders["/work"].contains("size=10485760,") && folders["/work"].contains("uid=7001"));
    assert!(folders["/scripts"].contains("uid=0") && folders["/scripts"].contains("mode=755"));
    assert!(folders.values().all(|it| it.contains("nosuid,nodev") && it.contains("size=")));
}

#[test]
fn a_change_of_limits_leaves_the_folders_as_they_were() {
    let booted = Limits { work_bytes: 10 << 20, tmp_bytes: 1 << 20, ..Limits::default() };
    let wanted = Limits { memory_bytes: 100 << 20, milli_cpus: 250, pids: 10, ..Limits::default() };
    let change = update(&booted, 2000, &wanted);
    assert_eq!(change.memory, Some((100 + 10 + 2 + 64 + 16) << 20));
    assert_eq!(change.memory_swap, change.memory);
    assert_eq!(change.nano_cpus, Some(250_000_000));
    assert_eq!(change.pids_limit, Some(10 + i64::from(AGENT_PIDS)));
}

#[test]
fn more_cpus_than_there_are_is_all_of_them() {
    for (milli_cpus, expected) in [(1500, 1_500_000_000), (2000, 2_000_000_000), (4000, 2_000_000_000)] {
        let limits = Limits { milli_cpus, ..Limits::default() };
        assert_eq!(host_config_of(&limits).nano_cpus, Some(expected));
        assert_eq!(update(&limits, 2000, &limits).nano_cpus, Some(expected));
    }
}

#[test]
fn what_an_image_declares_as_a_volume_is_an_empty_folder_but_for_our_own() {
    let volumes = ["/data".to_owned(), "/work".to_owned()];
    let folders = container_of(&Limits::default(), &volumes).host_config.unwrap().tmpfs.unwrap();
    assert!(folders["/data"].starts_with("ro,"));
    assert!(folders["/work"].starts_with("rw,"));
}

#[test]
fn no_two_containers_of_an_owner_share_a_user() {
    let range = (0x7000_0000, 0x7000_0010);
    let ids: std::collections::BTreeSet<u32> = (0..16).map(|it| script_id(range, false, 5, it)).collect();
    assert_eq!(ids.len(), 16);
    assert!(ids.iter().all(|it| (range.0..range.1).contains(it)));
    let mapped = script_id(range, true, u64::MAX, 3);
    assert!((MAPPED_IDS.0..MAPPED_IDS.1).contains(&mapped));
}

#[test]
fn labels_say_whose_a_container_is() {
    let labels = container_of(&Limits::default(), &[]).labels.unwrap();
    assert_eq!(labels[OWNER_LABEL], OwnerId::from_bits(7).to_string());
    assert_eq!(labels[STATE_LABEL], "state");
    assert_eq!(labels[LANGUAGE_LABEL], "python");
}
