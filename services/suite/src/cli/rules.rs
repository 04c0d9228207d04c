//! `jinke match …`: rule sets trained, evaluated, dry-run and activated.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use jinke_kit::Peer;
use jinke_proto::jinke::customer::v1::{
    self as pb, dry_run_difference,
    match_service_client::MatchServiceClient,
    rule_set::State,
    rule_set_evaluation::{Decisive, MistakeKind},
};
use jinke_types::{Code, Failure};

use super::{
    Global, Outcome, operations,
    page::{Limit, collect, more, named},
};
use crate::{
    connect::{Answer, connect},
    print::{Printer, Table, text},
};

/// The commands on match rule sets.
#[derive(Debug, Subcommand)]
pub enum MatchCommand {
    /// List the versions kept, those in force first
    List,
    /// Print a version as its file
    Show {
        /// ruleSets/3 or 3
        #[arg(value_parser = rule_set)]
        rule_set: String,
    },
    /// Keep a version that you wrote; it changes nothing until activated
    Keep {
        /// The file (TOML), e.g. one that `show` printed with other weights
        file: PathBuf,
        /// Only check it
        #[arg(long)]
        dry_run: bool,
    },
    /// Learn the weights from the records present; the new version changes nothing until activated
    Train(TrainArgs),
    /// Measure a version against what stewards judged
    Evaluate {
        /// ruleSets/3 or 3
        #[arg(value_parser = rule_set)]
        rule_set: String,
    },
    /// Build all customers under a version in the shadow, and list what would merge, split, change
    DryRun {
        /// ruleSets/3 or 3
        #[arg(value_parser = rule_set)]
        rule_set: String,
        /// How many differences to list
        #[command(flatten)]
        limit: Limit,
    },
    /// List the differences of the dry run that stands, those not approved yet first
    Differences {
        /// dryRuns/1 or 1
        #[arg(value_parser = dry_run)]
        dry_run: String,
        /// How many
        #[command(flatten)]
        limit: Limit,
    },
    /// Put a dry-run version in force, exactly as listed
    Activate(ActivateArgs),
    /// Take a dry run down
    Discard {
        /// dryRuns/1 or 1
        #[arg(value_parser = dry_run)]
        dry_run: String,
    },
}

/// Which parties.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Kind {
    /// Organizations
    Organization,
    /// Persons
    Person,
}

/// Arguments of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Which parties
    #[arg(long, value_enum, default_value = "organization")]
    kind: Kind,
    /// Learn from stewards' judgements too
    #[arg(long)]
    judgements: bool,
    /// Name of the new version [default: made from the base and the sample]
    #[arg(long, default_value = "")]
    version: String,
}

/// Arguments of `activate`.
#[derive(Debug, Args)]
pub struct ActivateArgs {
    /// ruleSets/3 or 3
    #[arg(value_parser = rule_set)]
    rule_set: String,
    /// The dry run whose differences you approve
    #[arg(long, value_parser = dry_run)]
    dry_run: String,
    /// Its revision, as the dry run printed it
    #[arg(long)]
    revision: i64,
}

fn rule_set(text: &str) -> Result<String, String> {
    named("ruleSets", text)
}

fn dry_run(text: &str) -> Result<String, String> {
    named("dryRuns", text)
}

type Client = MatchServiceClient<Peer>;

/// Runs a command on rule sets.
///
/// # Errors
/// What the server answered, or an operation ended with.
pub async fn rules(global: &Global, command: MatchCommand, printer: &mut Printer<'_>) -> Outcome {
    let mut client = MatchServiceClient::new(connect(global)?).max_decoding_message_size(64 << 20);
    match command {
        MatchCommand::List => {
            let answer = client
                .list_rule_sets(pb::ListRuleSetsRequest {})
                .await
                .answer()?;
            printer.message("jinke.customer.v1.ListRuleSetsResponse", &answer)?;
            let headers = [
                "规则集 rule set",
                "版本 version",
                "状态 state",
                "来源 origin",
                "启用 activated",
            ];
            let mut table = Table::new(headers);
            for set in &answer.rule_sets {
                table.row([
                    set.name.clone(),
                    set.version.clone(),
                    state(set).to_owned(),
                    set.origin.clone(),
                    text::time(set.activate_time.as_ref()),
                ]);
            }
            printer.table(&table)?;
        }
        MatchCommand::Show { rule_set } => {
            let request = pb::GetRuleSetRequest { name: rule_set };
            let set = client.get_rule_set(request).await.answer()?;
            printer.message("jinke.customer.v1.RuleSet", &set)?;
            if !printer.is_json() {
                printer.raw(&set.text)?;
            }
        }
        MatchCommand::Keep { file, dry_run } => {
            let read = fs::read_to_string(&file).map_err(|e| {
                let why = format!("{}: {e}", file.display());
                Failure::new(Code::InvalidArgument, "FILE", why)
            })?;
            let request = pb::CreateRuleSetRequest {
                text: read,
                validate_only: dry_run,
            };
            let set = client.create_rule_set(request).await.answer()?;
            kept(&set, printer)?;
        }
        MatchCommand::Train(args) => {
            let kind = match args.kind {
                Kind::Organization => pb::PartyKind::Organization,
                Kind::Person => pb::PartyKind::Person,
            };
            let request = pb::TrainRuleSetRequest {
                kind: kind.into(),
                use_judgements: args.judgements,
                version: args.version,
            };
            let started = client.train_rule_set(request).await.answer()?;
            let set: pb::RuleSet = operations::result(global, started, printer).await?;
            kept(&set, printer)?;
            if let Some(t) = set.training {
                printer.line(learned(&t))?;
            }
        }
        MatchCommand::Evaluate { rule_set } => {
            let request = pb::EvaluateRuleSetRequest { name: rule_set };
            let started = client.evaluate_rule_set(request).await.answer()?;
            let found: pb::RuleSetEvaluation = operations::result(global, started, printer).await?;
            evaluation(&found, printer)?;
        }
        MatchCommand::DryRun { rule_set, limit } => {
            let request = pb::DryRunRuleSetRequest { name: rule_set };
            let started = client.dry_run_rule_set(request).await.answer()?;
            let run: pb::DryRun = operations::result(global, started, printer).await?;
            printer.message("jinke.customer.v1.DryRun", &run)?;
            printer.line(format!(
                "{}  修订 revision {}：合并 merges {}，拆分 splits {}，差异 differences {}（未批准 \
                 unapproved {}）；客户 customers {} → {}，待审 reviews {} → {}",
                run.name,
                run.revision,
                run.merges,
                run.splits,
                run.differences,
                run.unapproved,
                run.customers_before,
                run.customers_after,
                run.reviews_before,
                run.reviews_after,
            ))?;
            if !printer.is_json() {
                differences(&mut client, run.name, limit.limit, printer).await?;
            }
        }
        MatchCommand::Differences { dry_run, limit } => {
            differences(&mut client, dry_run, limit.limit, printer).await?;
        }
        MatchCommand::Activate(args) => {
            let request = pb::ActivateRuleSetRequest {
                name: args.rule_set,
                dry_run: args.dry_run,
                dry_run_revision: args.revision,
            };
            let started = client.activate_rule_set(request).await.answer()?;
            let set: pb::RuleSet = operations::result(global, started, printer).await?;
            printer.message("jinke.customer.v1.RuleSet", &set)?;
            printer.line(format!("已启用 in force: {}  {}", set.name, set.version))?;
        }
        MatchCommand::Discard { dry_run } => {
            let request = pb::DeleteDryRunRequest { name: dry_run };
            client.delete_dry_run(request).await.answer()?;
            printer.line("已撤销 taken down")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn state(set: &pb::RuleSet) -> &'static str {
    match set.state() {
        State::Active => "生效 in force",
        State::Inactive | State::Unspecified => "保留 kept",
    }
}

fn kept(set: &pb::RuleSet, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.message("jinke.customer.v1.RuleSet", set)?;
    printer.line(format!("已保留 kept: {}  {}", set.name, set.version))
}

/// What a version was learned from.
fn learned(t: &pb::rule_set::Training) -> String {
    format!(
        "学自 {} 条记录、{} 个候选对、{} 对判定（{} 对的记录不在库，未用） learned from {} records, \
         {} candidate pairs, {} judged pairs ({} left out: a record is gone)",
        t.records,
        t.candidate_pairs,
        t.judged_pairs,
        t.judged_pairs_left_out,
        t.records,
        t.candidate_pairs,
        t.judged_pairs,
        t.judged_pairs_left_out,
    )
}

fn mistake_kind(kind: MistakeKind) -> &'static str {
    match kind {
        MistakeKind::WronglyMerged => "误合并 wrongly merged",
        MistakeKind::Missed => "漏合并 missed",
        MistakeKind::LeftToReview => "留给人工 left to review",
        MistakeKind::Unspecified => "",
    }
}

/// What decided a mistake.
fn decisive(of: Option<&Decisive>) -> String {
    of.map_or_else(
        || "证据不足 too little evidence".to_owned(),
        |d| text::clean(&format!("{}:{}", d.comparison, d.level)),
    )
}

/// Mistakes by kind: how many and by what, then examples.
fn mistakes(found: &pb::RuleSetEvaluation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    for kind in [
        MistakeKind::WronglyMerged,
        MistakeKind::Missed,
        MistakeKind::LeftToReview,
    ] {
        let counts: Vec<_> = found
            .mistake_counts
            .iter()
            .filter(|c| c.kind() == kind)
            .collect();
        if counts.is_empty() {
            continue;
        }
        let all: i64 = counts.iter().map(|c| c.count).sum();
        printer.line("")?;
        printer.line(format!("{}: {all}", mistake_kind(kind)))?;
        let mut table = Table::new(["决定因素 decided by", ">对数 pairs"]);
        for c in counts {
            table.row([decisive(c.decisive.as_ref()), c.count.to_string()]);
        }
        printer.table(&table)?;
        let headers = [
            "得分 score",
            "决定因素 decided by",
            "记录 record",
            "记录 record",
        ];
        let mut table = Table::new(headers);
        for m in found.mistakes.iter().filter(|m| m.kind() == kind) {
            table.row([
                text::score(m.score),
                decisive(m.decisive.as_ref()),
                text::key(m.left.as_ref()),
                text::key(m.right.as_ref()),
            ]);
        }
        if !table.is_empty() {
            printer.line("例子 examples")?;
            printer.table(&table)?;
        }
    }
    Ok(())
}

fn evaluation(found: &pb::RuleSetEvaluation, printer: &mut Printer<'_>) -> Result<(), Failure> {
    printer.message("jinke.customer.v1.RuleSetEvaluation", found)?;
    printer.line(format!(
        "判定 {} 对，其中 {} 对的记录在库 {} judged pairs, {} present",
        found.judged, found.present, found.judged, found.present
    ))?;
    let mut table = Table::new([
        "指标 measure",
        "值 value",
        "95% 区间 interval",
        "对数 pairs",
    ]);
    for (name, share) in [
        ("精确率 precision", &found.precision),
        ("召回率 recall", &found.recall),
        ("审核召回率 review recall", &found.review_recall),
    ] {
        let s = share.unwrap_or_default();
        let percent = |m: i32| format!("{:.2}%", f64::from(m) / 1e4);
        table.row([
            name.to_owned(),
            if s.of == 0 {
                String::new()
            } else {
                percent(s.millionths)
            },
            format!(
                "{} – {}",
                percent(s.low_millionths),
                percent(s.high_millionths)
            ),
            format!("{}/{}", s.hits, s.of),
        ]);
    }
    printer.table(&table)?;
    mistakes(found, printer)
}

async fn differences(
    client: &mut Client,
    parent: String,
    limit: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (differences, next_page_token) = collect(limit, 200, async |page_size, page_token| {
        let request = pb::ListDryRunDifferencesRequest {
            parent: parent.clone(),
            page_size,
            page_token,
        };
        let answer = client.list_dry_run_differences(request).await.answer()?;
        Ok((answer.differences, answer.next_page_token))
    })
    .await?;
    let answer = pb::ListDryRunDifferencesResponse {
        differences,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListDryRunDifferencesResponse", &answer)?;
    let headers = [
        "变化 change",
        "现在 before",
        "之后 after",
        "已批准 approved",
    ];
    let mut table = Table::new(headers);
    for d in &answer.differences {
        let kind = match d.kind() {
            dry_run_difference::Kind::Merge => "合并 merge",
            dry_run_difference::Kind::Split => "拆分 split",
            _ => "改组 change",
        };
        let groups = |list: &[dry_run_difference::Group]| -> String {
            let shown: Vec<String> = list
                .iter()
                .map(|g| {
                    let records: Vec<String> =
                        g.records.iter().map(|k| text::key(Some(k))).collect();
                    format!("{} [{}]", g.customer, records.join(" "))
                })
                .collect();
            shown.join("；")
        };
        table.row([
            kind.to_owned(),
            groups(&d.before),
            groups(&d.after),
            if d.approved { "是 yes" } else { "否 no" }.to_owned(),
        ]);
    }
    printer.table(&table)?;
    match more(&answer.next_page_token) {
        Some(hint) => printer.line(hint),
        None => Ok(()),
    }
}
