//! How a registry wants to be told who asks: by user and password, or by a
//! token that its token service gives for them.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_auth::parser::ChallengeParser;
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE},
};
use serde::Deserialize;

use super::{
    credentials::Login,
    error::RegistryError,
    reference::is_loopback,
    transport::{Answer, Ask, Transport, authority},
};

/// What a registry asks for with status 401.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    /// A token from `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

/// What a token service answers. Both names are in use.
#[derive(Deserialize)]
struct Granted {
    token: Option<String>,
    access_token: Option<String>,
}

const MAX_TOKEN: u64 = 64 << 10;

/// Who asks, for what.
pub(super) struct Applicant<'a> {
    /// The registry.
    pub(super) host: &'a str,
    pub(super) login: Option<&'a Login>,
    /// In the words of token services, `repository:<name>:<actions>`.
    pub(super) scope: String,
    /// Whether a token service elsewhere may be reached without TLS.
    pub(super) plain_http: bool,
    /// Whether the registry is on this machine, and so may its token service be.
    pub(super) local: bool,
}

impl Applicant<'_> {
    /// The header `Authorization` that the registry asks for in `answer`.
    ///
    /// # Errors
    /// When there are no credentials for it, or they are refused.
    pub(super) async fn authorize(
        &self,
        transport: &Transport,
        answer: &Answer,
    ) -> Result<HeaderValue, RegistryError> {
        match challenge(answer.headers()) {
            Some(Challenge::Bearer { realm, service }) => {
                let service = service.as_deref();
                self.token(transport, &realm, service).await
            }
            Some(Challenge::Basic) => match self.login {
                Some(login) => basic(login).ok_or_else(|| self.refused()),
                None => Err(self.refused()),
            },
            None => Err(RegistryError::Answer {
                host: self.host.to_owned(),
                what: "a request",
                status: StatusCode::UNAUTHORIZED.as_u16(),
                said: "it asks for credentials in none of the ways known here, Basic and Bearer"
                    .to_owned(),
            }),
        }
    }

    /// What it means that the registry still does not know us.
    pub(super) fn refused(&self) -> RegistryError {
        let host = self.host.to_owned();
        match self.login {
            Some(login) => RegistryError::WrongCredentials {
                host,
                user: login.user.clone(),
            },
            None => RegistryError::NoCredentials { host },
        }
    }

    async fn token(
        &self,
        transport: &Transport,
        realm: &str,
        service: Option<&str>,
    ) -> Result<HeaderValue, RegistryError> {
        let mut url = self.realm(realm)?;
        let host = authority(&url);
        let service = service.map(|service| ("service", service));
        url.query_pairs_mut()
            .extend_pairs(service)
            .append_pair("scope", &self.scope);
        let mut ask = Ask::new(Method::GET, url);
        if let Some(login) = self.login {
            let value = basic(login).ok_or_else(|| self.refused())?;
            ask = ask.header(AUTHORIZATION, value);
        }
        let answer = transport.send(ask).await?;
        let status = answer.status();
        let unusable = |said: &str| RegistryError::Answer {
            host: host.clone(),
            what: "a request for a token",
            status: status.as_u16(),
            said: said.to_owned(),
        };
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.refused()),
            _ => return Err(unusable("no token")),
        }
        let body = answer.body(MAX_TOKEN).await?;
        let body = body.ok_or_else(|| unusable("more than a token"))?;
        serde_json::from_slice::<Granted>(&body)
            .ok()
            .and_then(|granted| granted.token.or(granted.access_token))
            .and_then(|token| secret(&format!("Bearer {token}")))
            .ok_or_else(|| unusable("something that is no token"))
    }

    /// The token service's address. The password goes there: in the clear only
    /// where the operator has said so, or within this machine. A registry
    /// elsewhere has no say in whom on this machine we speak to.
    fn realm(&self, realm: &str) -> Result<Url, RegistryError> {
        let refused = |reason: &str| RegistryError::Redirect {
            host: self.host.to_owned(),
            reason: reason.to_owned(),
        };
        let url: Url = realm
            .parse()
            .map_err(|_| refused("the address of its token service is no URL"))?;
        let plain = self.plain_http || (self.local && url.host_str().is_some_and(is_loopback));
        match url.scheme() {
            "https" => Ok(url),
            "http" if plain => Ok(url),
            _ => Err(refused("its token service is not reached over TLS")),
        }
    }
}

fn basic(login: &Login) -> Option<HeaderValue> {
    let pair = format!("{}:{}", login.user, login.password);
    secret(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// Marked, so that no log shows it.
fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The token way where it is offered.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let offered: Vec<_> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| ChallengeParser::new(text).map_while(Result::ok))
        .collect();
    let of = |scheme: &str| {
        offered
            .iter()
            .find(|offer| offer.scheme.eq_ignore_ascii_case(scheme))
    };
    let bearer = of("Bearer").and_then(|offer| {
        let parameter = |wanted: &str| {
            let mut parameters = offer.params.iter();
            let (_, value) = parameters.find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
            Some(value.to_unescaped())
        };
        Some(Challenge::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
        })
    });
    bearer.or_else(|| of("Basic").map(|_| Challenge::Basic))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        challenge(&headers)
    }

    #[test]
    fn a_token_is_asked_for_where_that_is_offered() {
        let bearer = Some(Challenge::Bearer {
            realm: "https://auth.example.org/token".to_owned(),
            service: Some("registry".to_owned()),
        });
        let text =
            "Bearer realm=\"https://auth.example.org/token\",service=\"registry\",scope=\"x\"";
        assert_eq!(offered(&[text]), bearer);
        assert_eq!(offered(&["Basic realm=\"a\"", text]), bearer);
        assert_eq!(offered(&["basic realm=\"a\""]), Some(Challenge::Basic));
    }

    #[test]
    fn what_is_no_challenge_is_none() {
        for text in [
            "",
            "Digest realm=\"a\"",
            "Bearer",
            "Bearer service=\"a\"",
            "Bearer realm=",
            "\"",
            ",,,",
        ] {
            assert_eq!(offered(&[text]), None, "{text}");
        }
        assert_eq!(offered(&[]), None);
    }

    #[test]
    fn a_password_goes_to_a_token_service_over_tls_only() {
        let takes = |plain_http, local, realm| {
            let applicant = Applicant {
                host: "a",
                login: None,
                scope: String::new(),
                plain_http,
                local,
            };
            applicant.realm(realm).is_ok()
        };
        for realm in [
            "http://127.0.0.1:1/token",
            "http://localhost/token",
            "http://[::1]/token",
        ] {
            assert!(takes(false, true, realm), "{realm}");
            assert!(!takes(false, false, realm), "{realm}");
        }
        for realm in ["http://b/token", "ftp://localhost/token", "token", ""] {
            assert!(!takes(false, true, realm), "{realm}");
        }
        assert!(takes(false, false, "https://b/token"));
        assert!(takes(true, false, "http://b/token"));
    }

    #[test]
    fn what_is_no_header_is_no_token() {
        assert_eq!(secret("Bearer a\nb"), None);
    }
}
