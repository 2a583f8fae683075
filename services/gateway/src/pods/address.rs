use std::str::FromStr;

/// Where the processes of a registered pod are and what they speak, as its address says:
/// `[oip+][dns+|kubernetes+]http://HOST[:PORT]`.
///
/// * `http://10.0.0.7:9001`: one process, there.
/// * `dns+http://pods.example:9001`: one at every address that the name has.
/// * `kubernetes+http://SERVICE.NAMESPACE:PORT`: one at every ready endpoint of the service; the
///   port is a number or the name that the service gives it.
/// * `oip+…`: not Reeve's pods but any server of the Open Inference Protocol v2, such as Triton or
///   KServe. They are asked without warrant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodAddress {
    pub(crate) speaks: Speaks,
    pub(crate) found: Found,
}

/// What a pod's processes speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// The convention of Reeve's pods, under warrants.
    Reeve,
    /// The Open Inference Protocol v2 and nothing more.
    Plain,
}

/// How a pod's processes are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is one, at this address.
    There(String),
    /// One at every address of a name.
    Dns { host: String, port: u16 },
    /// One at every ready endpoint of a service.
    Kubernetes { namespace: String, service: String, port: String },
}

/// The text is not a pod's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a pod: expected `[oip+][dns+|kubernetes+]http://HOST[:PORT]`")]
pub struct AddressRefused(String);

impl FromStr for PodAddress {
    type Err = AddressRefused;

    fn from_str(text: &str) -> Result<Self, AddressRefused> {
        let refused = || AddressRefused(text.to_owned());
        let (speaks, rest) = match text.strip_prefix("oip+") {
            Some(rest) => (Speaks::Plain, rest),
            None => (Speaks::Reeve, text),
        };
        let place = |rest: &str| {
            let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
            (!host.is_empty() && !port.is_empty() && !host.contains('/') && !port.contains('/'))
                .then(|| (host.to_owned(), port.to_owned()))
        };
        let found = if let Some(rest) = rest.strip_prefix("dns+http://") {
            let (host, port) = place(rest).ok_or_else(refused)?;
            Found::Dns { host, port: port.parse().map_err(|_| refused())? }
        } else if let Some(rest) = rest.strip_prefix("kubernetes+http://") {
            let (host, port) = place(rest).ok_or_else(refused)?;
            let (service, namespace) = host.split_once('.').ok_or_else(refused)?;
            if !is_label(service) || !is_label(namespace) || !is_label(&port) {
                return Err(refused());
            }
            Found::Kubernetes { namespace: namespace.to_owned(), service: service.to_owned(), port }
        } else if rest.strip_prefix("http://").is_some_and(|rest| !rest.is_empty()) {
            Found::There(rest.trim_end_matches('/').to_owned())
        } else {
            return Err(refused());
        };
        Ok(Self { speaks, found })
    }
}

/// A name as Kubernetes has them (RFC 1123); what is none could change the request's path.
fn is_label(text: &str) -> bool {
    let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_say_how_a_pod_is_found_and_what_it_speaks() {
        let of = |text: &str| text.parse::<PodAddress>().unwrap();
        let there = of("http://127.0.0.1:9001/");
        assert_eq!(there.found, Found::There("http://127.0.0.1:9001".to_owned()));
        assert_eq!(there.speaks, Speaks::Reeve);
        assert_eq!(of("oip+http://triton:8000").speaks, Speaks::Plain);
        let dns = of("dns+http://pods.example:9001").found;
        assert_eq!(dns, Found::Dns { host: "pods.example".to_owned(), port: 9001 });
        let kubernetes = of("oip+kubernetes+http://pods.reeve-eu:http");
        assert_eq!(kubernetes.speaks, Speaks::Plain);
        let (namespace, service) = ("reeve-eu".to_owned(), "pods".to_owned());
        let expected = Found::Kubernetes { namespace, service, port: "http".to_owned() };
        assert_eq!(kubernetes.found, expected);
        for bad in [
            "",
            "http://",
            "https+http://a",
            "dns+http://a",
            "dns+http://a:b",
            "kubernetes+http://a:1",
            "kubernetes+http://a.b/../c:1",
            "kubernetes+http://A.b:1",
            "dns+kubernetes+http://a.b:1",
        ] {
            assert!(bad.parse::<PodAddress>().is_err(), "{bad}");
        }
    }
}
