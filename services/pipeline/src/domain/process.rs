//! What a pipeline allows: pure functions over its stages and the facts of an opportunity.
//!
//! A stage's required fields must be filled before an opportunity *enters* it; its checklist must
//! be done before the opportunity *leaves it forward* or is won in it. Going back and losing wait
//! for nothing: nobody should fill a form to tell bad news.

use std::collections::{BTreeMap, BTreeSet};

use jinke_types::{Code, Failure};
use serde::{Deserialize, Serialize};

use super::outcome;

/// A thing to be done in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Id within the stage.
    pub item: String,
    /// What is to be done.
    pub text: String,
    /// No move waits for it.
    pub optional: bool,
}

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Id within the pipeline.
    pub stage: String,
    /// Name.
    pub display_name: String,
    /// Percent.
    pub probability: i32,
    /// Fields to be filled before it is entered.
    pub required_fields: Vec<String>,
    /// Things to be done in it.
    pub checklist: Vec<Item>,
    /// Stages that may follow; empty: all.
    pub next_stages: Vec<String>,
    /// Longest stay, in microseconds.
    pub time_limit: Option<i64>,
    /// May be won in.
    pub allows_win: bool,
    /// Only for won ones.
    pub after_win: bool,
}

/// The stages of one version, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Process(pub Vec<Stage>);

/// What a move looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// There is an amount.
    pub amount: bool,
    /// There is a close date.
    pub close_date: bool,
    /// There are line items.
    pub line_items: bool,
    /// Roles of the contacts.
    pub roles: BTreeSet<String>,
    /// There is an owner.
    pub owner: bool,
    /// There is a description.
    pub description: bool,
    /// Ticked (stage, item).
    pub checked: BTreeSet<(String, String)>,
}

impl Facts {
    fn has(&self, field: &str) -> bool {
        match field {
            "amount" => self.amount,
            "close_date" => self.close_date,
            "line_items" => self.line_items,
            "contacts" => !self.roles.is_empty(),
            "owner" => self.owner,
            "description" => self.description,
            _ => field
                .strip_prefix("contacts.")
                .is_some_and(|role| self.roles.contains(role)),
        }
    }
}

/// Whether a required field is one a move can look at.
pub fn is_field(field: &str) -> bool {
    matches!(
        field,
        "amount" | "close_date" | "line_items" | "contacts" | "owner" | "description"
    ) || field
        .strip_prefix("contacts.")
        .is_some_and(|role| super::ROLES.contains(&role))
}

fn refused(reason: &'static str, message: impl Into<String>) -> Failure {
    Failure::new(Code::FailedPrecondition, reason, message)
}

fn lacking(fields: &[String], items: &[String]) -> Result<(), Failure> {
    if fields.is_empty() && items.is_empty() {
        return Ok(());
    }
    let mut parts = Vec::new();
    if !fields.is_empty() {
        parts.push(format!("fill {}", fields.join(", ")));
    }
    if !items.is_empty() {
        parts.push(format!("do {}", items.join(", ")));
    }
    let mut failure = refused(
        "STAGE_REQUIREMENTS",
        format!("before this move: {}", parts.join("; ")),
    );
    if !fields.is_empty() {
        failure = failure.with("missing_fields", fields.join(","));
    }
    if !items.is_empty() {
        failure = failure.with("open_items", items.join(","));
    }
    Err(failure)
}

impl Process {
    /// The stage of this id.
    pub fn get(&self, stage: &str) -> Option<&Stage> {
        self.0.iter().find(|s| s.stage == stage)
    }
    /// Its place in the order.
    pub fn index(&self, stage: &str) -> Option<usize> {
        self.0.iter().position(|s| s.stage == stage)
    }
    /// Where an opportunity begins.
    pub fn first(&self) -> Option<&Stage> {
        self.0.iter().find(|s| !s.after_win)
    }
    /// Ids by place, for comparing how far something came.
    pub fn order(&self) -> BTreeMap<&str, usize> {
        self.0
            .iter()
            .enumerate()
            .map(|(i, s)| (s.stage.as_str(), i))
            .collect()
    }
    /// The further of two stages; the second where one is not of this version.
    pub fn further<'a>(&self, a: &'a str, b: &'a str) -> &'a str {
        match (self.index(a), self.index(b)) {
            (Some(x), Some(y)) if x > y => a,
            _ => b,
        }
    }

    fn known(&self, stage: &str) -> Result<(usize, &Stage), Failure> {
        self.index(stage).map(|i| (i, &self.0[i])).ok_or_else(|| {
            refused(
                "STAGE_UNKNOWN",
                "this version of the pipeline has no such stage",
            )
            .with("stage", stage)
        })
    }

    fn fields(stage: &Stage, facts: &Facts) -> Vec<String> {
        let lacks = |f: &&String| !facts.has(f);
        stage
            .required_fields
            .iter()
            .filter(lacks)
            .cloned()
            .collect()
    }

    fn items(stage: &Stage, facts: &Facts) -> Vec<String> {
        stage
            .checklist
            .iter()
            .filter(|i| !i.optional)
            .filter(|i| {
                let key = (stage.stage.clone(), i.item.clone());
                !facts.checked.contains(&key)
            })
            .map(|i| i.item.clone())
            .collect()
    }

    /// The stage an opportunity begins in: the named one, or the first.
    ///
    /// # Errors
    /// `STAGE_UNKNOWN`, `STAGE_AFTER_WIN`, `STAGE_REQUIREMENTS`.
    pub fn begin(&self, stage: &str, facts: &Facts) -> Result<&Stage, Failure> {
        let to = if stage.is_empty() {
            self.first()
                .ok_or_else(|| refused("STAGE_UNKNOWN", "the pipeline has no stage to begin in"))?
        } else {
            self.known(stage)?.1
        };
        if to.after_win {
            return Err(after_win(to));
        }
        lacking(&Self::fields(to, facts), &[])?;
        Ok(to)
    }

    /// The stage an opportunity moves to: the named one, or the next in order.
    ///
    /// # Errors
    /// `OPPORTUNITY_CLOSED` when it was lost; `STAGE_LAST`, `STAGE_SAME`, `STAGE_UNKNOWN`,
    /// `STAGE_AFTER_WIN`, `STAGE_BEFORE_WIN`, `TRANSITION_NOT_ALLOWED`, `STAGE_REQUIREMENTS`.
    pub fn advance(
        &self,
        from: &str,
        to: &str,
        outcome: i64,
        facts: &Facts,
    ) -> Result<&Stage, Failure> {
        if outcome == outcome::LOST {
            return Err(closed());
        }
        let won = outcome == outcome::WON;
        let (at, here) = self.known(from)?;
        let (index, there) = if to.is_empty() {
            let next = self.0.iter().enumerate().skip(at + 1);
            next.into_iter()
                .find(|(_, s)| s.after_win == won)
                .ok_or_else(|| refused("STAGE_LAST", "there is no stage after this one"))?
        } else {
            self.known(to)?
        };
        if index == at {
            return Err(refused("STAGE_SAME", "it is in this stage already"));
        }
        if there.after_win && !won {
            return Err(after_win(there));
        }
        if !there.after_win && won {
            return Err(refused(
                "STAGE_BEFORE_WIN",
                "it was won; reopen it to take it back to this stage",
            )
            .with("stage", &there.stage));
        }
        if !here.next_stages.is_empty() && !here.next_stages.contains(&there.stage) {
            return Err(refused(
                "TRANSITION_NOT_ALLOWED",
                format!("from here it may go to {}", here.next_stages.join(", ")),
            )
            .with("next_stages", here.next_stages.join(",")));
        }
        if index > at {
            lacking(&Self::fields(there, facts), &Self::items(here, facts))?;
        }
        Ok(there)
    }

    /// Whether it may be won where it is.
    ///
    /// # Errors
    /// `OPPORTUNITY_CLOSED`, `STAGE_UNKNOWN`, `WIN_NOT_ALLOWED`, `STAGE_REQUIREMENTS`.
    pub fn win(&self, at: &str, outcome: i64, facts: &Facts) -> Result<&Stage, Failure> {
        if outcome != outcome::OPEN {
            return Err(closed());
        }
        let (_, here) = self.known(at)?;
        if !here.allows_win {
            let stages: Vec<_> = self.0.iter().filter(|s| s.allows_win).collect();
            let names: Vec<_> = stages.iter().map(|s| s.stage.as_str()).collect();
            return Err(refused(
                "WIN_NOT_ALLOWED",
                format!("it can be won in {} only", names.join(", ")),
            )
            .with("stages", names.join(",")));
        }
        lacking(&Self::fields(here, facts), &Self::items(here, facts))?;
        Ok(here)
    }

    /// Whether it may be lost.
    ///
    /// # Errors
    /// `OPPORTUNITY_CLOSED`.
    pub fn lose(&self, outcome: i64) -> Result<(), Failure> {
        if outcome == outcome::OPEN {
            Ok(())
        } else {
            Err(closed())
        }
    }

    /// Where it is when it is open again: the named stage, else where it was lost or won, else the
    /// last stage before the win.
    ///
    /// # Errors
    /// `OPPORTUNITY_OPEN`, `STAGE_UNKNOWN`, `STAGE_AFTER_WIN`.
    pub fn reopen(&self, at: &str, to: &str, outcome: i64) -> Result<&Stage, Failure> {
        if outcome == outcome::OPEN {
            return Err(refused("OPPORTUNITY_OPEN", "it is open"));
        }
        let there =
            if to.is_empty() {
                match self.get(at).filter(|s| !s.after_win) {
                    Some(here) => here,
                    None => self.0.iter().rev().find(|s| !s.after_win).ok_or_else(|| {
                        refused("STAGE_UNKNOWN", "the pipeline has no open stage")
                    })?,
                }
            } else {
                self.known(to)?.1
            };
        if there.after_win {
            return Err(after_win(there));
        }
        Ok(there)
    }

    /// Where it is in this version after it came from another: the stage of the same id, or the
    /// named one. A won one may stand after the win, others may not.
    ///
    /// # Errors
    /// `STAGE_UNKNOWN`, `STAGE_AFTER_WIN`.
    pub fn migrate(&self, at: &str, to: &str, outcome: i64) -> Result<&Stage, Failure> {
        let (_, there) = self.known(if to.is_empty() { at } else { to })?;
        if there.after_win && outcome != outcome::WON {
            return Err(after_win(there));
        }
        Ok(there)
    }
}

fn after_win(stage: &Stage) -> Failure {
    refused(
        "STAGE_AFTER_WIN",
        "this stage is for opportunities that were won",
    )
    .with("stage", &stage.stage)
}

fn closed() -> Failure {
    refused("OPPORTUNITY_CLOSED", "it was won or lost; reopen it first")
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
