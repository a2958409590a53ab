//! Outbound requests over HTTP, as rules that name what is allowed.

use std::{borrow::Cow, collections::BTreeSet, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Scheme of an outbound request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpScheme {
    /// Plain.
    Http,
    /// Over TLS, checked against the web's certificate authorities.
    Https,
}

impl HttpScheme {
    /// `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl FromStr for HttpScheme {
    type Err = InvalidHttpRule;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "http" => Ok(Self::Http),
            "https" => Ok(Self::Https),
            other => Err(InvalidHttpRule::Scheme(other.to_owned())),
        }
    }
}

/// Outbound requests that a neuron may make: to one host and port, over one
/// scheme, with some methods. There are no wildcards.
///
/// The rule is about names: it is checked before a name is looked up, and
/// whatever address the name has then is connected to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpRule {
    scheme: HttpScheme,
    host: String,
    port: u16,
    methods: BTreeSet<String>,
}

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHttpRule {
    /// Not a scheme for requests.
    #[error("`{0}` is no scheme; there are http and https")]
    Scheme(String),
    /// Text without one.
    #[error("`{0}` names no scheme; write for example https://api.example.org")]
    NoScheme(String),
    /// Not one host.
    #[error(
        "`{0}` is no host; write one name or address without scheme, port and path, \
         for example api.example.org"
    )]
    Host(String),
    /// Port 0.
    #[error("0 is no port")]
    Port,
    /// Not a method.
    #[error("`{0}` is no method that can be granted; write it in capitals, for example GET")]
    Method(String),
    /// A rule that allows nothing.
    #[error("a rule needs at least one method, for example GET")]
    NoMethod,
}

impl HttpRule {
    /// A rule. `host` is a name or an address, compared without regard to
    /// case; an IPv6 address may stand in brackets.
    ///
    /// # Errors
    /// Says in words which part makes no sense.
    pub fn new<M: Into<String>>(
        scheme: HttpScheme,
        host: &str,
        port: u16,
        methods: impl IntoIterator<Item = M>,
    ) -> Result<Self, InvalidHttpRule> {
        if port == 0 {
            return Err(InvalidHttpRule::Port);
        }
        let methods: BTreeSet<String> = methods.into_iter().map(Into::into).collect();
        if methods.is_empty() {
            return Err(InvalidHttpRule::NoMethod);
        }
        if let Some(wrong) = methods.iter().find(|method| !is_method(method)) {
            return Err(InvalidHttpRule::Method(wrong.clone()));
        }
        Ok(Self {
            scheme,
            host: normal_host(host).ok_or_else(|| InvalidHttpRule::Host(host.to_owned()))?,
            port,
            methods,
        })
    }

    /// The scheme.
    pub fn scheme(&self) -> HttpScheme {
        self.scheme
    }

    /// The host in lower case; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The methods, sorted.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(String::as_str)
    }

    /// Whether a request may be made by this rule. `host` as in a URL: an IPv6
    /// address stands in brackets.
    pub fn allows(&self, scheme: HttpScheme, host: &str, port: u16, method: &str) -> bool {
        self.scheme == scheme
            && self.port == port
            && self.host.eq_ignore_ascii_case(host)
            && self.methods.contains(method)
    }

    /// What this rule allows and `rules` allow too, each method by whichever of
    /// them; none where that is nothing.
    #[must_use]
    pub fn allowed_by(&self, rules: &[Self]) -> Option<Self> {
        self.split(rules).0
    }

    /// What this rule allows and none of `rules` does.
    #[must_use]
    pub fn denied_by(&self, rules: &[Self]) -> Option<Self> {
        self.split(rules).1
    }

    /// The one comparison of rules: method by method, so that it does not matter
    /// over how many rules the methods of one place are spread.
    fn split(&self, rules: &[Self]) -> (Option<Self>, Option<Self>) {
        let is_allowed = |method: &String| {
            let mut rules = rules.iter();
            rules.any(|rule| rule.allows(self.scheme, &self.host, self.port, method))
        };
        let (allowed, denied) = self.methods.iter().cloned().partition(is_allowed);
        (self.with_methods(allowed), self.with_methods(denied))
    }

    fn with_methods(&self, methods: BTreeSet<String>) -> Option<Self> {
        let is_one = !methods.is_empty();
        is_one.then(|| Self {
            methods,
            ..self.clone()
        })
    }
}

/// `CONNECT` would make of the host a tunnel to elsewhere.
fn is_method(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    !text.is_empty() && text.bytes().all(is_token) && text != "CONNECT"
}

fn normal_host(text: &str) -> Option<String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<std::net::Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let fits = !text.is_empty() && text.len() <= 253 && text.bytes().all(is_part);
    fits.then(|| text.to_ascii_lowercase())
}

/// Prints `GET,POST=https://api.example.org:443`, which `parse` reads.
impl fmt::Display for HttpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let methods: Vec<_> = self.methods().collect();
        let Self {
            scheme, host, port, ..
        } = self;
        write!(f, "{}={}://{host}:{port}", methods.join(","), scheme.name())
    }
}

/// Reads `https://api.example.org` (GET to the scheme's own port) or
/// `GET,POST=https://api.example.org:8443`.
impl FromStr for HttpRule {
    type Err = InvalidHttpRule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (methods, origin) = text.split_once('=').unwrap_or(("GET", text));
        let no_scheme = || InvalidHttpRule::NoScheme(origin.to_owned());
        let (scheme, place) = origin.split_once("://").ok_or_else(no_scheme)?;
        let scheme: HttpScheme = scheme.parse()?;
        let place = place.strip_suffix('/').unwrap_or(place);
        let no_host = || InvalidHttpRule::Host(place.to_owned());
        // The last colon, unless it is inside an address's brackets.
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| no_host())?)
            }
            _ => (place, scheme.default_port()),
        };
        Self::new(scheme, host, port, methods.split(','))
    }
}

impl Serialize for HttpRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HttpRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for HttpRule {
    fn schema_name() -> Cow<'static, str> {
        "HttpRule".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([A-Z-]+(,[A-Z-]+)*=)?https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?/?$|^([A-Z-]+(,[A-Z-]+)*=)?https?://\\[[0-9a-fA-F:.]+\\](:[0-9]{1,5})?/?$",
            "$comment": "no rule: write methods, scheme, host and port, for example \"GET,POST=https://api.example.org:8443\"",
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn rule(text: &str) -> HttpRule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_is_read_as_it_is_shown() {
        for (text, shown) in [
            ("https://api.example.org", "GET=https://api.example.org:443"),
            ("http://API.example.org/", "GET=http://api.example.org:80"),
            ("PUT,GET=https://a:8443", "GET,PUT=https://a:8443"),
            ("GET=http://[::0:1]", "GET=http://[::1]:80"),
            ("GET=http://[::1]:81", "GET=http://[::1]:81"),
        ] {
            assert_eq!(rule(text).to_string(), shown);
            assert_eq!(rule(shown), rule(text));
        }
    }

    #[test]
    fn what_is_no_rule_is_told_why() {
        let told = |text: &str| text.parse::<HttpRule>().unwrap_err().to_string();
        assert_eq!(
            told("api.example.org"),
            "`api.example.org` names no scheme; write for example https://api.example.org"
        );
        assert_eq!(
            told("ftp://a"),
            "`ftp` is no scheme; there are http and https"
        );
        for host in [
            "",
            "*.example.org",
            "a/path",
            "me@a",
            "a:x",
            "a:99999",
            "[x]",
        ] {
            assert_eq!(
                told(&format!("https://{host}")),
                format!(
                    "`{host}` is no host; write one name or address without scheme, port and \
                     path, for example api.example.org"
                )
            );
        }
        assert_eq!(told("https://a:0"), "0 is no port");
        for method in ["get", "*", "CONNECT", ""] {
            assert_eq!(
                told(&format!("{method}=https://a")),
                format!(
                    "`{method}` is no method that can be granted; write it in capitals, \
                     for example GET"
                )
            );
        }
        let none = HttpRule::new(HttpScheme::Http, "a", 80, [""; 0]);
        assert_eq!(none, Err(InvalidHttpRule::NoMethod));
    }

    #[test]
    fn a_rule_allows_its_scheme_host_port_and_methods_and_nothing_near_them() {
        let rule = rule("GET,POST=https://api.example.org");
        let allows =
            |scheme, host: &str, port, method: &str| rule.allows(scheme, host, port, method);
        assert!(allows(HttpScheme::Https, "api.example.org", 443, "GET"));
        assert!(allows(HttpScheme::Https, "API.Example.ORG", 443, "POST"));
        assert!(!allows(HttpScheme::Http, "api.example.org", 443, "GET"));
        assert!(!allows(HttpScheme::Https, "api.example.org", 8443, "GET"));
        assert!(!allows(HttpScheme::Https, "api.example.org", 443, "PUT"));
        for host in [
            "example.org",
            "api.example.org.",
            "api.example.org.evil.example",
            "evil-api.example.org",
        ] {
            assert!(!allows(HttpScheme::Https, host, 443, "GET"), "{host}");
        }
    }

    #[test]
    fn rules_are_compared_method_by_method_over_all_rules_of_one_place() {
        let split = |asked: &str, rules: &[&str]| {
            let rules: Vec<_> = rules.iter().map(|text| rule(text)).collect();
            let shown = |part: Option<HttpRule>| part.map(|part| part.to_string());
            let asked = rule(asked);
            (
                shown(asked.allowed_by(&rules)),
                shown(asked.denied_by(&rules)),
            )
        };
        let some = |text: &str| Some(text.to_owned());
        let both = some("GET,POST=https://a:443");
        assert_eq!(
            split("GET,POST=https://a", &["GET=https://a", "POST=https://a"]),
            (both.clone(), None)
        );
        assert_eq!(
            split("GET,POST=https://a", &["GET,POST,PUT=https://A:443"]),
            (both.clone(), None)
        );
        assert_eq!(
            split("GET,POST=https://a", &["GET,PUT=https://a"]),
            (some("GET=https://a:443"), some("POST=https://a:443"))
        );
        assert_eq!(split("GET,POST=https://a", &[]), (None, both.clone()));
        let elsewhere = [
            "GET,POST=http://a:443",
            "GET,POST=https://b",
            "GET,POST=https://a:8443",
        ];
        assert_eq!(split("GET,POST=https://a", &elsewhere), (None, both));
    }
}
