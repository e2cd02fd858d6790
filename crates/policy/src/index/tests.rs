//! P2: found by index and then evaluated is the same as evaluating every policy in full, as Cedar's own evaluator does.

mod cedar_corpus;

use cedar_policy_core::ast::{
    Context, Entity, EntityUID, Literal, Request, SlotEnv, Template, ValueKind,
};
use cedar_policy_core::entities::{Dereference, Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::parser::parse_policyset;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest,
};

use super::{Index, Keys};
use crate::clause::{Clause, Verdict};
use crate::parties::known;

/// Policies behind the index, without anything of Bailiwick's around them.
pub(super) struct Indexed {
    pub(super) templates: Vec<Template>,
    clauses: Vec<Clause>,
    index: Index,
}

impl Indexed {
    /// In the order of their ids. Templates with slots are not for this layer.
    pub(super) fn new(text: &str) -> Self {
        let set = parse_policyset(text).unwrap();
        let mut templates: Vec<Template> = set.all_templates().cloned().collect();
        templates.sort_by_key(|template| template.id().to_string());
        let clauses: Vec<Clause> = templates
            .iter()
            .map(|template| Clause::of(template).unwrap())
            .collect();
        let index = Index::new(clauses.iter().map(|clause| &clause.scope));
        Self {
            templates,
            clauses,
            index,
        }
    }

    /// What each policy says; those that the index does not find are not satisfied.
    pub(super) fn verdicts(&self, request: &Request, entities: &Entities) -> Vec<Verdict> {
        let keys = |uid: Option<&EntityUID>| self.keys(uid.unwrap(), entities);
        let candidates = self.index.candidates(
            &keys(request.principal().uid()),
            &keys(request.action().uid()),
            &keys(request.resource().uid()),
        );
        let evaluator = Evaluator::new(request.clone(), entities, Extensions::all_available());
        let mut verdicts = vec![Verdict::NotSatisfied; self.clauses.len()];
        for number in candidates {
            let number = usize::try_from(number).unwrap();
            verdicts[number] = self.clauses[number].verdict(&evaluator);
        }
        verdicts
    }

    fn keys(&self, uid: &EntityUID, entities: &Entities) -> Keys {
        match entities.entity(uid) {
            Dereference::Data(entity) => self.index.keys(uid, entity.ancestors()),
            _ => self.index.keys(uid, []),
        }
    }

    /// What each policy says when it is evaluated in full, scope and all.
    fn in_full(&self, request: &Request, entities: &Entities) -> Vec<Verdict> {
        let evaluator = Evaluator::new(request.clone(), entities, Extensions::all_available());
        let full = |template: &Template| {
            let answer = evaluator.interpret(&template.condition(), &SlotEnv::default());
            match answer.map(|value| value.value) {
                Ok(ValueKind::Lit(Literal::Bool(true))) => Verdict::Satisfied,
                Ok(ValueKind::Lit(Literal::Bool(false))) => Verdict::NotSatisfied,
                _ => Verdict::Failed,
            }
        };
        self.templates.iter().map(full).collect()
    }
}

const KINDS: [&str; 3] = ["A", "N::A", "B"];
/// Of each kind; more exist in policies than in the entities.
const ENTITIES: usize = 5;

fn name() -> impl Strategy<Value = String> {
    (prop::sample::select(&KINDS[..]), 0..=ENTITIES)
        .prop_map(|(kind, number)| format!("{kind}::\"{number}\""))
}

fn action() -> impl Strategy<Value = String> {
    (0..=ENTITIES).prop_map(|number| format!("Action::\"{number}\""))
}

fn bound(variable: &'static str) -> impl Strategy<Value = String> {
    let kind = || prop::sample::select(&KINDS[..]);
    prop_oneof![
        2 => Just(variable.to_owned()),
        2 => name().prop_map(move |uid| format!("{variable} == {uid}")),
        3 => name().prop_map(move |uid| format!("{variable} in {uid}")),
        1 => kind().prop_map(move |kind| format!("{variable} is {kind}")),
        2 => (kind(), name()).prop_map(move |(kind, uid)| format!("{variable} is {kind} in {uid}")),
    ]
}

fn policy() -> impl Strategy<Value = String> {
    let actions = prop_oneof![
        Just("action".to_owned()),
        action().prop_map(|uid| format!("action == {uid}")),
        action().prop_map(|uid| format!("action in {uid}")),
        prop::collection::vec(action(), 0..4)
            .prop_map(|uids| format!("action in [{}]", uids.join(", "))),
    ];
    let body = prop::sample::select(
        &[
            "",
            "when { principal in resource }",
            "when { context.absent }",
            "when { 7 }",
            "unless { principal == resource }",
            "when { action in [Action::\"1\", Action::\"2\"] }",
        ][..],
    );
    let effect = prop::sample::select(&["permit", "forbid"][..]);
    (effect, bound("principal"), actions, bound("resource"), body)
        .prop_map(|(effect, p, a, r, body)| format!("{effect}({p}, {a}, {r}) {body};\n"))
}

/// Each entity with some of those before it as its parents.
fn entities() -> impl Strategy<Value = Entities> {
    let actions = (0..ENTITIES).map(|number| format!("Action::\"{number}\""));
    let others = KINDS
        .iter()
        .flat_map(|kind| (0..ENTITIES).map(move |number| format!("{kind}::\"{number}\"")));
    let uids: Vec<EntityUID> = actions
        .chain(others)
        .map(|uid| uid.parse().unwrap())
        .collect();
    prop::collection::vec(any::<u16>(), uids.len()).prop_map(move |picks| {
        let all = uids
            .iter()
            .zip(picks)
            .enumerate()
            .map(|(place, (uid, picks))| {
                // Actions have actions as parents, and only those.
                let first = if place < ENTITIES { 0 } else { ENTITIES };
                let parents =
                    (first..place).filter(|above| picks >> (above % 16) & 0b1001_0001 == 1);
                let parents = parents.map(|above| uids[above].clone()).collect();
                Entity::new_with_attr_partial_value(uid.clone(), [], [].into(), parents, [])
            });
        Entities::from_entities(
            all,
            None::<&NoEntitiesSchema>,
            TCComputation::ComputeNow,
            Extensions::none(),
        )
        .unwrap()
    })
}

fn request() -> impl Strategy<Value = Request> {
    (name(), action(), name()).prop_map(|(principal, action, resource)| {
        let entry = |uid: &str| known(&uid.parse().unwrap());
        Request::new_unchecked(
            entry(&principal),
            entry(&action),
            entry(&resource),
            Some(Context::empty()),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 10_000 }))]

    #[test]
    fn p2_indexed_is_full_evaluation_of_any_cedar(
        policies in prop::collection::vec(policy(), 0..24),
        entities in entities(),
        requests in prop::collection::vec(request(), 8),
    ) {
        let indexed = Indexed::new(&policies.concat());
        for request in &requests {
            prop_assert_eq!(indexed.verdicts(request, &entities), indexed.in_full(request, &entities));
        }
    }
}

#[test]
fn what_is_found_through_ancestors_is_evaluated() {
    let indexed = Indexed::new(
        "permit(principal is N::A in B::\"0\", action in [Action::\"0\", Action::\"1\"], resource);",
    );
    let uid = |text: &str| text.parse::<EntityUID>().unwrap();
    let above = [uid("B::\"1\""), uid("B::\"0\"")];
    let actions = [uid("Action::\"0\""), uid("Action::\"1\"")];
    let keys = |text: &str, ancestors: &[EntityUID]| indexed.index.keys(&uid(text), ancestors);
    let resource = keys("B::\"9\"", &[]);
    let action = keys("Action::\"2\"", &actions);
    let found = |principal| indexed.index.candidates(&principal, &action, &resource);
    assert_eq!(found(keys("N::A::\"7\"", &above)), [0]);
    assert_eq!(found(keys("A::\"7\"", &above)), [0; 0]);
    assert_eq!(found(keys("N::A::\"7\"", &above[..1])), [0; 0]);
    assert_eq!(found(keys("B::\"0\"", &[])), [0; 0]);
    assert_eq!(indexed.index.cells.len(), 2, "one cell for each action");
}
