use proptest::prelude::*;

use super::*;
use crate::domain::pipelines::default_process;

fn facts(fields: &[&str], checked: &[(&str, &str)]) -> Facts {
    Facts {
        amount: fields.contains(&"amount"),
        close_date: fields.contains(&"close_date"),
        owner: true,
        checked: checked
            .iter()
            .map(|(s, i)| ((*s).to_owned(), (*i).to_owned()))
            .collect(),
        ..Facts::default()
    }
}

#[test]
fn a_refused_move_names_everything_it_lacks() {
    let p = default_process();
    let refused = p
        .advance("proposal", "negotiation", outcome::OPEN, &facts(&[], &[]))
        .unwrap_err();
    assert_eq!(refused.reason, "STAGE_REQUIREMENTS");
    assert_eq!(refused.metadata["missing_fields"], "amount,close_date");
    assert_eq!(refused.metadata["open_items"], "proposal-sent");
    let enough = facts(&["amount", "close_date"], &[("proposal", "proposal-sent")]);
    let there = p.advance("proposal", "", outcome::OPEN, &enough).unwrap();
    assert_eq!(there.stage, "negotiation");
}

#[test]
fn going_back_and_losing_wait_for_nothing() {
    let p = default_process();
    let none = facts(&[], &[]);
    assert!(
        p.advance("signing", "contact", outcome::OPEN, &none)
            .is_ok()
    );
    assert_eq!(p.lose(outcome::OPEN), Ok(()));
    assert_eq!(
        p.lose(outcome::WON).unwrap_err().reason,
        "OPPORTUNITY_CLOSED"
    );
}

#[test]
fn a_win_needs_its_stage_and_its_checklist() {
    let p = default_process();
    let full = facts(&["amount", "close_date"], &[("signing", "contract-signed")]);
    let reason = |r: Result<&Stage, Failure>| r.map(|s| s.stage.clone()).map_err(|f| f.reason);
    assert_eq!(
        reason(p.win("proposal", outcome::OPEN, &full)),
        Err("WIN_NOT_ALLOWED")
    );
    let open = facts(&["amount", "close_date"], &[]);
    assert_eq!(
        reason(p.win("signing", outcome::OPEN, &open)),
        Err("STAGE_REQUIREMENTS")
    );
    assert_eq!(
        reason(p.win("signing", outcome::OPEN, &full)),
        Ok("signing".to_owned())
    );
    assert_eq!(
        reason(p.win("signing", outcome::WON, &full)),
        Err("OPPORTUNITY_CLOSED")
    );
}

#[test]
fn stages_after_the_win_are_for_won_ones() {
    let p = default_process();
    let full = facts(&["amount", "close_date"], &[("signing", "contract-signed")]);
    let reason = |r: Result<&Stage, Failure>| r.map(|s| s.stage.clone()).map_err(|f| f.reason);
    assert_eq!(
        reason(p.advance("signing", "service", outcome::OPEN, &full)),
        Err("STAGE_AFTER_WIN")
    );
    assert_eq!(
        reason(p.advance("signing", "", outcome::OPEN, &full)),
        Err("STAGE_LAST")
    );
    assert_eq!(
        reason(p.advance("signing", "", outcome::WON, &full)),
        Ok("service".to_owned())
    );
    assert_eq!(
        reason(p.advance("service", "contact", outcome::WON, &full)),
        Err("STAGE_BEFORE_WIN")
    );
    assert_eq!(
        reason(p.reopen("service", "", outcome::WON)),
        Ok("signing".to_owned())
    );
    assert_eq!(reason(p.begin("service", &full)), Err("STAGE_AFTER_WIN"));
}

#[test]
fn only_listed_stages_may_follow() {
    let mut p = default_process();
    p.0[0].next_stages = vec!["contact".to_owned()];
    let none = facts(&["amount"], &[]);
    let refused = p
        .advance("discovery", "analysis", outcome::OPEN, &none)
        .unwrap_err();
    assert_eq!(refused.reason, "TRANSITION_NOT_ALLOWED");
    assert_eq!(refused.metadata["next_stages"], "contact");
    assert!(
        p.advance("discovery", "contact", outcome::OPEN, &none)
            .is_ok()
    );
}

/// A random pipeline of up to eight stages.
fn processes() -> impl Strategy<Value = Process> {
    let stage = (
        prop::collection::vec(
            prop::sample::select(vec!["amount", "close_date", "contacts", "contacts.user"]),
            0..3,
        ),
        prop::collection::vec(any::<bool>(), 0..3),
        prop::collection::vec(0..8_usize, 0..3),
        any::<bool>(),
        any::<bool>(),
    );
    prop::collection::vec(stage, 1..8).prop_map(|list| {
        let count = list.len();
        let stages = list
            .into_iter()
            .enumerate()
            .map(|(i, (fields, items, next, win, after))| Stage {
                stage: format!("s{i}"),
                display_name: format!("阶段{i}"),
                probability: 50,
                required_fields: fields.into_iter().map(str::to_owned).collect(),
                checklist: items
                    .into_iter()
                    .enumerate()
                    .map(|(n, optional)| Item {
                        item: format!("i{n}"),
                        text: "事项".to_owned(),
                        optional,
                    })
                    .collect(),
                next_stages: next
                    .into_iter()
                    .filter(|n| *n < count && *n != i)
                    .map(|n| format!("s{n}"))
                    .collect(),
                time_limit: None,
                allows_win: win,
                after_win: after && i > 0,
            })
            .collect();
        Process(stages)
    })
}

fn any_facts() -> impl Strategy<Value = Facts> {
    (
        any::<bool>(),
        any::<bool>(),
        prop::collection::btree_set(prop::sample::select(vec!["user", "champion"]), 0..2),
        prop::collection::btree_set((0..8_usize, 0..3_usize), 0..12),
    )
        .prop_map(|(amount, close_date, roles, checked)| Facts {
            amount,
            close_date,
            line_items: false,
            roles: roles.into_iter().map(str::to_owned).collect(),
            owner: true,
            description: false,
            checked: checked
                .into_iter()
                .map(|(s, i)| (format!("s{s}"), format!("i{i}")))
                .collect(),
        })
}

proptest! {
    /// An independent reading of the rules: whatever is let through satisfies each of them, and
    /// whatever is refused breaks at least one.
    #[test]
    fn a_move_is_let_through_exactly_when_every_rule_holds(
        p in processes(),
        facts in any_facts(),
        from in 0..8_usize,
        to in 0..9_usize,
        outcome in 1..=3_i64,
    ) {
        let (from, to) = (format!("s{from}"), format!("s{to}"));
        let outcome_of = p.advance(&from, &to, outcome, &facts);
        let holds = (|| {
            let (i, here) = (p.index(&from)?, p.get(&from)?);
            let (j, there) = (p.index(&to)?, p.get(&to)?);
            let has = |f: &str| match f {
                "amount" => facts.amount,
                "close_date" => facts.close_date,
                "contacts" => !facts.roles.is_empty(),
                "contacts.user" => facts.roles.contains("user"),
                _ => unreachable!("the fields of this test"),
            };
            let fields = there.required_fields.iter().all(|f| has(f));
            let done = here.checklist.iter().all(|i| {
                i.optional || facts.checked.contains(&(from.clone(), i.item.clone()))
            });
            let side = match outcome { 1 => !there.after_win, 2 => there.after_win, _ => false };
            let listed = here.next_stages.is_empty() || here.next_stages.contains(&to);
            Some(i != j && side && listed && (j < i || (fields && done)))
        })().unwrap_or(false);
        prop_assert_eq!(outcome_of.is_ok(), holds, "{:?}", outcome_of);
        if let Ok(stage) = outcome_of {
            prop_assert_eq!(&stage.stage, &to);
        }
    }

    #[test]
    fn the_next_stage_is_one_that_could_be_named(
        p in processes(), facts in any_facts(), from in 0..8_usize, outcome in 1..=3_i64,
    ) {
        let from = format!("s{from}");
        if let Ok(next) = p.advance(&from, "", outcome, &facts) {
            prop_assert_eq!(p.advance(&from, &next.stage, outcome, &facts), Ok(next));
        }
    }

    #[test]
    fn a_reopened_one_is_where_an_open_one_may_be(
        p in processes(), from in 0..8_usize, to in 0..9_usize, outcome in 1..=3_i64,
    ) {
        let to = if to == 8 { String::new() } else { format!("s{to}") };
        if let Ok(stage) = p.reopen(&format!("s{from}"), &to, outcome) {
            prop_assert!(!stage.after_win && outcome != 1);
        }
    }
}
