//! TCP ports of the loopback interface.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

/// A port that is free now, on `127.0.0.1` and on `::1`.
pub fn free_port() -> io::Result<u16> {
    for _ in 0..20 {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free on both 127.0.0.1 and ::1"))
}

/// Whether a listener could bind `port` now, on `127.0.0.1` and, if the machine has IPv6, on `::1`.
#[must_use]
pub fn is_free(port: u16) -> bool {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port));
    // A machine without IPv6 reports "address not available". Then only IPv4 counts.
    v4.is_ok() && !v6.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}
