//! The gateway against a resolver that the test decides and listeners of its own.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::net::TcpListener;

use super::*;
use crate::{HostPort, Open};

/// Gives one answer after the other, the last one for ever.
#[derive(Debug)]
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Resolver for Answers {
    async fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        let mut answers = self.0.lock().unwrap();
        Ok(if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap_or_default())
    }
}

fn gateway(answers: &[&[&str]]) -> Gateway {
    let addresses = |it: &&[&str]| it.iter().map(|it| it.parse().unwrap()).collect();
    let answers = Answers(Mutex::new(answers.iter().map(addresses).collect()));
    Gateway::new(Arc::new(answers), Arc::new(SystemClock))
}

fn settings(loopback: Open) -> EgressSettings {
    EgressSettings { loopback, ..EgressSettings::default() }
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn name(text: &str) -> Host {
    Host::parse(text).unwrap()
}

#[tokio::test]
async fn what_was_judged_is_what_is_dialled() {
    let (_listener, port) = listener().await;
    let policy = NetworkPolicy::allow([format!("a.example:{port}")]).unwrap();
    let found = gateway(&[&["127.0.0.1"]]).connect(&policy, &settings(Open::Resolved), &name("a.example"), port).await;
    assert_eq!(found.unwrap().1.to_string(), "127.0.0.1");
}

#[tokio::test]
async fn a_name_that_comes_to_mean_another_address_is_judged_anew() {
    let (_listener, port) = listener().await;
    let policy = NetworkPolicy::allow([format!("a.example:{port}")]).unwrap();
    // Nobody listens at the first, so whoever dialled without judging would reach the second.
    let gateway = gateway(&[&["192.0.2.1"], &["127.0.0.1"], &["::ffff:127.0.0.1"], &["169.254.169.254"]]);
    let settings = EgressSettings { connect_timeout: Duration::from_millis(50), ..settings(Open::Named) };
    let connect = async || gateway.connect(&policy, &settings, &name("a.example"), port).await.unwrap_err();
    assert!(matches!(connect().await, NotConnected::Failed { address: Some(_), .. }));
    for part in ["loopback", "loopback", "metadata", "metadata"] {
        match connect().await {
            NotConnected::Refused { why, address: Some(_) } => assert!(why.contains(part), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn of_several_addresses_only_the_open_ones_are_dialled() {
    let (listener, port) = listener().await;
    let policy = NetworkPolicy::Public { ports: vec![port], entries: Vec::new() };
    let gateway = gateway(&[&["127.0.0.1", "10.0.0.1", "169.254.169.254"]]);
    let refused = gateway.connect(&policy, &settings(Open::Resolved), &name("a.example"), port).await.unwrap_err();
    assert!(matches!(&refused, NotConnected::Refused { why, .. } if why.contains("only public")), "{refused:?}");
    let policy = NetworkPolicy::allow([format!("a.example:{port}")]).unwrap();
    let (_, address) =
        gateway.connect(&policy, &settings(Open::Resolved), &name("a.example"), port).await.expect("one is open");
    assert_eq!(address.to_string(), "127.0.0.1");
    drop(listener);
}

#[tokio::test]
async fn what_is_not_listed_is_not_resolved() {
    let policy = NetworkPolicy::allow(["a.example:80"]).unwrap();
    let gateway = gateway(&[&["127.0.0.1"]]);
    for entry in ["evil-a.example:80", "a.example.evil:80", "a.example:81", "127.0.0.1:80"] {
        let entry = HostPort::parse(entry).unwrap();
        let refused = gateway.connect(&policy, &settings(Open::Resolved), entry.host(), entry.port()).await;
        assert!(matches!(&refused, Err(NotConnected::Refused { address: None, .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn who_has_no_address_or_no_listener_can_t_be_reached() {
    let (listener, port) = listener().await;
    let policy = NetworkPolicy::allow([format!("a.example:{port}")]).unwrap();
    let connect = async |answers: &[&str]| {
        gateway(&[answers]).connect(&policy, &settings(Open::Resolved), &name("a.example"), port).await.unwrap_err()
    };
    assert!(matches!(connect(&[]).await, NotConnected::Failed { address: None, .. }));
    drop(listener);
    assert!(matches!(connect(&["127.0.0.1"]).await, NotConnected::Failed { address: Some(_), .. }));
}
