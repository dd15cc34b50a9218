//! Scripts that look for a way out. The host really listens; nobody ever comes.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use script_engine_core::contract::IdSource as _;
use script_engine_core::memory::UuidIds;

use crate::bench::{Bench, Who, prints};
use crate::case::{Hostile, cases};

pub(crate) fn cases() -> Vec<Hostile> {
    cases![
        host_services_on_loopback,
        host_services_on_unix_sockets,
        the_rest_of_the_world,
        other_kinds_of_sockets,
        own_loopback_works,
        names_are_not_resolved,
    ]
}

async fn host_services_on_loopback(bench: &Bench) {
    let tcp = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    tcp.set_nonblocking(true).unwrap();
    udp.set_nonblocking(true).unwrap();
    let (tcp_port, udp_port) = (tcp.local_addr().unwrap().port(), udp.local_addr().unwrap().port());
    let source = format!(
        "
import socket
for host in ('127.0.0.1', '::1', '::ffff:127.0.0.1', '0.0.0.0', '127.1.2.3', '10.0.2.2', '172.17.0.1', '192.168.0.1'):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        socket.socket(family).connect((host, {tcp_port}))
        print('connected', host)
    except OSError:
        pass
    try:
        socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', (host, {udp_port}))
    except OSError:
        pass
print('end')
"
    );
    prints(&bench.python(&source).await, "end\n");
    assert_eq!(tcp.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(udp.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// By abstract name, which no file system hides, and by path.
async fn host_services_on_unix_sockets(bench: &Bench) {
    let name = format!("script-engine-hostile-{:x}", UuidIds.fresh());
    let by_name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let path = std::env::temp_dir().join(&name);
    let by_path = UnixListener::bind(&path).unwrap();
    by_name.set_nonblocking(true).unwrap();
    by_path.set_nonblocking(true).unwrap();
    let path_text = path.to_str().unwrap();
    let source = format!(
        "
import socket
for address in (b'\\0{name}', '{path_text}', '/run/docker.sock', '/var/run/docker.sock', '/run/dbus/system_bus_socket'):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        try:
            socket.socket(socket.AF_UNIX, kind).connect(address)
            print('connected', address, kind)
        except OSError:
            pass
print([it for it in open('/proc/net/unix') if '{name}' in it])
"
    );
    prints(&bench.python(&source).await, "[]\n");
    assert_eq!(by_name.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(by_path.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    std::fs::remove_file(path).unwrap();
}

/// Public addresses, metadata services, link-local and multicast ones: refused at once, not after a timeout.
async fn the_rest_of_the_world(bench: &Bench) {
    let source = "
import errno, socket, time
begin = time.monotonic()
for host in ('1.1.1.1', '169.254.169.254', '100.100.100.200', '255.255.255.255', '224.0.0.1', '2606:4700::1111',
             'fd00:ec2::254', 'fe80::1%lo', 'ff02::1', '::ffff:1.1.1.1', '64:ff9b::101:101'):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            it = socket.socket(family, kind)
            it.settimeout(5)
            it.connect((host, 53))
            it.send(b'x')
            print('sent', host, kind)
        except OSError as error:
            if error.errno not in (errno.ENETUNREACH, errno.EACCES, errno.EADDRNOTAVAIL, errno.EINVAL, errno.EHOSTUNREACH):
                print(host, kind, error)
print(time.monotonic() - begin < 5)
print(socket.if_nameindex() if hasattr(socket, 'if_nameindex') and False else open('/proc/net/dev').read().count(':'))
";
    prints(&bench.python(source).await, "True\n1\n");
}

async fn other_kinds_of_sockets(bench: &Bench) {
    let source = "
import socket
kinds = {
    'raw': (socket.AF_INET, socket.SOCK_RAW, 1), 'raw6': (socket.AF_INET6, socket.SOCK_RAW, 58),
    'ping': (socket.AF_INET, socket.SOCK_DGRAM, 1), 'ping6': (socket.AF_INET6, socket.SOCK_DGRAM, 58),
    'sctp': (socket.AF_INET, socket.SOCK_SEQPACKET, 132), 'mptcp': (socket.AF_INET, socket.SOCK_STREAM, 262),
    'udplite': (socket.AF_INET, socket.SOCK_DGRAM, 136), 'dccp': (socket.AF_INET, 6, 33),
}
for family in (3, 4, 5, 9, 15, 16, 17, 21, 29, 30, 31, 38, 39, 40, 41, 42, 43, 44):
    for kind in (1, 2, 3, 5):
        kinds[f'{family} {kind}'] = (family, kind, 0)
for name, arguments in kinds.items():
    try:
        socket.socket(*arguments)
        print(name)
    except OSError:
        pass
for family in (16, 40):
    try:
        socket.socketpair(family, socket.SOCK_STREAM)
        print('pair', family)
    except OSError:
        pass
print('end')
";
    prints(&bench.python(source).await, "end\n");
}

async fn own_loopback_works(bench: &Bench) {
    let source = "
import os, socket
for family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    if family == socket.AF_INET6 and not open('/proc/net/if_inet6').read():
        print('none')
        continue
    server = socket.create_server((host, 0), family=family)
    client = socket.create_connection(server.getsockname()[:2])
    peer, _ = server.accept()
    client.sendall(b'hello')
    print(peer.recv(5))
server = socket.socket(socket.AF_UNIX)
server.bind('\\0own')
server.listen()
socket.socket(socket.AF_UNIX).connect('\\0own')
print('unix')
";
    // Docker gives a container without a network no address of IPv6.
    let second = if bench.who == Who::Containers { "none" } else { "b'hello'" };
    prints(&bench.python(source).await, &format!("b'hello'\n{second}\nunix\n"));
}

async fn names_are_not_resolved(bench: &Bench) {
    let source = "
import socket, time
begin = time.monotonic()
for name in ('example.com', 'host.docker.internal', 'metadata.google.internal', 'localhost.localdomain'):
    try:
        print(name, socket.getaddrinfo(name, 80))
    except socket.gaierror:
        pass
print(socket.gethostbyname('localhost'), socket.gethostname(), time.monotonic() - begin < 20)
";
    prints(&bench.python(source).await, "127.0.0.1 sandbox True\n");
}
