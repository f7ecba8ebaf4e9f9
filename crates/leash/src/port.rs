//! Ports of this machine's loopback interface.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// A port that nobody listens on at this moment, neither on `127.0.0.1` nor on `::1`.
pub fn free_port() -> io::Result<u16> {
    for _ in 0..20 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free on both 127.0.0.1 and ::1"))
}

/// Whether `port` could be listened on at this moment, on `127.0.0.1` and, where there is one, on `::1`.
#[must_use]
pub fn is_free(port: u16) -> bool {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    // A machine without IPv6 answers "address not available", and then only IPv4 counts.
    v4.is_ok() && !v6.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}
