//! What the selectors of one registration have to say together, so that nobody else fits them.

use super::Selector;
use crate::instance::Attestor;
use crate::{Code, Fault};

/// The issuer of GitHub's hosted Actions; enterprises have one of their own below it.
const GITHUB: &str = "https://token.actions.githubusercontent.com";
/// Claims of which a registration of a GitHub workflow names one: which code runs, or under whose protection rules.
const GITHUB_PLACES: [&str; 3] = ["/job_workflow_ref", "/environment", "/ref"];

/// Why selectors do not make a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRegistration {
    /// Selectors of several attestors: nothing ever has all of them.
    #[error("selectors of {} and {} are never found together", .0.as_str(), .1.as_str())]
    Mixed(Attestor, Attestor),
    /// A token's subject means something only with who says it.
    #[error("selectors of OIDC tokens need exactly one oidc:iss=")]
    Issuer,
    /// An issuer alone is everybody it knows.
    #[error("an issuer alone is everybody who gets tokens from it")]
    Everybody,
    /// The rule for GitHub Actions.
    #[error(
        "a workflow of GitHub is known by /repository_id and one of /job_workflow_ref, /environment and /ref"
    )]
    Github,
    /// A name means something only with the authority that certified it.
    #[error("selectors of certificates need x509pop:ca= and at least one x509pop:san=")]
    Authority,
}

impl Fault for BadRegistration {
    fn code(&self) -> Code {
        Code::InvalidInput
    }

    fn help(&self) -> String {
        match self {
            Self::Mixed(..) => "register an agent for each way to attest it",
            Self::Issuer => "add --selector oidc:iss=URL of the issuer, as in [[issuer]]",
            Self::Everybody => "add --selector oidc:sub=… or oidc:/CLAIM=…",
            Self::Github => {
                "add oidc:/repository_id=N, and oidc:/environment=NAME or another: a repository's name can be taken over, and any \
                 branch's or pull request's workflow has its subject"
            }
            Self::Authority => "add --selector x509pop:ca=SHA-256 of the authority's certificate",
        }
        .to_owned()
    }
}

/// Checks the selectors of one registration.
pub fn check_registration(selectors: &[Selector]) -> Result<(), BadRegistration> {
    let mut attestors = selectors.iter().map(Selector::attestor);
    let Some(attestor) = attestors.next() else {
        return Ok(());
    };
    if let Some(other) = attestors.find(|other| *other != attestor) {
        return Err(BadRegistration::Mixed(attestor, other));
    }
    match attestor {
        Attestor::Unix | Attestor::JoinToken => Ok(()),
        Attestor::Oidc => check_oidc(selectors),
        Attestor::X509pop => {
            let authority = |selector: &Selector| matches!(selector, Selector::PopAuthority(_));
            let both = selectors.iter().any(authority) && !selectors.iter().all(authority);
            both.then_some(()).ok_or(BadRegistration::Authority)
        }
    }
}

fn check_oidc(selectors: &[Selector]) -> Result<(), BadRegistration> {
    let mut issuers = selectors.iter().filter_map(|selector| match selector {
        Selector::OidcIssuer(issuer) => Some(issuer),
        _ => None,
    });
    let (Some(issuer), None) = (issuers.next(), issuers.next()) else {
        return Err(BadRegistration::Issuer);
    };
    if selectors.len() < 2 {
        return Err(BadRegistration::Everybody);
    }
    let github = issuer
        .strip_prefix(GITHUB)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if github {
        check_github(selectors)
    } else {
        Ok(())
    }
}

/// The rule for workflows of GitHub: the repository by its number, which nobody can take over, and what of it.
pub fn check_github(selectors: &[Selector]) -> Result<(), BadRegistration> {
    let names = |wanted: &[&str]| {
        selectors.iter().any(|selector| {
            matches!(selector, Selector::OidcClaim { pointer, .. } if wanted.contains(&pointer.as_str()))
        })
    };
    if names(&["/repository_id"]) && names(&GITHUB_PLACES) {
        Ok(())
    } else {
        Err(BadRegistration::Github)
    }
}
