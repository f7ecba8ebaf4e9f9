//! Ports, in a process of their own: a child that another test forks would hold their sockets until it executes its program.

use std::error::Error;
use std::net::{Ipv4Addr, TcpListener};

use leash::{free_port, is_free};

#[test]
fn a_free_port_is_free_until_it_is_bound() -> Result<(), Box<dyn Error>> {
    let port = free_port()?;
    assert!(is_free(port));
    let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    assert!(!is_free(port));
    Ok(())
}
