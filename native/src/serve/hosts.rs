//! Which `Host` a request may name.
//!
//! A page from elsewhere can have its own name lead to 127.0.0.1 (DNS rebinding), and its scripts then
//! count as ours. Its name is still in the header, so that only our own names are answered. The port
//! is free, since it changes on the way through a tunnel.

use std::net::{IpAddr, Ipv6Addr};

/// The hosts that are answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hosts {
    /// Whatever leads here: who listens to the outside has names that only the outside knows.
    Any,
    /// This machine's own.
    Local,
}

impl Hosts {
    /// Those for a server that listens on `address`.
    pub(super) fn of(address: IpAddr) -> Self {
        match address.is_loopback() {
            true => Self::Local,
            false => Self::Any,
        }
    }

    /// Whether the request's `Host` headers name one of them: exactly one header, that is.
    pub(super) fn allow<'a>(self, mut headers: impl Iterator<Item = &'a str>) -> bool {
        match (self, headers.next(), headers.next()) {
            (Self::Any, ..) => true,
            (Self::Local, Some(host), None) => is_local(host),
            (Self::Local, ..) => false,
        }
    }
}

fn is_local(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, port)| {
            (port.is_empty() || is_port(port))
                && address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
        });
    }
    let name = match host.find(':') {
        Some(at) if is_port(&host[at..]) => &host[..at],
        Some(_) => return false,
        None => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `:` and digits.
fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn only_this_machine_s_names_are_answered_on_loopback() {
        let local = Hosts::of(Ipv4Addr::LOCALHOST.into());
        for host in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:1",
            "127.8.9.1",
            "[::1]",
            "[::1]:8080",
        ] {
            assert!(local.allow([host].into_iter()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::2]",
            "[::1]evil",
            "::1",
            "192.168.0.1",
            "localhost:a",
        ] {
            assert!(!local.allow([host].into_iter()), "{host}");
        }
        assert!(!local.allow([].into_iter()));
        assert!(!local.allow(["localhost", "evil.example"].into_iter()));
    }

    #[test]
    fn who_listens_to_the_outside_is_called_anything() {
        let any = Hosts::of(Ipv4Addr::UNSPECIFIED.into());
        assert!(any.allow(["post.example"].into_iter()));
    }
}
