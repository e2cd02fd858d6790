//! Evidence of an outside OIDC issuer: which issuers count, and what their claims say. GitHub Actions and Kubernetes are issuers of which
//! more is known, so more is asked.

use bailiwick_core::agent::Agent;
use bailiwick_core::instance::Attestor;
use bailiwick_core::selector::{MAX_VALUE, Selector, check_github};
use bailiwick_core::{Code, Digest, Fault, Problem, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_crypto::jwk::Algorithm;
use bailiwick_crypto::token::outside::{OutsideClaims, OutsideVerifier};
use bailiwick_crypto::token::{KeySet, OutsideKeys};
use serde_json::{Map, Value};

use super::Proven;

/// Most claims of one token.
pub const MAX_CLAIMS: usize = 128;

/// What is known of an issuer beyond its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Nothing.
    Generic,
    /// GitHub Actions, hosted or an enterprise's own.
    Github,
    /// Service-account tokens of a Kubernetes cluster, projected into pods.
    Kubernetes,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::Generic, Self::Github, Self::Kubernetes];

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generic => "generic",
            Self::Github => "github",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Algorithms of its tokens, unless configured.
    pub const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Github => &[Algorithm::Rs256],
            Self::Generic | Self::Kubernetes => &[Algorithm::Rs256, Algorithm::Es256],
        }
    }

    /// Claims that its tokens have to have. For Kubernetes: without a pod a token is anybody's who may ask for one.
    const fn required(self) -> &'static [&'static str] {
        match self {
            Self::Generic => &[],
            Self::Github => &["/repository_id", "/run_id"],
            Self::Kubernetes => &[
                "/kubernetes.io/pod/uid",
                "/kubernetes.io/namespace",
                "/kubernetes.io/serviceaccount/name",
            ],
        }
    }

    /// The claim that tells one run or pod of a subject from the others.
    const fn run(self) -> Option<&'static str> {
        match self {
            Self::Generic => None,
            Self::Github => Some("/run_id"),
            Self::Kubernetes => Some("/kubernetes.io/pod/uid"),
        }
    }

    /// Whether an agent is registered so that only its own tokens of this issuer match.
    fn may_match(self) -> fn(&Agent) -> bool {
        match self {
            Self::Github => |agent| check_github(&agent.selectors).is_ok(),
            Self::Generic | Self::Kubernetes => |_| true,
        }
    }
}

/// Reads evidence: a token, by the keys of the issuer that it is said to be from.
pub fn read(
    preset: Preset,
    verifier: &OutsideVerifier,
    keys: &KeySet<OutsideKeys>,
    token: &str,
    now: Timestamp,
) -> Result<Proven, Problem> {
    let claims = verifier
        .verify(token, keys, now)
        .map_err(|error| again(error.problem()))?;
    let found = leaves(&claims.members)?;
    let missing = preset
        .required()
        .iter()
        .find(|wanted| !found.iter().any(|(pointer, _)| pointer == *wanted));
    if let Some(missing) = missing {
        return Err(Problem::new(
            Code::TokenInvalid,
            format!("a token of this issuer has the claim {missing}"),
            match preset {
                Preset::Kubernetes => "take the token that is projected into the pod",
                Preset::Github | Preset::Generic => "take the token of the running job",
            },
        ));
    }
    let run = preset.run().and_then(|wanted| {
        let told = found.iter().find(|(pointer, _)| pointer == wanted);
        told.map(|(pointer, value)| format!("{pointer}={value}"))
    });
    let once = identity_of(verifier.issuer(), &claims, token);
    let mut selectors = vec![
        Selector::OidcIssuer(verifier.issuer().to_owned()),
        Selector::OidcSubject(claims.subject.clone()),
    ];
    let claimed = found
        .into_iter()
        .map(|(pointer, value)| Selector::OidcClaim { pointer, value });
    selectors.extend(claimed);
    Ok(Proven {
        attestor: Attestor::Oidc,
        subject: format!("{} {}", verifier.issuer(), claims.subject),
        run,
        selectors,
        may_match: preset.may_match(),
        once,
        until: claims.expires,
    })
}

/// What makes a token one: its `jti` if it has one, else its bytes up to the signature, of which an ECDSA one has several.
fn identity_of(issuer: &str, claims: &OutsideClaims, token: &str) -> Digest {
    let jti = claims.members.get("jti").and_then(Value::as_str);
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let (kind, id) = match jti {
        Some(jti) => ("jti", jti),
        None => ("token", signed),
    };
    let length = u64::try_from(issuer.len())
        .unwrap_or(u64::MAX)
        .to_be_bytes();
    sha256(&[
        b"bailiwick/oidc-evidence/v1\0",
        &length,
        issuer.as_bytes(),
        kind.as_bytes(),
        b"\0",
        id.as_bytes(),
    ])
}

/// The texts, numbers and truth values of the claims by their JSON pointers (RFC 6901). Lists are passed over: a place in one means
/// nothing. So are texts that no selector could hold.
fn leaves(claims: &Map<String, Value>) -> Result<Vec<(String, String)>, Problem> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), claims)];
    while let Some((prefix, members)) = open.pop() {
        for (name, value) in members {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            let pointer = format!("{prefix}/{escaped}");
            let text = match value {
                Value::Object(inner) => {
                    open.push((pointer, inner));
                    continue;
                }
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::Array(_) | Value::Null => continue,
            };
            if found.len() == MAX_CLAIMS {
                return Err(Problem::new(
                    Code::TooLarge,
                    format!("a token has at most {MAX_CLAIMS} claims"),
                    "have the issuer leave some out",
                ));
            }
            if !text.is_empty() && text.len() <= MAX_VALUE && pointer.len() <= MAX_VALUE {
                found.push((pointer, text));
            }
        }
    }
    Ok(found)
}

/// The help of our own tokens is no help here.
fn again(problem: Problem) -> Problem {
    Problem {
        help: "have the issuer make a fresh token for this node's audience alone".to_owned(),
        ..problem
    }
}
