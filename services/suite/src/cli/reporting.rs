//! `jinke report`, `jinke metrics`

mod show;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Subcommand, ValueEnum};
use jinke_proto::{
    google::r#type::{Date, Decimal},
    jinke::reporting::v1::{
        self as pb, analytics_service_client::AnalyticsServiceClient,
        insight_service_client::InsightServiceClient,
        projection_service_client::ProjectionServiceClient,
        report_service_client::ReportServiceClient, segment_service_client::SegmentServiceClient,
    },
};
use jinke_types::{Code, Failure};

use super::{Global, Outcome, page::request_id};
use crate::{
    connect::{Answer, connect},
    print::Printer,
};

/// Largest answer taken: a report's file.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// The commands on reports.
#[derive(Debug, Subcommand)]
pub enum ReportCommand {
    /// Make the customer asset report (客户资产报告) for a date and save it
    Asset {
        /// The last day that counts, e.g. 2026-03-31 [default: today]
        #[arg(long, value_parser = date, value_name = "DATE")]
        date: Option<Date>,
        /// Language of the file
        #[arg(long, value_enum, default_value_t = Lang::Zh)]
        lang: Lang,
        /// Format of the file [default: as its name ends, else html]
        #[arg(long, value_enum)]
        format: Option<FileFormat>,
        /// File or folder to save to [default: this folder, under the report's own name]
        #[arg(long, short, value_name = "PATH")]
        out: Option<PathBuf>,
        /// What formulas leave open
        #[command(flatten)]
        parameters: Parameters,
    },
    /// List the reports that were made
    List,
}

/// Language of a report.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Lang {
    /// 简体中文
    Zh,
    /// English
    En,
}

/// Format of a report.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FileFormat {
    /// One page with its charts in it
    Html,
    /// Excel with native charts
    Xlsx,
}

impl FileFormat {
    /// The format that a file's name promises.
    fn of(path: Option<&Path>) -> Self {
        let ending = path.and_then(Path::extension);
        if ending.is_some_and(|e| e.eq_ignore_ascii_case("xlsx")) {
            Self::Xlsx
        } else {
            Self::Html
        }
    }
}

/// What formulas leave open; the server's configuration fills in the rest.
#[derive(Clone, Debug, Default, Args)]
pub struct Parameters {
    /// Currency of amounts, e.g. CNY
    #[arg(long, value_name = "CODE")]
    currency: Option<String>,
    /// What one unit of another currency is worth, e.g. USD=7.1; may be given several times
    #[arg(long = "rate", value_parser = rate, value_name = "CODE=RATE")]
    rates: Vec<pb::ExchangeRate>,
    /// Profit per unit of revenue, e.g. 0.3: CLV is profit then
    #[arg(long, value_name = "DECIMAL")]
    margin: Option<String>,
    /// Discount rate a year, e.g. 0.1
    #[arg(long, value_name = "DECIMAL")]
    discount_rate: Option<String>,
    /// Time zone of days and months, e.g. Asia/Shanghai
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What is revenue
    #[arg(long, value_enum)]
    basis: Option<BasisKind>,
}

/// Which transactions are revenue.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum BasisKind {
    /// Orders
    Orders,
    /// Invoices
    Invoices,
    /// Payments
    Payments,
}

impl Parameters {
    fn message(&self) -> pb::MeasureParameters {
        let decimal = |text: &Option<String>| text.clone().map(|value| Decimal { value });
        pb::MeasureParameters {
            currency: self.currency.clone().unwrap_or_default(),
            rates: self.rates.clone(),
            margin: decimal(&self.margin),
            discount_rate: decimal(&self.discount_rate),
            time_zone: self.time_zone.clone().unwrap_or_default(),
            basis: match self.basis {
                None => pb::RevenueBasis::Unspecified,
                Some(BasisKind::Orders) => pb::RevenueBasis::Orders,
                Some(BasisKind::Invoices) => pb::RevenueBasis::Invoices,
                Some(BasisKind::Payments) => pb::RevenueBasis::Payments,
            }
            .into(),
            ..pb::MeasureParameters::default()
        }
    }
}

/// The commands on measures.
#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// List all measures with their formulas
    List,
    /// Measures by dimensions, over time, compared
    Query {
        /// Measures, e.g. net_revenue clv_simple retention_rate
        #[arg(required = true)]
        measures: Vec<String>,
        /// Split by, e.g. province, grade; may be given several times
        #[arg(long = "by", value_name = "DIMENSION")]
        dimensions: Vec<String>,
        /// First day [default: a year before the last]
        #[arg(long, value_parser = date, value_name = "DATE")]
        from: Option<Date>,
        /// Last day [default: today]
        #[arg(long, value_parser = date, value_name = "DATE")]
        to: Option<Date>,
        /// Cut time into
        #[arg(long, value_enum)]
        grain: Option<Grain>,
        /// Compare with
        #[arg(long, value_enum)]
        compare: Option<Compare>,
        /// Only, e.g. 'grade = "A" AND province = "上海市"'
        #[arg(long, default_value = "")]
        filter: String,
        /// Greatest value of the first measure first
        #[arg(long)]
        sort: bool,
        /// What formulas leave open
        #[command(flatten)]
        parameters: Parameters,
    },
    /// The rows that a value adds up from
    Rows {
        /// The measure
        measure: String,
        /// First day
        #[arg(long, value_parser = date, value_name = "DATE")]
        from: Option<Date>,
        /// Last day
        #[arg(long, value_parser = date, value_name = "DATE")]
        to: Option<Date>,
        /// Only, e.g. 'province = "上海市"'
        #[arg(long, default_value = "")]
        filter: String,
        /// Rows to show
        #[arg(long, default_value_t = 20)]
        limit: i32,
    },
    /// Value, tier, lifecycle and risk of one customer
    Customer {
        /// The customer, e.g. customers/7
        customer: String,
    },
    /// Customers that satisfy conditions, e.g. 'grade == "A" && recency_days > 60'
    Segment {
        /// Conditions in CEL; all must hold
        #[arg(required = true)]
        conditions: Vec<String>,
    },
    /// Churn warnings; with --evaluate look for new ones first
    Churn {
        /// Look for customers about to leave, and make the tasks
        #[arg(long)]
        evaluate: bool,
    },
    /// Write grade and lifecycle stage back to the customers as tags
    Publish {
        /// Only count
        #[arg(long)]
        dry_run: bool,
    },
    /// Where the tables behind the answers stand; with --rebuild build them anew
    Projections {
        /// Build anew beside the serving ones
        #[arg(long)]
        rebuild: bool,
    },
}

/// How time is cut.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Grain {
    /// Days
    Day,
    /// Weeks from Monday
    Week,
    /// Calendar months
    Month,
    /// Calendar quarters
    Quarter,
    /// Calendar years
    Year,
}

/// What is compared with.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Compare {
    /// The period before (环比)
    Period,
    /// The year before (同比)
    Year,
}

/// Reads `2026-03-31`.
fn date(text: &str) -> Result<Date, String> {
    let day: chrono::NaiveDate = text
        .parse()
        .map_err(|_| "a date is written 2026-03-31".to_owned())?;
    Ok(Date {
        year: chrono::Datelike::year(&day),
        month: i32::try_from(chrono::Datelike::month(&day)).unwrap_or_default(),
        day: i32::try_from(chrono::Datelike::day(&day)).unwrap_or_default(),
    })
}

/// Reads `USD=7.1`.
fn rate(text: &str) -> Result<pb::ExchangeRate, String> {
    let (currency, value) = text
        .split_once('=')
        .ok_or_else(|| "a rate is written USD=7.1".to_owned())?;
    Ok(pb::ExchangeRate {
        currency: currency.to_owned(),
        rate: Some(Decimal {
            value: value.to_owned(),
        }),
    })
}

/// Runs a command on reports.
///
/// # Errors
/// What the server answered; `OUTPUT_FILE` when the file cannot be written.
pub async fn report(global: &Global, command: ReportCommand, printer: &mut Printer<'_>) -> Outcome {
    let mut client =
        ReportServiceClient::new(connect(global)?).max_decoding_message_size(ANSWER_BYTES);
    match command {
        ReportCommand::Asset {
            date,
            lang,
            format,
            out,
            parameters,
        } => {
            let format = format.unwrap_or_else(|| FileFormat::of(out.as_deref()));
            let request = pb::CreateReportRequest {
                date,
                parameters: Some(parameters.message()),
                request_id: request_id(),
            };
            let report = client.create_report(request).await.answer()?;
            let request = pb::DownloadReportRequest {
                name: report.name.clone(),
                format: match format {
                    FileFormat::Html => pb::ReportFormat::Html,
                    FileFormat::Xlsx => pb::ReportFormat::Xlsx,
                }
                .into(),
                language: match lang {
                    Lang::Zh => pb::ReportLanguage::Zh,
                    Lang::En => pb::ReportLanguage::En,
                }
                .into(),
            };
            let file = client.download_report(request).await.answer()?;
            let path = match out {
                Some(path) if path.is_dir() => path.join(&file.file_name),
                Some(path) => path,
                None => PathBuf::from(&file.file_name),
            };
            std::fs::write(&path, &file.content).map_err(|e| {
                Failure::new(
                    Code::FailedPrecondition,
                    "OUTPUT_FILE",
                    format!("cannot write {}: {}", path.display(), e.kind()),
                )
            })?;
            printer.message("jinke.reporting.v1.Report", &report)?;
            show::report(&report, printer)?;
            printer.line(format!("已保存 saved: {}", path.display()))?;
        }
        ReportCommand::List => {
            let request = pb::ListReportsRequest {
                page_size: 100,
                page_token: String::new(),
            };
            let answer = client.list_reports(request).await.answer()?;
            printer.message("jinke.reporting.v1.ListReportsResponse", &answer)?;
            show::reports(&answer, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a command on measures.
///
/// # Errors
/// What the server answered.
pub async fn metrics(
    global: &Global,
    command: MetricsCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let peer = connect(global)?;
    let mut analytics =
        AnalyticsServiceClient::new(peer.clone()).max_decoding_message_size(ANSWER_BYTES);
    let mut insights = InsightServiceClient::new(peer.clone());
    match command {
        MetricsCommand::List => {
            let answer = analytics
                .list_measures(pb::ListMeasuresRequest {})
                .await
                .answer()?;
            printer.message("jinke.reporting.v1.ListMeasuresResponse", &answer)?;
            show::measures(&answer, printer)?;
        }
        MetricsCommand::Query {
            measures,
            dimensions,
            from,
            to,
            grain,
            compare,
            filter,
            sort,
            parameters,
        } => {
            let request = pb::QueryMetricsRequest {
                measures,
                dimensions,
                start_date: from,
                end_date: to,
                grain: match grain {
                    None => pb::TimeGrain::Unspecified,
                    Some(Grain::Day) => pb::TimeGrain::Day,
                    Some(Grain::Week) => pb::TimeGrain::Week,
                    Some(Grain::Month) => pb::TimeGrain::Month,
                    Some(Grain::Quarter) => pb::TimeGrain::Quarter,
                    Some(Grain::Year) => pb::TimeGrain::Year,
                }
                .into(),
                comparison: match compare {
                    None => pb::Comparison::Unspecified,
                    Some(Compare::Period) => pb::Comparison::PreviousPeriod,
                    Some(Compare::Year) => pb::Comparison::PreviousYear,
                }
                .into(),
                filter,
                parameters: Some(parameters.message()),
                order_by: if sort { "value desc" } else { "" }.to_owned(),
                page_size: 1_000,
                page_token: String::new(),
            };
            let answer = analytics.query_metrics(request.clone()).await.answer()?;
            printer.message("jinke.reporting.v1.QueryMetricsResponse", &answer)?;
            show::metrics(&request, &answer, printer)?;
        }
        MetricsCommand::Rows {
            measure,
            from,
            to,
            filter,
            limit,
        } => {
            let request = pb::ListMetricRowsRequest {
                measure,
                start_date: from,
                end_date: to,
                filter,
                page_size: limit.max(1),
                ..pb::ListMetricRowsRequest::default()
            };
            let answer = analytics.list_metric_rows(request).await.answer()?;
            printer.message("jinke.reporting.v1.ListMetricRowsResponse", &answer)?;
            show::metric_rows(&answer, printer)?;
        }
        MetricsCommand::Customer { customer } => {
            let customer = customer.trim_start_matches("customers/");
            let request = pb::GetCustomerInsightRequest {
                name: format!("customers/{customer}/insight"),
                as_of: None,
                parameters: None,
            };
            let answer = insights.get_customer_insight(request).await.answer()?;
            printer.message("jinke.reporting.v1.CustomerInsight", &answer)?;
            show::insight(&answer, printer)?;
        }
        MetricsCommand::Segment { conditions } => {
            let mut segments = SegmentServiceClient::new(peer);
            let request = pb::PreviewSegmentRequest {
                conditions,
                ..pb::PreviewSegmentRequest::default()
            };
            let answer = segments.preview_segment(request).await.answer()?;
            printer.message("jinke.reporting.v1.PreviewSegmentResponse", &answer)?;
            show::segment(&answer, printer)?;
        }
        MetricsCommand::Churn { evaluate } => {
            if evaluate {
                let request = pb::EvaluateChurnRequest {
                    request_id: request_id(),
                    validate_only: false,
                };
                let done = insights.evaluate_churn(request).await.answer()?;
                show::evaluated(&done, printer)?;
            }
            let request = pb::ListChurnEpisodesRequest {
                page_size: 50,
                state: pb::churn_episode::State::Open.into(),
                ..pb::ListChurnEpisodesRequest::default()
            };
            let answer = insights.list_churn_episodes(request).await.answer()?;
            printer.message("jinke.reporting.v1.ListChurnEpisodesResponse", &answer)?;
            show::episodes(&answer, printer)?;
        }
        MetricsCommand::Publish { dry_run } => {
            let request = pb::PublishInsightsRequest {
                validate_only: dry_run,
                request_id: request_id(),
            };
            let answer = insights.publish_insights(request).await.answer()?;
            printer.message("jinke.reporting.v1.PublishInsightsResponse", &answer)?;
            printer.line(format!(
                "客户 customers {}，新增标签 tags set {}，收回标签 tags taken back {}",
                answer.customers, answer.added, answer.removed
            ))?;
        }
        MetricsCommand::Projections { rebuild } => {
            let mut projections = ProjectionServiceClient::new(peer);
            if rebuild {
                let request = pb::RebuildProjectionsRequest {
                    request_id: request_id(),
                };
                projections.rebuild_projections(request).await.answer()?;
            }
            let answer = projections
                .list_projections(pb::ListProjectionsRequest {})
                .await
                .answer()?;
            printer.message("jinke.reporting.v1.ListProjectionsResponse", &answer)?;
            show::projections(&answer, printer)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
