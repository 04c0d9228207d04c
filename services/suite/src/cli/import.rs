//! `jinke import FILE`: preview, import, report.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use jinke_runner::{
    Backoff, GrpcDoor, Import, ImportError, PipelineDoor, Report, SourceSpec,
    files::{self, FileInput, Guess, Mapping, Preview, guess_file, mapping_file},
    import as run_import,
};
use jinke_types::{Body, Code, Datum, Failure, OsEntropy, SourceRecord};

use super::{Global, Outcome};
use crate::{
    connect::{connect, discover, user_config_dir},
    print::{Printer, Table, error::EXIT_PARTIAL, text::clean},
    progress::{ImportProgress, say},
};

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV or XLSX file; encoding, delimiter and header row are found out
    file: PathBuf,
    /// Id of the source the records belong to; created when it is missing
    #[arg(long, short)]
    source: String,
    /// Mapping file; guessed from the headers when absent
    #[arg(long, short)]
    mapping: Option<PathBuf>,
    /// Sheet of a workbook, when the mapping is guessed [default: the first]
    #[arg(long, conflicts_with = "mapping")]
    sheet: Option<String>,
    /// Only show how the first rows would be read; nothing is sent
    #[arg(long)]
    preview: bool,
    /// How many rows a preview shows
    #[arg(long, default_value_t = 10, value_name = "N")]
    rows: usize,
    /// Write the guessed mapping to this file, to be corrected and used
    #[arg(long, value_name = "FILE", conflicts_with = "mapping")]
    write_mapping: Option<PathBuf>,
    /// Write rows and records that were refused to this CSV file
    #[arg(long, value_name = "FILE")]
    errors_out: Option<PathBuf>,
    /// Begin from the first row, also when an earlier import of the file was interrupted
    #[arg(long)]
    restart: bool,
    /// Trust of the source when it is created, 0 to 100 [default: 50]
    #[arg(long)]
    trust: Option<i32>,
    /// Name of the source for people when it is created
    #[arg(long)]
    display_name: Option<String>,
    /// Org unit of the source when it is created: orgUnits/ID
    #[arg(long, default_value = "")]
    org_unit: String,
    /// Only callers with a role in the org unit see the records, when the source is created
    #[arg(long)]
    walled: bool,
}

/// Imports or previews a file.
///
/// # Errors
/// When file or mapping cannot be read, or the server refuses.
pub async fn import(global: &Global, args: ImportArgs, printer: &mut Printer<'_>) -> Outcome {
    let (mapping, guess) = mapping(&args).await?;
    if let (Some(path), Some(_)) = (&args.write_mapping, &guess) {
        fs::write(path, mapping.to_toml()?).map_err(|e| cannot_write(path, &e))?;
        say(&format!(
            "映射已写入 the mapping was written to {}",
            path.display()
        ));
        if !args.preview {
            return Ok(ExitCode::SUCCESS);
        }
    }
    if let Some(guess) = &guess {
        for open in &guess.open {
            say(&format!("? {}", clean(open)));
        }
        if !args.preview {
            // A guess that does not hold would import nonsense; the preview shows it anyway.
            mapping.check()?;
        }
    }
    let input = FileInput::new(&args.file, mapping);
    let stream = input.stream();
    let opened = files::open(&args.source, vec![input]).await?;
    if args.preview {
        let preview = opened.connector.preview(&stream, args.rows).await?;
        show_preview(&preview, guess.as_ref(), printer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let peer = connect(global)?;
    let endpoint = discover(global)?.endpoint;
    let resume_file = resume_file(&endpoint, &args.source, &args.file);
    if args.restart
        && let Some(path) = &resume_file
        && path.exists()
    {
        fs::remove_file(path).map_err(|e| cannot_write(path, &e))?;
    }
    let job = Import {
        source: SourceSpec {
            display_name: args.display_name.unwrap_or_else(|| args.source.clone()),
            id: args.source,
            trust: args.trust,
            org_unit: args.org_unit,
            walled: args.walled,
        },
        connector: opened.connector,
        digest: opened.digest,
        resume_file,
        backoff: Backoff::default(),
        leads: Arc::new(PipelineDoor::new(peer.clone())),
    };
    let mut progress = ImportProgress::new(&job.source.id);
    let door = GrpcDoor::new(peer);
    let report = run_import(job, &door, &OsEntropy, &mut |p| progress.show(p))
        .await
        .map_err(failed)?;
    progress.finish(&(&report).into());
    if let Some(path) = &args.errors_out {
        write_errors(&report, path)?;
        say(&format!("错误报告 error report: {}", path.display()));
    }
    printer.value(&report)?;
    if !printer.is_json() {
        show_report(&report, printer)?;
    }
    let partial = report.error_count() > 0;
    Ok(if partial {
        ExitCode::from(EXIT_PARTIAL)
    } else {
        ExitCode::SUCCESS
    })
}

async fn mapping(args: &ImportArgs) -> Result<(Mapping, Option<Guess>), Failure> {
    if let Some(path) = &args.mapping {
        return Ok((mapping_file(path)?, None));
    }
    let guess = guess_file(&args.file, args.sheet.clone()).await?;
    Ok((guess.mapping.clone(), Some(guess)))
}

/// What stopped an import, as a failure.
pub fn failed(error: ImportError) -> Failure {
    match error {
        ImportError::Refused(status) => jinke_kit::failure(&status),
        ImportError::Unreadable { failure, .. } => failure,
        ImportError::Resume(error) => Failure::new(
            Code::FailedPrecondition,
            "CURSOR_FILE",
            format!("the cursor file cannot be used: {}", error.kind()),
        ),
    }
}

/// Cursor files are kept per server, source and file in the user's folder.
fn resume_file(endpoint: &str, source: &str, file: &Path) -> Option<PathBuf> {
    let folder = user_config_dir()?.join("imports");
    let full = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let name: String = format!("{endpoint}|{source}|{}", full.display())
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    // File names end at 255 bytes; the end of the path tells files apart best.
    let mut from = name.len().saturating_sub(200);
    while !name.is_char_boundary(from) {
        from += 1;
    }
    Some(folder.join(format!("{}.json", &name[from..])))
}

/// Writes the error report of an import.
///
/// # Errors
/// `FILE_NOT_WRITTEN`.
pub fn write_errors(report: &Report, path: &Path) -> Result<(), Failure> {
    let file = fs::File::create(path).map_err(|e| cannot_write(path, &e))?;
    report
        .write_errors(BufWriter::new(file))
        .map_err(|e| cannot_write(path, &e))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "FILE_NOT_WRITTEN",
        format!("{} cannot be written: {}", path.display(), error.kind()),
    )
}

/// How many errors the answer shows; the report file holds all.
const SHOWN_ERRORS: usize = 20;

fn show_report(report: &Report, printer: &mut Printer<'_>) -> Result<(), Failure> {
    for note in &report.notes {
        printer.line(format!("· {}", clean(note)))?;
    }
    let c = &report.counts;
    let mut table = Table::new([
        "来源 source",
        ">新增 created",
        ">更新 updated",
        ">未变 unchanged",
        ">旧版 superseded",
        ">拒绝 rejected",
        ">行错误 row errors",
    ]);
    let numbers = [c.created, c.updated, c.unchanged, c.superseded, c.rejected];
    let numbers = numbers
        .into_iter()
        .chain([report.row_error_count])
        .map(|n| n.to_string());
    table.row(std::iter::once(report.source.clone()).chain(numbers));
    printer.table(&table)?;
    if report.error_count() == 0 {
        return Ok(());
    }
    printer.line("")?;
    let mut table = Table::new(["位置 where", "列 column", "原因 reason"]);
    for e in report.row_errors.iter().take(SHOWN_ERRORS) {
        table.row([
            place(&e.location),
            e.column.clone().unwrap_or_default(),
            e.reason.clone(),
        ]);
    }
    for r in report.rejected.iter().take(SHOWN_ERRORS) {
        let reason = format!("{}: {}", r.reason, r.message);
        table.row([
            format!("{}/{}", r.source, r.external_id),
            String::new(),
            reason,
        ]);
    }
    printer.table(&table)?;
    if report.error_count() > table.len() as u64 {
        printer.line(format!(
            "… 共 {} 个错误 errors in all; --errors-out FILE 写出全部 writes them to a file",
            report.error_count()
        ))?;
    }
    Ok(())
}

fn place(location: &files::Location) -> String {
    match &location.sheet {
        Some(sheet) => format!("{}#{sheet}:{}", location.file, location.row),
        None => format!("{}:{}", location.file, location.row),
    }
}

fn show_preview(
    preview: &Preview,
    guess: Option<&Guess>,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    if printer.is_json() {
        let rows: Vec<_> = preview
            .rows
            .iter()
            .map(|r| {
                serde_json::json!({
                    "location": r.location, "records": r.records, "leads": r.leads,
                    "errors": r.errors,
                })
            })
            .collect();
        return printer.value(&serde_json::json!({
            "rows": rows,
            "missing": preview.missing,
            "unmapped": preview.unmapped,
            "mapping": guess.map(|g| g.mapping.to_toml()).transpose()?,
        }));
    }
    if let Some(guess) = guess {
        printer.line("# 猜测的映射 guessed mapping (--write-mapping FILE saves it)")?;
        printer.line(guess.mapping.to_toml()?)?;
    }
    let mut table = Table::new(["行 row", "记录 record", "种类 kind", "值 values"]);
    for row in &preview.rows {
        for record in &row.records {
            table.row([
                row.location.row.to_string(),
                record.key.to_string(),
                kind(record).to_owned(),
                values(record),
            ]);
        }
        for lead in &row.leads {
            table.row([
                row.location.row.to_string(),
                lead.key.to_string(),
                "线索 lead".to_owned(),
                stated(&lead.stated),
            ]);
        }
        for error in &row.errors {
            let column = error.column.as_deref().unwrap_or_default();
            table.row([
                row.location.row.to_string(),
                String::new(),
                "错误 error".to_owned(),
                format!("{column} {}", error.reason),
            ]);
        }
    }
    printer.table(&table)?;
    if !preview.missing.is_empty() {
        let missing = clean(&preview.missing.join(", "));
        printer.line(format!("文件中没有的列 columns the file lacks: {missing}"))?;
    }
    if !preview.unmapped.is_empty() {
        let unmapped = clean(&preview.unmapped.join(", "));
        printer.line(format!("未读取的列 columns that are not read: {unmapped}"))?;
    }
    Ok(())
}

const fn kind(record: &SourceRecord) -> &'static str {
    match &record.body {
        Body::Party {
            kind: jinke_types::PartyKind::Organization,
            ..
        } => "组织 organization",
        Body::Party { .. } => "个人 person",
        Body::Relationship(_) => "关系 relationship",
        Body::Transaction(_) => "交易 transaction",
        Body::Interaction(_) => "互动 interaction",
    }
}

/// What a lead says, in the order of its columns.
fn stated(s: &files::Stated) -> String {
    let estimate = s.estimate.as_ref();
    let estimate = estimate.map(|m| format!("{} {}", m.currency, m.amount));
    [
        ("company", s.company.clone()),
        ("person_name", s.person_name.clone()),
        ("title", s.title.clone()),
        ("phones", s.phones.join("、")),
        ("emails", s.emails.join("、")),
        ("uscc", s.uscc.clone()),
        ("region", s.region.clone()),
        ("interest", s.interest.clone()),
        ("remark", s.remark.clone()),
        ("estimate", estimate.unwrap_or_default()),
        ("channel", s.channel.clone()),
        ("campaign", s.campaign.clone()),
        ("time", s.time.map(|t| t.to_rfc3339()).unwrap_or_default()),
    ]
    .into_iter()
    .filter(|(_, text)| !text.is_empty())
    .map(|(name, text)| format!("{name}={text}"))
    .collect::<Vec<_>>()
    .join("; ")
}

fn values(record: &SourceRecord) -> String {
    let datum = |datum: &Datum| match datum {
        Datum::Text(text) => text.clone(),
        Datum::Number(number) => number.to_string(),
        Datum::Date(y, m, d) => format!("{y:04}-{m:02}-{d:02}"),
        Datum::Address(a) => [&a.country, &a.province, &a.city, &a.district, &a.text]
            .map(String::as_str)
            .concat(),
        Datum::Null => "∅".to_owned(),
    };
    match &record.body {
        Body::Party { values, .. } => values
            .iter()
            .filter(|v| !v.datum.is_blank())
            .map(|v| format!("{}={}", v.attribute, datum(&v.datum)))
            .collect::<Vec<_>>()
            .join("; "),
        Body::Relationship(r) => format!("{} {} → {}", r.kind, r.from, r.to),
        Body::Transaction(t) => {
            let amount = t
                .amount
                .as_ref()
                .map(|m| format!(" {} {}", m.currency, m.amount));
            let lines = t.lines.len();
            format!(
                "{} {}{}, {lines} lines",
                t.party,
                t.number,
                amount.unwrap_or_default()
            )
        }
        Body::Interaction(i) => format!("{} {} {}", i.party, i.channel, i.text),
    }
}
