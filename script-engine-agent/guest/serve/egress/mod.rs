//! A script's way out: answers its questions for names, listens where the engine said, and passes connections on over
//! the link. Whether and where they lead is the engine's to decide.

mod connection;
mod dns;
mod names;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;

use super::link::Link;
use crate::script::child::Failure;
use crate::sys::poll::{Entry, IN};
use crate::sys::{Errno, network, process};
use crate::wire::{CONNECTION_WINDOW, FromAgent, Listen, MAX_CONNECTIONS, Traffic};
use connection::Connection;
use dns::MAX_QUESTION;
use names::Names;

/// Descriptors of as many connections as there may be, of doors, and of what else the agent has.
const MAX_FILES: u64 = 512;
/// Where the root's settings send questions for names.
const RESOLVER: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 53);
/// Connections and questions that are taken at a time.
const BATCH: usize = 32;
/// Connections from which on each gets a narrow window, so that all together fit the agent's memory.
const CROWD: usize = 48;
/// The window in a crowd.
const NARROW_WINDOW: u32 = 16 * 1024;

/// What a door leads to.
#[derive(Debug)]
enum Behind {
    Host(String),
    /// The name that has the address which was connected to.
    ByName,
}

/// Whether there is room for one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Now,
    /// Not until one of those is done that are about to begin or to end.
    Soon,
    /// Not for as long as the script holds what it has.
    None,
}

#[derive(Debug)]
struct Door {
    socket: TcpListener,
    address: IpAddr,
    port: u16,
    behind: Behind,
}

/// The way out of one execution. Everything of it ends when it is dropped.
#[derive(Debug)]
pub struct Egress {
    pub execution: u32,
    names: Names,
    resolver: Option<UdpSocket>,
    doors: Vec<Door>,
    connections: Vec<Connection>,
    last_id: u32,
    /// Which connection is looked at first.
    turn: usize,
    _addresses: Addresses,
}

/// Addresses that were put on the loopback interface.
#[derive(Debug, Default)]
struct Addresses(Vec<IpAddr>);

impl Drop for Addresses {
    fn drop(&mut self) {
        for address in &self.0 {
            // What can't be taken off has no door behind it.
            let _ = network::remove_loopback_address(*address);
        }
    }
}

impl Egress {
    /// Opens all that was asked for, or nothing.
    pub fn open(execution: u32, listen: &Listen) -> Result<Self, Failure> {
        // With fewer there is room for fewer connections.
        let _ = process::raise_limit(process::RLIMIT_NOFILE, MAX_FILES);
        let literal = |host: &str| host.parse::<IpAddr>().ok();
        let taken = listen.entries.iter().filter_map(|(host, _)| match literal(host)? {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let mut names = Names::new(taken.collect(), !listen.ports.is_empty());
        let mut addresses = Addresses::default();
        let mut doors = Vec::new();
        let mut named = !listen.ports.is_empty();
        for (host, port) in &listen.entries {
            let at: Vec<IpAddr> = match literal(host) {
                Some(address) => {
                    addresses.add(address)?;
                    vec![address]
                }
                None if host == "localhost" || host.ends_with(".localhost") => {
                    vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
                }
                None => {
                    named = true;
                    vec![names.add(host).into()]
                }
            };
            for address in at {
                // The door that any name goes by is this one's too.
                if let (IpAddr::V4(address), true) = (address, listen.ports.contains(port)) {
                    names.know(address, host);
                    continue;
                }
                // Two entries may mean one place.
                if doors.iter().any(|it: &Door| it.address == address && it.port == *port) {
                    continue;
                }
                match door(address, *port, Behind::Host(host.clone())) {
                    Ok(door) => doors.push(door),
                    // Where there is no IPv6 nobody looks for it.
                    Err(_) if address == Ipv6Addr::LOCALHOST => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        for port in &listen.ports {
            doors.push(door(Ipv4Addr::UNSPECIFIED.into(), *port, Behind::ByName)?);
        }
        let resolver = if named { Some(resolver()?) } else { None };
        Ok(Self {
            execution,
            names,
            resolver,
            doors,
            connections: Vec::new(),
            last_id: 0,
            turn: 0,
            _addresses: addresses,
        })
    }

    /// Appends what to wait for.
    pub fn entries(&mut self, full: bool, entries: &mut Vec<Entry>) {
        entries.extend(self.resolver.iter().map(|it| Entry::new(it.as_raw_fd(), IN)));
        if !full && self.room() != Room::Soon {
            entries.extend(self.doors.iter().map(|it| Entry::new(it.socket.as_raw_fd(), IN)));
        }
        // A full link leaves some out; each time they are others.
        self.turn = if self.connections.is_empty() { 0 } else { (self.turn + 1) % self.connections.len() };
        let (last, first) = self.connections.split_at(self.turn);
        entries.extend(first.iter().chain(last).filter_map(|it| it.entry(full)));
    }

    /// Takes in what is ready; `false` if it is not of this.
    pub fn ready(&mut self, entry: Entry, link: &mut Link) -> bool {
        if self.resolver.as_ref().is_some_and(|it| it.as_raw_fd() == entry.fd) {
            self.answer();
        } else if let Some(index) = self.doors.iter().position(|it| it.socket.as_raw_fd() == entry.fd) {
            self.accept(index, link);
        } else if let Some(connection) = self.connections.iter_mut().find(|it| it.has(entry.fd)) {
            connection.ready(entry, link, self.execution);
            self.connections.retain(|it| !it.is_over());
        } else {
            return false;
        }
        true
    }

    /// Hears of the engine; `false` if it does not keep to the protocol.
    #[must_use]
    pub fn hear(&mut self, id: u32, traffic: Traffic, link: &mut Link) -> bool {
        // One that is over is still spoken of until the engine hears of that.
        let Some(connection) = self.connections.iter_mut().find(|it| it.id == id) else { return id <= self.last_id };
        let fine = connection.hear(traffic, link, self.execution);
        self.connections.retain(|it| !it.is_over());
        fine
    }

    /// Whether everything that scripts sent, who are all gone by now, is passed on.
    pub fn is_heard_out(&self) -> bool {
        self.connections.iter().all(Connection::is_heard_out)
    }

    fn room(&self) -> Room {
        if self.connections.len() < MAX_CONNECTIONS {
            Room::Now
        } else if self.connections.iter().all(Connection::is_settled) {
            Room::None
        } else {
            Room::Soon
        }
    }

    fn answer(&mut self) {
        let Some(resolver) = &self.resolver else { return };
        let mut question = [0; MAX_QUESTION];
        for _ in 0..BATCH {
            let Ok((count, from)) = resolver.recv_from(&mut question) else { return };
            let question = question.get(..count).unwrap_or_default();
            if let Some(answer) = dns::answer(question, |name| self.names.find(name)) {
                // Who asked and does not listen asks again.
                drop(resolver.send_to(&answer, from));
            }
        }
    }

    fn accept(&mut self, index: usize, link: &mut Link) {
        for _ in 0..BATCH {
            let room = self.room();
            let Some(door) = self.doors.get(index).filter(|_| room != Room::Soon) else { return };
            let socket = match door.socket.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(_) => return,
            };
            let host = match &door.behind {
                Behind::Host(host) => Some(host.clone()),
                Behind::ByName => name_of(&socket, &self.names),
            };
            let (Some(host), Ok(())) = (host, socket.set_nonblocking(true)) else {
                network::reset_on_close(socket.as_raw_fd());
                continue;
            };
            let port = door.port;
            // Small pieces are the engine's to join.
            drop(socket.set_nodelay(true));
            self.last_id += 1;
            let credit = match room {
                Room::None | Room::Soon => 0,
                Room::Now if self.connections.len() >= CROWD => NARROW_WINDOW,
                Room::Now => CONNECTION_WINDOW,
            };
            link.send(self.execution, &FromAgent::Accepted { id: self.last_id, host, port, credit });
            if credit == 0 {
                network::reset_on_close(socket.as_raw_fd());
            } else {
                self.connections.push(Connection::new(self.last_id, socket, credit));
            }
        }
    }
}

impl Addresses {
    fn add(&mut self, address: IpAddr) -> Result<(), Failure> {
        if address.is_loopback() || self.0.contains(&address) {
            return Ok(());
        }
        network::add_loopback_address(address)
            .map_err(|error| Failure::new("listen", format!("cannot take the address {address} here"), error))?;
        self.0.push(address);
        Ok(())
    }
}

fn name_of(socket: &TcpStream, names: &Names) -> Option<String> {
    match socket.local_addr().ok()? {
        SocketAddr::V4(address) => names.of(*address.ip()).map(str::to_owned),
        SocketAddr::V6(_) => None,
    }
}

fn failure(what: String, error: std::io::Error) -> Failure {
    Failure::new("listen", what, Errno::from(error))
}

fn door(address: IpAddr, port: u16, behind: Behind) -> Result<Door, Failure> {
    let opened = TcpListener::bind((address, port)).and_then(|it| it.set_nonblocking(true).map(|()| it));
    let socket =
        opened.map_err(|error| failure(format!("cannot listen on {address} port {port} in the sandbox"), error))?;
    Ok(Door { socket, address, port, behind })
}

fn resolver() -> Result<UdpSocket, Failure> {
    let opened = UdpSocket::bind(RESOLVER).and_then(|it| it.set_nonblocking(true).map(|()| it));
    opened.map_err(|error| failure("cannot answer for names on port 53".to_owned(), error))
}
