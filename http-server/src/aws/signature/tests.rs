//! What is let in and what is not: values of AWS's signing test suite, then requests signed here.

use axum::http::Request;
use boathouse_catalog::AccessKey;
use chrono::TimeZone;

use super::*;

const HOST: &str = "127.0.0.1:8816";

/// A request as it is on the wire, in parts that a test may tamper with.
#[derive(Clone)]
struct Sent {
    method: &'static str,
    uri: String,
    headers: Vec<(String, String)>,
    body: &'static str,
}

impl Sent {
    fn head(&self) -> Parts {
        let mut request = Request::builder().method(self.method).uri(&self.uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn header(&mut self, name: &str) -> &mut String {
        let header = self.headers.iter_mut().find(|header| header.0 == name);
        &mut header.unwrap_or_else(|| panic!("no header {name}")).1
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|header| header.0 != name);
        self
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With something else in the header `Authorization`.
    fn claiming(mut self, from: &str, to: &str) -> Self {
        let value = self.header("authorization");
        assert!(value.contains(from), "no {from} in {value}");
        *value = value.replacen(from, to, 1);
        self
    }
}

/// What a client signs, and how.
struct Signer<'a> {
    key: &'a AccessKey,
    time: DateTime<Utc>,
    service: &'a str,
    extra: &'a [(&'a str, &'a str)],
}

impl Signer<'_> {
    /// A Glue request, signed as a client does: its canonical form is written out here.
    fn sign(&self, body: &'static str) -> Sent {
        let time = self.time.format("%Y%m%dT%H%M%SZ").to_string();
        let mut headers: Vec<(String, String)> = [
            ("content-type", "application/x-amz-json-1.1"),
            ("host", HOST),
            ("x-amz-date", &time),
            ("x-amz-target", "AWSGlue.GetTables"),
        ]
        .iter()
        .chain(self.extra)
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
        headers.sort();
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let hash = hex::encode(Sha256::digest(body));
        let request = format!("POST\n/\n\n{lines}\n{names}\n{hash}");
        let claim = Claim {
            key_id: self.key.id.clone(),
            date: time[..8].to_owned(),
            region: "eu-central-1".to_owned(),
            service: self.service.to_owned(),
            time,
            signed_headers: Vec::new(),
            signature: [0; 32],
        };
        let signature = signing::signature(&self.key.secret, &claim, request.as_bytes()).unwrap();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={names}, Signature={}",
            claim.key_id,
            claim.scope(),
            hex::encode(signature)
        );
        headers.push(("authorization".to_owned(), value));
        Sent { method: "POST", uri: "/".to_owned(), headers, body }
    }
}

struct Gate {
    _folder: tempfile::TempDir,
    catalog: Catalog,
    key: AccessKey,
}

impl Gate {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog.db");
        let catalog = Catalog::open(path.to_str().unwrap()).await.unwrap();
        let key = catalog.create_access_key(None).await.unwrap();
        Self { _folder: folder, catalog, key }
    }

    fn signer(&self) -> Signer<'_> {
        Signer { key: &self.key, time: noon(), service: "glue", extra: &[] }
    }

    fn signed(&self) -> Sent {
        self.signer().sign(r#"{"DatabaseName":"web"}"#)
    }

    /// Whether a request gets in, and whether it was verified.
    async fn knock(&self, sent: &Sent, required: bool) -> Result<bool, Code> {
        self.knock_at(sent, required, noon()).await
    }

    async fn knock_at(
        &self,
        sent: &Sent,
        required: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, Code> {
        let head = sent.head();
        let verifier = Verifier::new(self.catalog.clone(), &["glue"], required);
        match verifier.admit(&head, now).await.map_err(|error| error.code)? {
            Admission::Unverified => Ok(false),
            Admission::Signed(signed) => {
                let verified = signed.verify(&head, sent.body.as_bytes());
                verified.map(|()| true).map_err(|error| error.code)
            }
        }
    }
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, 1, 12, 0, 0).unwrap()
}

#[test]
fn signatures_of_the_test_suite_are_right() {
    const FORM: &str = "application/x-www-form-urlencoded";
    const FORM_HASH: &str = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    const LETTERS: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letters_path = format!("/{LETTERS}");
    let letters_query = format!("/?{LETTERS}={LETTERS}");
    type Case<'a> = (&'static str, &'a str, &'a [(&'a str, &'a str)], &'static str, &'a str);
    let cases: [Case<'_>; 14] = [
        ("GET", "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/?Param1=value1",
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "POST",
            "/?Param1=value1",
            &[],
            "",
            "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        ),
        (
            "GET",
            "/?%E1%88%B4=bar",
            &[],
            "",
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        (
            "GET",
            "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
            &[],
            "",
            "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        ),
        (
            "GET",
            &letters_path,
            &[],
            "",
            "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        ),
        (
            "GET",
            &letters_query,
            &[],
            "",
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "GET",
            "/",
            &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            "",
            "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        ),
        (
            "GET",
            "/",
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            &[("my-header1", "value1")],
            "",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "GET",
            "/",
            &[(
                "x-amz-security-token",
                "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
            )],
            "",
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ),
        (
            "POST",
            "/",
            &[("content-type", FORM), ("content-length", "13"), (PAYLOAD_HASH, FORM_HASH)],
            "Param1=value1",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
    ];
    for (method, uri, extra, body, signature) in cases {
        let always = [("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        let headers = always.iter().chain(extra);
        let headers: Vec<_> =
            headers.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        let sent = Sent { method, uri: uri.to_owned(), headers: headers.clone(), body };
        let head = sent.with("authorization", &value).head();
        let claim = Claim::read(&head).unwrap().unwrap();
        let now = Utc.with_ymd_and_hms(2015, 8, 30, 12, 36, 0).unwrap();
        check(&claim, &head, &["service"], now).unwrap();
        let signed = Signed { claim, secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into() };
        signed.verify(&head, body.as_bytes()).unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
}

#[test]
fn a_path_is_signed_encoded_twice() {
    let uri = "/2015-03-31/functions/\
               arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations";
    let sent = Sent { method: "POST", uri: uri.to_owned(), headers: Vec::new(), body: "" };
    let text = String::from_utf8(canonical::request(&sent.head(), &[], "")).unwrap();
    assert!(
        text.contains("\n/2015-03-31/functions/arn%253Aaws%253Alambda%253Aus-west-2"),
        "{text}"
    );
}

#[tokio::test]
async fn what_was_signed_with_a_known_key_gets_in() {
    let gate = Gate::new().await;
    for required in [true, false] {
        assert_eq!(gate.knock(&gate.signed(), required).await, Ok(true));
    }
    let hash = hex::encode(Sha256::digest("{}"));
    let extra = [(PAYLOAD_HASH, hash.as_str()), ("x-amz-user-agent", "a  b")];
    let sent = Signer { extra: &[extra[0]], ..gate.signer() }.sign("{}");
    assert_eq!(gate.knock(&sent, true).await, Ok(true));
}

#[tokio::test]
async fn parameters_may_come_in_any_order_and_without_spaces() {
    let gate = Gate::new().await;
    let mut sent = gate.signed();
    let value = sent.header("authorization");
    let parameters = value.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
    let mut parameters: Vec<&str> = parameters.split(", ").collect();
    parameters.reverse();
    *value = format!("AWS4-HMAC-SHA256 {}", parameters.join(","));
    assert_eq!(gate.knock(&sent, true).await, Ok(true));
}

#[tokio::test]
async fn what_is_not_what_was_signed_is_refused() {
    let gate = Gate::new().await;
    let sent = gate.signed();
    let other_key = AccessKey { secret: "not the secret".to_owned(), ..gate.key.clone() };
    let wrong_secret = Signer { key: &other_key, ..gate.signer() }.sign("{}");
    let hash_of_nothing = hex::encode(Sha256::digest(""));
    let mut other_target = sent.clone();
    *other_target.header("x-amz-target") = "AWSGlue.DeleteDatabase".to_owned();
    let mut other_host = sent.clone();
    *other_host.header("host") = "example.com".to_owned();
    let mut other_time = sent.clone();
    *other_time.header("x-amz-date") = "20260301T120001Z".to_owned();
    let tampered = [
        Sent { body: r#"{"DatabaseName":"wob"}"#, ..sent.clone() },
        Sent { method: "PUT", ..sent.clone() },
        Sent { uri: "/?a=b".to_owned(), ..sent.clone() },
        Sent { uri: "/x".to_owned(), ..sent.clone() },
        other_target,
        other_host,
        other_time,
        wrong_secret,
        sent.clone().with("x-amz-target", "AWSGlue.DeleteDatabase"),
        sent.clone().with("x-amz-extra", "not signed"),
        sent.clone().with(PAYLOAD_HASH, &hash_of_nothing),
        sent.clone().without("host"),
        sent.clone().claiming("eu-central-1", "us-east-1"),
        sent.clone().claiming("/20260301/", "/20260302/"),
        sent.clone().claiming("/20260301/", "//"),
        sent.clone().claiming(";host;", ";"),
        sent.clone().claiming(";x-amz-target", ""),
        Signer { service: "kinesis", ..gate.signer() }.sign("{}"),
        Signer { extra: &[(PAYLOAD_HASH, "UNSIGNED-PAYLOAD")], ..gate.signer() }.sign("{}"),
        Signer { extra: &[(PAYLOAD_HASH, &hash_of_nothing)], ..gate.signer() }.sign("{}"),
    ];
    for (number, sent) in tampered.iter().enumerate() {
        for required in [true, false] {
            let outcome = gate.knock(sent, required).await;
            assert_eq!(outcome, Err(Code::InvalidSignature), "number {number}");
        }
    }
}

#[tokio::test]
async fn a_signature_with_one_wrong_bit_is_refused() {
    let gate = Gate::new().await;
    let sent = gate.signed();
    let (head, claim) = (sent.head(), Claim::read(&sent.head()).unwrap().unwrap());
    for bit in 0..256 {
        let mut claim = claim.clone();
        claim.signature[bit / 8] ^= 1 << (bit % 8);
        let signed = Signed { claim, secret: gate.key.secret.as_str().into() };
        let error = signed.verify(&head, sent.body.as_bytes()).unwrap_err();
        assert_eq!(error.code, Code::InvalidSignature);
    }
}

#[tokio::test]
async fn clocks_may_differ_by_a_quarter_of_an_hour() {
    let gate = Gate::new().await;
    let sent = gate.signed();
    for (seconds, expected) in [
        (0, Ok(true)),
        (900, Ok(true)),
        (901, Err(Code::RequestExpired)),
        (-900, Ok(true)),
        (-901, Err(Code::RequestExpired)),
        (86_400 * 365, Err(Code::RequestExpired)),
    ] {
        let now = noon() + Duration::seconds(seconds);
        assert_eq!(gate.knock_at(&sent, true, now).await, expected, "{seconds} s later");
    }
}

#[tokio::test]
async fn an_unsigned_request_gets_in_only_where_none_must_be_signed() {
    let gate = Gate::new().await;
    let sent = gate.signed().without("authorization");
    assert_eq!(gate.knock(&sent, false).await, Ok(false));
    assert_eq!(gate.knock(&sent, true).await, Err(Code::MissingAuthenticationToken));
}

#[tokio::test]
async fn an_unknown_key_gets_in_only_where_none_must_be_signed() {
    let gate = Gate::new().await;
    for id in ["testing", "AKIAIOSFODNN7EXAMPLE", "", "a b", "ü"] {
        let key = AccessKey { id: id.to_owned(), ..gate.key.clone() };
        let sent = Signer { key: &key, service: "any", ..gate.signer() }.sign("{}");
        if id.is_ascii() {
            assert_eq!(gate.knock(&sent, false).await, Ok(false), "{id}");
            assert_eq!(gate.knock(&sent, true).await, Err(Code::UnrecognizedClient), "{id}");
        } else {
            assert_eq!(gate.knock(&sent, false).await, Err(Code::IncompleteSignature), "{id}");
        }
    }
}

#[tokio::test]
async fn a_revoked_key_is_unknown() {
    let gate = Gate::new().await;
    gate.catalog.revoke_access_key(&gate.key.id).await.unwrap();
    assert_eq!(gate.knock(&gate.signed(), true).await, Err(Code::UnrecognizedClient));
}

#[tokio::test]
async fn what_is_no_signature_is_refused_everywhere() {
    let gate = Gate::new().await;
    let sent = gate.signed();
    let authorized =
        |value: &str| sent.clone().without("authorization").with("authorization", value);
    let mut timeless = sent.clone();
    *timeless.header("x-amz-date") = "2026-03-01T12:00:00Z".to_owned();
    let mut signed_year = sent.clone();
    *signed_year.header("x-amz-date") = "+2026301T120000Z".to_owned();
    let malformed = [
        authorized(""),
        authorized("Basic YTpi"),
        authorized("Bearer x"),
        authorized("AWS4-ECDSA-P256-SHA256 Credential=a"),
        authorized("AWS4-HMAC-SHA256"),
        authorized("AWS4-HMAC-SHA256 "),
        authorized("AWS4-HMAC-SHA256 Credential=a/b/c/glue/aws4_request"),
        authorized("AWS4-HMAC-SHA256,,,=,=,"),
        sent.clone().with("authorization", "AWS4-HMAC-SHA256 x"),
        sent.clone().with("x-amz-date", "20260301T120000Z"),
        sent.clone().without("x-amz-date"),
        timeless,
        signed_year,
        sent.clone().claiming("Signature=", "Signature=00, Signature="),
        sent.clone().claiming("Signature=", "Signature=0"),
        sent.clone().claiming("Signature=", "Sign="),
        sent.clone().claiming("aws4_request", "aws4"),
        sent.clone().claiming("eu-central-1/", ""),
        sent.clone().claiming("content-type;host", "host;content-type"),
        sent.clone().claiming("content-type;host", "host;host"),
        sent.clone().claiming("content-type", "Content-Type"),
        sent.clone().claiming("content-type", &vec!["a"; 200].join(";")),
        Sent { uri: "/?X-Amz-Signature=00".to_owned(), ..sent.clone().without("authorization") },
        Sent { uri: "/?a=b&x%2Damz-algorithm".to_owned(), ..sent.clone() },
    ];
    for (number, sent) in malformed.iter().enumerate() {
        for required in [true, false] {
            let outcome = gate.knock(sent, required).await;
            assert_eq!(outcome, Err(Code::IncompleteSignature), "number {number}");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_check_and_no_secret() {
    let gate = Gate::new().await;
    let sent = Signer { service: "kinesis", ..gate.signer() }.sign("{}");
    let verifier = Verifier::new(gate.catalog.clone(), &["glue"], true);
    let Err(error) = verifier.admit(&sent.head(), noon()).await else { panic!("it got in") };
    assert_eq!(error.message, "Credential should be scoped to correct service: 'glue'.");
    let Err(error) = verifier.admit(&gate.signed().head(), noon() + SKEW * 2).await else {
        panic!("it got in")
    };
    let text = "Signature expired: 20260301T120000Z is now earlier than 20260301T121500Z \
                (20260301T123000Z - 15 min.)";
    assert_eq!(error.message, text);
    assert!(!format!("{:?}", gate.key).contains(&gate.key.secret));
}
