//! The members that are read of gitleaks' and betterleaks' files. Others are ignored there as well.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct File {
    pub(super) extend: Option<Extend>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    pub(super) allowlist: Option<Allowlist>,
    #[serde(default)]
    pub(super) allowlists: Vec<Allowlist>,
    pub(super) filter: Option<String>,
    pub(super) prefilter: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Extend {
    #[serde(default, rename = "useDefault")]
    pub(super) use_default: bool,
    pub(super) path: Option<String>,
    pub(super) url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) regex: Option<String>,
    #[serde(default, rename = "secretGroup")]
    pub(super) secret_group: usize,
    #[serde(default)]
    pub(super) entropy: f64,
    #[serde(default)]
    pub(super) keywords: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) allowlist: Option<Allowlist>,
    #[serde(default)]
    pub(super) allowlists: Vec<Allowlist>,
    #[serde(default)]
    pub(super) required: Vec<toml::Value>,
    pub(super) filter: Option<String>,
    pub(super) prefilter: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Allowlist {
    #[serde(default)]
    pub(super) condition: String,
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default, rename = "regexTarget")]
    pub(super) regex_target: String,
    #[serde(default)]
    pub(super) regexes: Vec<String>,
    #[serde(default)]
    pub(super) stopwords: Vec<String>,
    #[serde(default, rename = "targetRules")]
    pub(super) target_rules: Option<Vec<String>>,
}
