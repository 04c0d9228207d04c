//! The service's configuration; `config.default.toml` documents every value.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use jinke_store::{DatabaseConfig, keys::KeyFiles};
use jinke_types::{Code, Failure};
use serde::Deserialize;

use crate::{
    calendar::Zone,
    facts::kind,
    number::{self, ONE},
    parameters::{Grading, MAX_RATE, MAX_RATES, Parameters, Population, Scoring, Warning},
};

/// The section `[reporting]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportingConfig {
    /// Where the data is.
    pub database: DatabaseSection,
    /// Where the keys are.
    pub keys: KeysSection,
    /// What is followed.
    pub feeds: FeedsSection,
    /// Limits of questions.
    pub questions: QuestionsSection,
    /// What questions leave open.
    pub parameters: ParametersSection,
    /// How grades are made.
    pub grading: GradingSection,
    /// Churn warnings.
    pub churn: ChurnSection,
}

/// `[reporting.database]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct DatabaseSection {
    pub url: String,
    pub schema: String,
    pub max_connections: u32,
    pub cache_mib: u32,
    pub acquire_seconds: u64,
    pub statement_seconds: u64,
    pub lock_seconds: u64,
}

impl std::fmt::Debug for DatabaseSection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("DatabaseSection").finish_non_exhaustive()
    }
}

/// `[reporting.keys]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct KeysSection {
    pub folder: String,
}

/// `[reporting.feeds]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct FeedsSection {
    pub poll_milliseconds: u64,
    pub pipeline: bool,
    pub cancelled_statuses: Vec<String>,
}

/// `[reporting.questions]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct QuestionsSection {
    pub max_facts: usize,
    pub cached_frames: usize,
    pub parallel: usize,
}

/// `[reporting.parameters]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct ParametersSection {
    pub time_zone: String,
    pub currency: String,
    pub rates: BTreeMap<String, String>,
    pub basis: String,
    pub population: String,
    pub margin: String,
    pub lifetime_years: String,
    pub discount_rate: String,
    pub discount_years: usize,
    pub rfm_months: i32,
    pub dormant_months: i32,
    pub lost_months: i32,
    pub new_months: i32,
    pub loyal_orders: usize,
}

/// `[reporting.grading]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct GradingSection {
    pub method: String,
    pub recency_days: [i32; 4],
    pub frequency: [i32; 4],
    pub monetary: [String; 4],
    pub recency_weight: i32,
    pub frequency_weight: i32,
    pub monetary_weight: i32,
    pub a_points: i32,
    pub b_points: i32,
    pub publish_minutes: u64,
}

/// `[reporting.churn]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "documented in config.default.toml")]
pub struct ChurnSection {
    pub evaluate_minutes: u64,
    pub no_order_months: i32,
    pub complaint_days: i64,
    pub rating_days: i64,
    pub cycle_percent: i64,
    pub cycle_orders: usize,
    pub task_days: u64,
    pub fallback_owner: String,
}

fn wrong(key: &str, why: &str) -> Failure {
    Failure::new(
        Code::FailedPrecondition,
        "CONFIG",
        format!("reporting.{key} {why}"),
    )
}

fn within<T: PartialOrd>(key: &str, value: T, least: T, most: T) -> Result<T, Failure> {
    if value >= least && value <= most {
        Ok(value)
    } else {
        Err(wrong(key, "is out of its bounds"))
    }
}

fn decimal(key: &str, text: &str, least: i128, most: i128) -> Result<i128, Failure> {
    let value = number::parse(text).ok_or_else(|| wrong(key, "is no decimal"))?;
    within(key, value, least, most)
}

impl ReportingConfig {
    /// Where the database is; in `data_dir` unless the configuration says otherwise.
    pub fn database(&self, data_dir: &Path) -> DatabaseConfig {
        let section = &self.database;
        let url = if section.url.is_empty() {
            format!("sqlite:{}", data_dir.join("reporting.db").display())
        } else {
            section.url.clone()
        };
        let mut config = DatabaseConfig::new("reporting", url);
        config.schema = Some(section.schema.clone()).filter(|schema| !schema.is_empty());
        config.max_connections = section.max_connections;
        config.cache_mib = section.cache_mib;
        config.acquire_timeout = Duration::from_secs(section.acquire_seconds);
        config.statement_timeout = Duration::from_secs(section.statement_seconds);
        config.lock_timeout = Duration::from_secs(section.lock_seconds);
        config
    }

    /// Where the keys are; in `data_dir` unless the configuration says otherwise.
    pub fn key_files(&self, data_dir: &Path) -> KeyFiles {
        let folder = if self.keys.folder.is_empty() {
            data_dir.join("keys").join("reporting")
        } else {
            PathBuf::from(&self.keys.folder)
        };
        KeyFiles::in_folder(&folder)
    }

    /// How often feeds are looked at.
    ///
    /// # Errors
    /// `CONFIG`.
    pub fn poll(&self) -> Result<Duration, Failure> {
        let poll = self.feeds.poll_milliseconds;
        within("feeds.poll_milliseconds", poll, 10, 3_600_000).map(Duration::from_millis)
    }

    /// Statuses that take a transaction out, in lower case.
    pub fn cancelled(&self) -> BTreeSet<String> {
        let statuses = self.feeds.cancelled_statuses.iter();
        statuses.map(|s| s.to_lowercase()).collect()
    }

    /// Limits of questions, checked.
    ///
    /// # Errors
    /// `CONFIG`.
    pub fn questions(&self) -> Result<QuestionsSection, Failure> {
        let q = self.questions;
        within("questions.max_facts", q.max_facts, 1, 100_000_000)?;
        within("questions.cached_frames", q.cached_frames, 1, 100)?;
        within("questions.parallel", q.parallel, 1, 1_000)?;
        Ok(q)
    }

    /// What questions leave open, checked.
    ///
    /// # Errors
    /// `CONFIG`, naming the key.
    pub fn parameters(&self) -> Result<Parameters, Failure> {
        let p = &self.parameters;
        let mut rates = BTreeMap::new();
        within("parameters.rates", p.rates.len(), 0, MAX_RATES)?;
        for (currency, rate) in &p.rates {
            rates.insert(
                currency.clone(),
                decimal("parameters.rates", rate, 1, MAX_RATE)?,
            );
        }
        let dormant = within("parameters.dormant_months", p.dormant_months, 1, 120)?;
        Ok(Parameters {
            zone: Zone::parse(&p.time_zone)
                .ok_or_else(|| wrong("parameters.time_zone", "is no IANA time zone"))?,
            currency: p.currency.clone(),
            rates,
            basis: match p.basis.as_str() {
                "orders" => kind::ORDER,
                "invoices" => kind::INVOICE,
                "payments" => kind::PAYMENT,
                _ => {
                    return Err(wrong(
                        "parameters.basis",
                        "is not orders, invoices or payments",
                    ));
                }
            },
            population: match p.population.as_str() {
                "organizations" => Population::Organizations,
                "persons" => Population::Persons,
                "all" => Population::All,
                _ => {
                    return Err(wrong(
                        "parameters.population",
                        "is not organizations, persons or all",
                    ));
                }
            },
            margin: if p.margin.is_empty() {
                None
            } else {
                Some(decimal("parameters.margin", &p.margin, -ONE, ONE)?)
            },
            lifetime_years: decimal("parameters.lifetime_years", &p.lifetime_years, 1, 100 * ONE)?,
            discount_rate: decimal(
                "parameters.discount_rate",
                &p.discount_rate,
                1 - ONE,
                10 * ONE,
            )?,
            discount_years: within("parameters.discount_years", p.discount_years, 0, 50)?,
            scoring: self.scoring()?,
            rfm_months: within("parameters.rfm_months", p.rfm_months, 1, 120)?,
            dormant_months: dormant,
            lost_months: within("parameters.lost_months", p.lost_months, dormant + 1, 240)?,
            new_months: within("parameters.new_months", p.new_months, 1, 120)?,
            loyal_orders: within("parameters.loyal_orders", p.loyal_orders, 2, 1_000)?,
            grading: self.grades()?,
            warning: self.warning()?,
        })
    }

    fn scoring(&self) -> Result<Scoring, Failure> {
        let g = &self.grading;
        match g.method.as_str() {
            "quantiles" => Ok(Scoring::Quantiles),
            "thresholds" => {
                let mut monetary = [0; 4];
                for (value, text) in monetary.iter_mut().zip(&g.monetary) {
                    *value = number::parse(text)
                        .ok_or_else(|| wrong("grading.monetary", "is no list of decimals"))?;
                }
                let grows = g.frequency.is_sorted() && monetary.is_sorted();
                if !grows || !g.recency_days.iter().rev().is_sorted() {
                    return Err(wrong("grading", "has thresholds out of order"));
                }
                Ok(Scoring::Thresholds {
                    recency: g.recency_days,
                    frequency: g.frequency,
                    monetary,
                })
            }
            _ => Err(wrong("grading.method", "is not quantiles or thresholds")),
        }
    }

    fn grades(&self) -> Result<Grading, Failure> {
        let g = &self.grading;
        let weights = [g.recency_weight, g.frequency_weight, g.monetary_weight];
        if weights.iter().any(|w| !(0..=100).contains(w)) || weights.iter().sum::<i32>() != 100 {
            return Err(wrong("grading", "has weights that are not 100 together"));
        }
        Ok(Grading {
            recency: g.recency_weight,
            frequency: g.frequency_weight,
            monetary: g.monetary_weight,
            a: within("grading.a_points", g.a_points, g.b_points, 500)?,
            b: within("grading.b_points", g.b_points, 100, 500)?,
        })
    }

    fn warning(&self) -> Result<Warning, Failure> {
        let c = &self.churn;
        within("churn.task_days", c.task_days, 0, 3_650)?;
        Ok(Warning {
            no_order_months: within("churn.no_order_months", c.no_order_months, 1, 120)?,
            complaint_days: within("churn.complaint_days", c.complaint_days, 1, 3_650)?,
            rating_days: within("churn.rating_days", c.rating_days, 1, 3_650)?,
            cycle_percent: within("churn.cycle_percent", c.cycle_percent, 101, 10_000)?,
            cycle_orders: within("churn.cycle_orders", c.cycle_orders, 2, 1_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        reporting: ReportingConfig,
    }

    fn with(change: impl FnOnce(&mut ReportingConfig)) -> Result<Parameters, Failure> {
        let file: File = toml::from_str(include_str!("config.default.toml")).unwrap();
        let mut config = file.reporting;
        change(&mut config);
        config.parameters()
    }

    #[test]
    fn the_default_file_is_the_default() {
        assert_eq!(with(|_| {}), Ok(Parameters::default()));
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        for (change, key) in [
            (
                (|c| c.parameters.discount_rate = "-1".to_owned()) as fn(&mut ReportingConfig),
                "discount_rate",
            ),
            (|c| c.parameters.lost_months = 3, "lost_months"),
            (|c| c.parameters.time_zone = "上海".to_owned(), "time_zone"),
            (|c| c.grading.recency_weight = 21, "weights"),
            (|c| c.grading.method = "x".to_owned(), "method"),
            (|c| c.churn.cycle_percent = 100, "cycle_percent"),
            (
                |c| {
                    c.grading.method = "thresholds".to_owned();
                    c.grading.recency_days = [1, 2, 3, 4];
                },
                "thresholds",
            ),
        ] {
            let refused = with(change).unwrap_err();
            assert!(refused.message.contains(key), "{refused}");
        }
    }
}
