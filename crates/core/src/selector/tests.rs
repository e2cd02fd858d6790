//! Selectors read and written, and what a registration of them must say.

use super::{BadRegistration, Selector, check_registration};
use crate::instance::Attestor;

fn selectors(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn each_form_reads_as_it_was_written() {
    let hex = "ab".repeat(32);
    for text in [
        "unix:uid=1000",
        "unix:path=/usr/bin/a=b",
        "join:agent=coder",
        "join:id=jtok_01h2xcejqtf2nbrexx3vqjhp41",
        "oidc:iss=https://issuer.example",
        "oidc:sub=repo:octo/app:ref:refs/heads/main",
        "oidc:/kubernetes.io/namespace=build",
        "oidc:/query=a=b",
        &format!("x509pop:ca={hex}"),
        "x509pop:san=dns:build.example",
        "x509pop:san=uri:spiffe://other.example/build",
    ] {
        assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
    }
    let long = format!("oidc:sub={}", "a".repeat(super::MAX_VALUE + 1));
    for text in [
        "oidc:aud=x",
        "oidc:sub=",
        "oidc:repository=x",
        "join:agent=No",
        "join:id=task_01h2xcejqtf2nbrexx3vqjhp41",
        "x509pop:san=build.example",
        "x509pop:san=ip:10.0.0.1",
        "x509pop:ca=ab",
        "tpm:key=1",
        "unix",
        &long,
    ] {
        assert!(text.parse::<Selector>().is_err(), "{text}");
    }
}

#[test]
fn a_registration_names_whom_nobody_else_can_be() {
    let hex = "ab".repeat(32);
    let ca = format!("x509pop:ca={hex}");
    let iss = "oidc:iss=https://issuer.example";
    let github = "oidc:iss=https://token.actions.githubusercontent.com";
    for (texts, expected) in [
        (vec!["unix:uid=1", "unix:gid=1"], Ok(())),
        (
            vec!["unix:uid=1", "join:agent=coder"],
            Err(BadRegistration::Mixed(Attestor::Unix, Attestor::JoinToken)),
        ),
        (vec![iss, "oidc:sub=a"], Ok(())),
        (vec!["oidc:sub=a"], Err(BadRegistration::Issuer)),
        (
            vec![iss, "oidc:iss=https://b.example", "oidc:sub=a"],
            Err(BadRegistration::Issuer),
        ),
        (vec![iss], Err(BadRegistration::Everybody)),
        (
            vec![github, "oidc:sub=repo:octo/app:pull_request"],
            Err(BadRegistration::Github),
        ),
        (
            vec![github, "oidc:/repository_id=1"],
            Err(BadRegistration::Github),
        ),
        (
            vec![
                github,
                "oidc:/repository=octo/app",
                "oidc:/ref=refs/heads/main",
            ],
            Err(BadRegistration::Github),
        ),
        (
            vec![github, "oidc:/repository_id=1", "oidc:/environment=prod"],
            Ok(()),
        ),
        (
            vec![
                "oidc:iss=https://token.actions.githubusercontent.com/octo",
                "oidc:/repository_id=1",
            ],
            Err(BadRegistration::Github),
        ),
        (vec![&ca], Err(BadRegistration::Authority)),
        (
            vec!["x509pop:san=dns:a.example"],
            Err(BadRegistration::Authority),
        ),
        (vec![&ca, "x509pop:san=dns:a.example"], Ok(())),
    ] {
        assert_eq!(
            check_registration(&selectors(&texts)),
            expected,
            "{texts:?}"
        );
    }
}
