//! The columns of a lead.

use serde::{Deserialize, Serialize};

use super::{Field, Fields};

/// Columns of a lead. One of `company` and `person_name` must be given, and a row must fill one.
///
/// ```toml
/// kind = "lead"
/// external_id = "编号"
///
/// [lead]
/// company = "公司"
/// person_name = "姓名"
/// phones = ["手机", "电话"]           # one column or several
/// region = ["省份", "城市"]           # written one behind the other
/// channel = { constant = "expo" }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeadMapping {
    /// Name of the organization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company: Option<Field>,
    /// Name of the person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person_name: Option<Field>,
    /// Job title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Field>,
    /// Phones, of several columns or several in a cell.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub phones: Fields,
    /// Email addresses, likewise.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub emails: Fields,
    /// Each of these characters parts two phones or emails within one cell.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub split: String,
    /// 统一社会信用代码.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uscc: Option<Field>,
    /// Province, or province and city; several columns are written one behind the other.
    #[serde(skip_serializing_if = "Fields::is_empty")]
    pub region: Fields,
    /// What they want.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interest: Option<Field>,
    /// Remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<Field>,
    /// What it may be worth, in the mapping's `currency`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Field>,
    /// How they first met us: a column, or `{ constant = "expo" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Field>,
    /// The campaign of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Field>,
    /// When that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Field>,
}

impl Fields {
    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl LeadMapping {
    /// The fields that are one text each.
    pub(super) fn single(&mut self) -> [&mut Option<Field>; 10] {
        [
            &mut self.company,
            &mut self.person_name,
            &mut self.title,
            &mut self.uscc,
            &mut self.interest,
            &mut self.remark,
            &mut self.estimate,
            &mut self.channel,
            &mut self.campaign,
            &mut self.time,
        ]
    }

    /// The fields that may be several columns.
    pub(super) const fn several(&mut self) -> [&mut Fields; 3] {
        [&mut self.phones, &mut self.emails, &mut self.region]
    }

    /// Columns that say who somebody is, by which no lead is known.
    pub(super) fn personal(&self) -> impl Iterator<Item = &str> {
        self.person_name
            .iter()
            .chain(&self.phones.0)
            .chain(&self.emails.0)
            .filter_map(Field::column_name)
    }
}
