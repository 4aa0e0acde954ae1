//! Where the API of a remote catalog is.

use std::sync::Arc;

use url::{Host, Url};

use crate::{Error, Result};

/// What the URL of a federated catalog begins with.
const SCHEME: &str = "glue:";

/// The address of a Glue API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Its name in messages.
    pub(super) name: Arc<str>,
    /// Where requests go.
    pub(super) url: String,
    /// The region that requests are signed for.
    pub(super) region: String,
    /// Whether requests go without TLS.
    pub(super) is_plain: bool,
}

/// Whether `url` names a catalog that another server keeps.
pub(crate) fn is_federated(url: &str) -> bool {
    url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
}

impl Endpoint {
    /// The endpoint of `glue:https://HOST/…`, or AWS's own of `region` for `glue:` and `glue:aws`.
    ///
    /// Without TLS only this computer is asked, unless `allow_http`.
    pub(super) fn parse(url: &str, region: &str, allow_http: bool) -> Result<Self> {
        let place = match is_federated(url) {
            true => url.split_at(SCHEME.len()).1,
            false => url,
        };
        check_region(region)?;
        let place = match place {
            "" | "aws" => format!("https://glue.{region}.{}/", domain(region)),
            place => place.to_owned(),
        };
        let url = Url::parse(&place).map_err(|_| invalid("is no URL"))?;
        check(&url, allow_http)?;
        Ok(Self {
            name: format!("{SCHEME}{}", url.as_str().trim_end_matches('/')).into(),
            region: region_of(&url).unwrap_or_else(|| region.to_owned()),
            is_plain: url.scheme() == "http",
            url: url.into(),
        })
    }
}

/// The text leaves the URL out: it might have a password.
fn invalid(fault: &str) -> Error {
    Error::Invalid(format!(
        "the URL of the federated catalog {fault}: wanted is glue:https://HOST, \
         glue:http://127.0.0.1:PORT or glue:aws"
    ))
}

fn check(url: &Url, allow_http: bool) -> Result<()> {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(invalid("names no host")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("has a user or a password, which belong into the settings s3.*"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("has a query or a fragment"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here || allow_http => Ok(()),
        "http" => Err(invalid("is plain HTTP to another computer, which s3.allow_http allows")),
        _ => Err(invalid("is neither https:// nor http://")),
    }
}

/// A region goes into host names and signatures.
fn check_region(region: &str) -> Result<()> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match !region.is_empty() && region.chars().all(is_word) {
        true => Ok(()),
        false => Err(Error::Invalid(format!("\"{region}\" is no region, such as eu-central-1"))),
    }
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// The region in the name of one of AWS's own hosts.
fn region_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let rest = host.strip_suffix(".amazonaws.com.cn").or(host.strip_suffix(".amazonaws.com"))?;
    let (service, region) = rest.split_once('.')?;
    (service.starts_with("glue") && check_region(region).is_ok()).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_has_an_endpoint_in_each_region() {
        for url in ["glue:", "glue:aws", "GLUE:aws"] {
            let endpoint = Endpoint::parse(url, "eu-central-1", false).unwrap();
            assert_eq!(endpoint.url, "https://glue.eu-central-1.amazonaws.com/");
            assert_eq!(&*endpoint.name, "glue:https://glue.eu-central-1.amazonaws.com");
        }
        let china = Endpoint::parse("glue:", "cn-north-1", false).unwrap();
        assert_eq!(china.url, "https://glue.cn-north-1.amazonaws.com.cn/");
        let other = "glue:https://glue.us-west-2.amazonaws.com";
        assert_eq!(Endpoint::parse(other, "eu-central-1", false).unwrap().region, "us-west-2");
    }

    #[test]
    fn plain_http_stays_on_this_computer() {
        for url in ["http://127.0.0.1:8816", "http://localhost:1", "http://[::1]:1/x"] {
            assert!(Endpoint::parse(&format!("glue:{url}"), "us-east-1", false).is_ok(), "{url}");
        }
        let other = "glue:http://10.0.0.1:8816";
        assert!(Endpoint::parse(other, "us-east-1", false).is_err());
        assert!(Endpoint::parse(other, "us-east-1", true).is_ok());
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_its_password() {
        for url in ["glue:x", "glue:ftp://x/", "glue:https://me:hunter2@x/", "glue:https://x/?a=b"]
        {
            let error = Endpoint::parse(url, "us-east-1", false).unwrap_err().to_string();
            assert!(error.contains("glue:https://HOST") && !error.contains("hunter2"), "{error}");
        }
        assert!(Endpoint::parse("glue:", "evil.example/", false).is_err());
    }
}
