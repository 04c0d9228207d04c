//! The customer asset report (客户资产报告).
//!
//! [`model`] computes it: everything the pages show, as plain numbers and texts, in fixed order.
//! [`html`] and [`xlsx`] write it, in Chinese or English. Both are functions of the model alone: the
//! same date and data give the same bytes.

pub mod charts;
pub mod html;
pub mod model;
pub mod svg;
pub mod words;
pub mod xlsx;

/// What a report is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// 简体中文.
    Zh,
    /// English.
    En,
}

impl Language {
    /// One of two texts.
    pub const fn pick(self, zh: &'static str, en: &'static str) -> &'static str {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}
