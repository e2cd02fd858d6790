//! What decisions and bundles take of the heap. A binary of its own, and one test: the allocator counts for the whole process.

#[path = "../policy/world.rs"]
#[cfg(test)]
#[expect(dead_code, reason = "the other tests use more of it")]
mod world;

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::fmt::Write as _;

    use bailiwick_core::decision::Outcome;
    use bailiwick_policy::Bundle;
    use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

    use crate::world::{Given, compile};

    #[global_allocator]
    static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    /// On the path of an allowed call: arguments, context, evaluation, decision.
    const MOST_ALLOCATIONS: usize = 160;
    /// Of one policy of a compiled bundle, in bytes: 60 MiB for ten thousand.
    const MOST_OF_A_POLICY: usize = 6_144;

    fn policies(of_others: usize) -> String {
        let mut text = "@id(\"read\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"read\", resource)\n\
             when { context.bw.task.risk < 2 };\n"
            .to_owned();
        for number in 0..of_others {
            writeln!(
                text,
                "@id(\"p{number}\") @reason(\"r\") permit (principal == Bailiwick::Agent::\"x{number}\", action == Bailiwick::Action::\"s/r\", resource)\n\
                 when {{ context.input has path && context.input.path like \"x{number}/*\" }};"
            )
            .unwrap();
        }
        text
    }

    fn allocations(bundle: &Bundle, given: &Given) -> usize {
        given.with(|input| {
            let region = Region::new(HEAP);
            let decision = bundle.decide(input);
            let stats = region.change();
            assert_eq!(decision.outcome, Outcome::Allow, "{decision:?}");
            stats.allocations + stats.reallocations
        })
    }

    #[test]
    fn a_larger_bundle_costs_an_allowed_call_nothing_and_keeps_little() {
        let given = Given::call("s/r", r#"{"path":"notes/plan.md","n":7}"#);
        let (few, text) = (compile(&policies(9)).unwrap(), policies(999));
        // What is made once for all.
        let first = allocations(&few, &given);
        let region = Region::new(HEAP);
        let many = compile(&text).unwrap();
        let stats = region.change();
        let kept = stats.bytes_allocated - stats.bytes_deallocated;
        assert!(
            kept < 1_000 * MOST_OF_A_POLICY,
            "{kept} bytes for 1,000 policies"
        );
        let of_few = allocations(&few, &given);
        assert!(
            of_few <= first && of_few <= MOST_ALLOCATIONS,
            "{first}, then {of_few}"
        );
        assert_eq!(
            of_few,
            allocations(&few, &given),
            "it is the same each time"
        );
        assert_eq!(of_few, allocations(&many, &given), "and in a larger bundle");
    }
}
