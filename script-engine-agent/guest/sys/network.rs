//! What the standard library's sockets lack: breaking a connection off, and addresses of the loopback interface.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::file::{self, O_CLOEXEC};
use super::{Errno, Result, call, number, word};

/// The loopback interface, which is the first of every network namespace.
const LOOPBACK: u32 = 1;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;

/// Lets the close of a connection be a reset: the other end hears of it at once and nothing more is sent.
pub fn reset_on_close(socket: i32) {
    const SOL_SOCKET: usize = 1;
    const SO_LINGER: usize = 13;
    // `struct linger`: on, for no time.
    let linger = [1_i32, 0];
    // SAFETY: the structure outlives the call and has the length that is told. Without it the close is an orderly one.
    let _ = unsafe {
        let length = size_of_val(&linger);
        call(number::SETSOCKOPT, [word(socket), SOL_SOCKET, SO_LINGER, (&raw const linger) as usize, length, 0])
    };
}

/// Puts an address on the loopback interface. Needs the right to configure this network namespace.
pub fn add_loopback_address(address: IpAddr) -> Result<()> {
    const CREATE: u16 = 0x400;
    match change(RTM_NEWADDR, CREATE, address) {
        Err(Errno::EEXIST) => Ok(()),
        done => done,
    }
}

/// Takes an address off the loopback interface.
pub fn remove_loopback_address(address: IpAddr) -> Result<()> {
    change(RTM_DELADDR, 0, address)
}

/// Sends one request of rtnetlink (`include/uapi/linux/rtnetlink.h`, `if_addr.h`) and reads its answer.
fn change(request: u16, flags: u16, address: IpAddr) -> Result<()> {
    const AF_NETLINK: usize = 16;
    const SOCK_RAW: usize = 3;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 5;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    /// Nobody else can have it.
    const IFA_F_NODAD: u8 = 2;
    let (family, bytes) = match address {
        IpAddr::V4(address) => (2_u8, address.octets().to_vec()),
        IpAddr::V6(address) => (10, address.octets().to_vec()),
    };
    let mut body = vec![family, (bytes.len() * 8) as u8, IFA_F_NODAD, 0];
    body.extend_from_slice(&LOOPBACK.to_ne_bytes());
    for kind in [IFA_LOCAL, IFA_ADDRESS] {
        body.extend_from_slice(&(bytes.len() as u16 + 4).to_ne_bytes());
        body.extend_from_slice(&kind.to_ne_bytes());
        body.extend_from_slice(&bytes);
    }
    let mut message = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    message.extend_from_slice(&request.to_ne_bytes());
    message.extend_from_slice(&(REQUEST_AND_ACKNOWLEDGE | flags).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&body);

    // SAFETY: no pointers.
    let fd = unsafe { call(number::SOCKET, [AF_NETLINK, SOCK_RAW | O_CLOEXEC as usize, 0, 0, 0, 0]) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as i32) };
    file::write(socket.as_raw_fd(), &message)?;
    // The kernel answers before the call above returns.
    let mut answer = [0_u8; 1024];
    let count = file::read(socket.as_raw_fd(), &mut answer)?;
    // A header of sixteen bytes, then the error, negative.
    let error = answer.get(16..20).filter(|_| count >= 20).ok_or(Errno::EIO)?;
    match i32::from_ne_bytes([error[0], error[1], error[2], error[3]]) {
        0 => Ok(()),
        error => Err(Errno(-error)),
    }
}
