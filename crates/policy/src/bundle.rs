//! A compiled bundle: immutable, shared by all decisions until another one takes its place.

use bailiwick_core::Digest;
use bailiwick_core::decision::Decision;
use bailiwick_core::zone::Zone;
use cedar_policy_core::ast::EntityUID;

use crate::cases::{self, Report};
use crate::entities::{self, World};
use crate::explain::{self, Explanation};
use crate::flaw::{Flaw, PolicyErrors};
use crate::index::Index;
use crate::input::Input;
use crate::lint::{self, Subject};
use crate::load;
use crate::manifest::Manifest;
use crate::parties::Parties;
use crate::recorded::Recorded;
use crate::registry::Registry;
use crate::rule::Rule;
use crate::schema;
use crate::source::BundleSource;
use crate::uid::{Types, uid};
use crate::validate::{Validated, Validation};
use crate::workflow::Workflows;

/// A bundle with all that is wrong with it.
struct Built {
    /// What of it could be read.
    bundle: Bundle,
    /// What does not validate.
    flaws: Vec<Flaw>,
    /// What does not fit built-in actions.
    of_acts: Vec<Flaw>,
    /// What cannot be read. A bundle with such flaws is none.
    unread: Vec<Flaw>,
}

/// A bundle, compiled for one registry.
#[derive(Debug)]
pub struct Bundle {
    version: Digest,
    manifest: Manifest,
    workflows: Workflows,
    broken: Vec<Flaw>,
    warnings: Vec<Flaw>,
    /// In order of id.
    pub(crate) rules: Vec<Rule>,
    /// Of `rules`.
    pub(crate) index: Index,
    pub(crate) types: Types,
    pub(crate) opaque: EntityUID,
    pub(crate) world: World,
    pub(crate) parties: Parties,
}

impl Bundle {
    /// Compiles a bundle that is to be published: every policy must validate strictly against the schema of `registry`, and no
    /// lint may refuse it. All that is wrong is said at once; what is only doubtful is in [`Self::warnings`].
    /// `version` is the SHA-256 of [`BundleSource::canonical`].
    pub fn compile(
        source: &BundleSource,
        version: Digest,
        registry: &Registry,
    ) -> Result<Self, PolicyErrors> {
        let built = Self::build(source, version, registry)?;
        let Built {
            mut bundle,
            mut flaws,
            of_acts,
            unread,
        } = built;
        let found = lint::lint(&Subject {
            source,
            rules: &bundle.rules,
            manifest: &bundle.manifest,
            workflows: &bundle.workflows,
            registry,
            types: &bundle.types,
        });
        flaws.extend(of_acts);
        flaws.extend(unread);
        flaws.extend(found.errors);
        bundle.warnings = found.warnings;
        PolicyErrors::check(flaws).map(|()| bundle)
    }

    /// Compiles a published bundle for a registry that changed since. A permit that no longer validates does not count; a
    /// forbid that no longer validates denies every call it might reach. [`Self::broken`] reports both.
    pub fn compile_lenient(
        source: &BundleSource,
        version: Digest,
        registry: &Registry,
    ) -> Result<Self, PolicyErrors> {
        let mut built = Self::build(source, version, registry)?;
        PolicyErrors::check(built.unread)?;
        built.bundle.broken.splice(0..0, built.flaws);
        Ok(built.bundle)
    }

    /// Runs `tests/*.toml`, each file on `registry` with the agents, servers and tools that it declares itself.
    pub fn run_tests(source: &BundleSource, registry: &Registry) -> Result<Report, PolicyErrors> {
        cases::run(source, registry)
    }

    /// Decides one call. Pure: the same input and bundle give the same decision.
    pub fn decide(&self, input: &Input<'_>) -> Decision {
        input.ask(|call| crate::decide::decide(self, call))
    }

    /// Decides one call and says why: which conditions of which policies with which values, and what would allow it. Not for
    /// the agent.
    pub fn explain(&self, input: &Input<'_>) -> Explanation {
        input.ask(|call| explain::explain(self, call))
    }

    /// The same for a call on record.
    pub fn explain_recorded(&self, recorded: &Recorded) -> Explanation {
        recorded.ask(|call| explain::explain(self, call))
    }

    /// Whether a tool may be listed to a task: false only if a hard forbid applies whatever the arguments. Arguments and
    /// discharged tokens of `input` are not looked at.
    pub fn preview(&self, input: &Input<'_>) -> bool {
        input.ask(|call| crate::decide::preview(self, call))
    }

    /// The digest of its text.
    pub fn version(&self) -> Digest {
        self.version
    }

    /// Its name, as `bundle.toml` says.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// What it is for, as `bundle.toml` says; may be empty.
    pub fn description(&self) -> &str {
        &self.manifest.description
    }

    /// Its workflows; `default` is always there.
    pub fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    /// Ids of all its policies, sorted.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.marks.id.as_str())
    }

    /// Policies that do not fit the registry. Those permits do not count; those forbids deny what they might reach.
    pub fn broken(&self) -> &[Flaw] {
        &self.broken
    }

    /// What is doubtful about it and does not keep it from being published; only after [`Self::compile`].
    pub fn warnings(&self) -> &[Flaw] {
        &self.warnings
    }

    /// The time zone in which policies are told the hour.
    pub(crate) fn zone(&self) -> &Zone {
        &self.manifest.time_zone
    }

    /// The Cedar schema of a registry in Cedar's JSON form, for editors and analysers; with the groups that the bundle declares.
    pub fn schema_json(registry: &Registry, source: &BundleSource) -> serde_json::Value {
        schema::json(registry, &Manifest::read(source).unwrap_or_default())
    }

    fn build(
        source: &BundleSource,
        version: Digest,
        registry: &Registry,
    ) -> Result<Built, PolicyErrors> {
        let mut unread = Vec::new();
        let mut or_flaws = |errors: PolicyErrors| unread.extend(errors.flaws);
        let manifest = Manifest::read(source).map_err(&mut or_flaws).ok();
        let manifest = manifest.unwrap_or_default();
        let workflows = Workflows::read(source).map_err(&mut or_flaws).ok();
        let types = Types::new()?;
        let schema = schema::compile(registry, &manifest)?;
        let mut validation = Validation::new(source, &schema, registry, &manifest, &types);
        let rules = load::rules(source, &mut unread, &mut |rule, template| {
            validation.rule(rule, template);
        });
        let Validated {
            flaws,
            unreviewed: broken,
            of_acts,
        } = validation.found();
        let index = Index::new(rules.iter().map(|rule| &rule.clause.scope));
        let world = entities::world(registry, &manifest, &types)?;
        let bundle = Self {
            version,
            manifest,
            workflows: workflows.unwrap_or_default(),
            broken,
            warnings: Vec::new(),
            parties: Parties::new(registry, &world, &types, &index),
            world,
            index,
            opaque: uid(&types.opaque, "opaque"),
            types,
            rules,
        };
        Ok(Built {
            bundle,
            flaws,
            of_acts,
            unread,
        })
    }
}
