//! Black-box tests of the simulator over HTTP.

#[cfg(test)]
mod app_backend;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod bi_event;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod install;
#[cfg(test)]
mod oauth2_token;
#[cfg(test)]
mod oauth_access;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod plugins;
#[cfg(test)]
mod program;
#[cfg(test)]
mod records;
#[cfg(test)]
mod token_info;
#[cfg(test)]
mod webhook;
