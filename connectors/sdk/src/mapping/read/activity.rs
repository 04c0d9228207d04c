//! Transactions, interactions and relationships.

use jinke_types::activity::TransactionLine;
use jinke_types::{
    Body, Interaction, InteractionKind, Money, RecordKey, Relationship, SourceRecord, Transaction,
    TransactionKind,
};
use rust_decimal::Decimal;

use super::At;
use crate::{
    connector::Effect,
    mapping::{Field, Fields, MAX_LINES},
    parse::{self, Unreadable},
};

impl At<'_> {
    pub(super) fn transaction(
        &mut self,
        kind: TransactionKind,
        source: &str,
        id: &str,
    ) -> Option<Transaction> {
        let bound = self.bound;
        let mapping = bound.mapping.transaction.as_ref()?;
        let party = self.party_key(source)?;
        let time = self.required_moment(&mapping.time)?;
        let amount = match &mapping.amount {
            Some(field) => self.money(field, Effect::RowSkipped)?,
            None => None,
        };
        let number = self.optional_text(mapping.number.as_ref());
        Some(Transaction {
            kind,
            party,
            number: if number.is_empty() {
                id.to_owned()
            } else {
                number
            },
            status: self.optional_text(mapping.status.as_ref()),
            time,
            amount,
            lines: Vec::new(),
            text: self.optional_text(mapping.text.as_ref()),
            employee: self.optional_text(mapping.employee.as_ref()),
        })
    }

    /// Adds the row's line; false when it could not be read.
    pub(super) fn line(&mut self, transaction: &mut Transaction) -> bool {
        let bound = self.bound;
        let Some(mapping) = bound
            .mapping
            .transaction
            .as_ref()
            .and_then(|t| t.lines.as_ref())
        else {
            return false;
        };
        if transaction.lines.len() == MAX_LINES {
            let why = "is a line beyond the 2000th of its transaction, which is left out";
            self.fail(None, why, Effect::RowSkipped);
            return false;
        }
        let product = self.optional_text(Some(&mapping.product));
        let quantity = match &mapping.quantity {
            None => Some(Decimal::ONE),
            Some(field) => {
                let before = self.out.errors.len();
                match self.text(field, Effect::RowSkipped) {
                    Some(text) => {
                        let read = parse::number(&text);
                        self.keep(field.column_name(), Effect::RowSkipped, read)
                    }
                    None if self.out.errors.len() > before => None,
                    None => Some(Decimal::ONE),
                }
            }
        };
        let Some(quantity) = quantity else {
            return false;
        };
        let amount = match &mapping.amount {
            None => None,
            Some(field) => match self.money(field, Effect::RowSkipped) {
                Some(amount) => amount,
                None => return false,
            },
        };
        // A transaction without lines is one row with blank line columns.
        if product.is_empty() && amount.is_none() {
            return true;
        }
        let unit = self.optional_text(mapping.unit.as_ref());
        let code = self.optional_text(mapping.code.as_ref());
        let category = self.optional_text(mapping.category.as_ref());
        transaction.lines.push(TransactionLine {
            product,
            code,
            category,
            quantity,
            unit,
            amount,
        });
        true
    }

    pub(super) fn interaction(
        &mut self,
        kind: InteractionKind,
        source: &str,
    ) -> Option<Interaction> {
        let bound = self.bound;
        let mapping = bound.mapping.interaction.as_ref()?;
        Some(Interaction {
            kind,
            party: self.party_key(source)?,
            time: self.required_moment(&mapping.time)?,
            channel: self.optional_text(Some(&mapping.channel)),
            inbound: mapping.inbound.as_ref().is_some_and(|c| self.holds(c)),
            subject: self.optional_text(mapping.subject.as_ref()),
            text: self.optional_text(mapping.text.as_ref()),
            employee: self.optional_text(mapping.employee.as_ref()),
        })
    }

    pub(super) fn relationship(&mut self, source: &str) -> Option<Relationship> {
        let bound = self.bound;
        let mapping = bound.mapping.relationship.as_ref()?;
        let from = self.party_key(source)?;
        let to = self.id(&mapping.to, "the other party")?;
        let to = RecordKey::new(from.source.clone(), to);
        let kind = self.optional_text(Some(&mapping.kind));
        if kind.is_empty() {
            self.fail(
                mapping.kind.column_name(),
                "the kind is blank",
                Effect::RowSkipped,
            );
            return None;
        }
        let mut ends = [None, None];
        for (end, field) in ends
            .iter_mut()
            .zip([&mapping.valid_from, &mapping.valid_to])
        {
            if let Some(field) = field {
                let before = self.out.errors.len();
                *end = self.moment(field, Effect::RowSkipped);
                // A link whose end cannot be read would hold for ever.
                if self.out.errors.len() > before {
                    return None;
                }
            }
        }
        let [valid_from, valid_to] = ends;
        Some(Relationship {
            kind,
            from,
            to,
            valid_from,
            valid_to,
            values: Vec::new(),
        })
    }

    fn party_key(&mut self, source: &str) -> Option<RecordKey> {
        let bound = self.bound;
        let mapping = &bound.mapping;
        let empty = Fields::default();
        let mut id = self.id(mapping.party.as_ref().unwrap_or(&empty), "the party")?;
        if let Some(contact) = &mapping.party_contact {
            let before = self.out.errors.len();
            if let Some(key) = self.text(contact, Effect::RowSkipped) {
                let key =
                    self.keep(contact.column_name(), Effect::RowSkipped, parse::code(&key))?;
                id = format!("{id}#contact:{key}");
            } else if self.out.errors.len() > before {
                return None;
            }
        }
        Some(RecordKey::new(
            mapping.party_source.as_deref().unwrap_or(source),
            id,
        ))
    }

    fn required_moment(&mut self, field: &Field) -> Option<jinke_types::Timestamp> {
        let before = self.out.errors.len();
        let time = self.moment(field, Effect::RowSkipped);
        if time.is_none() && self.out.errors.len() == before {
            self.fail(field.column_name(), "is blank", Effect::RowSkipped);
        }
        time
    }

    /// `None` when it cannot be read, which then has this effect; `Some(None)` when blank.
    #[expect(
        clippy::option_option,
        reason = "unreadable, blank and an amount are three things"
    )]
    pub(super) fn money(&mut self, field: &Field, effect: Effect) -> Option<Option<Money>> {
        let before = self.out.errors.len();
        let Some(text) = self.text(field, effect) else {
            return if self.out.errors.len() > before {
                None
            } else {
                Some(None)
            };
        };
        let column = field.column_name();
        let read = parse::amount(&text, self.bound.mapping.wan);
        let amount = self.keep(column, effect, read)?;
        let bound = self.bound;
        let named = match &bound.mapping.currency {
            None => None,
            Some(field) => match self.text(field, effect) {
                Some(text) => {
                    let read = parse::currency(&text);
                    Some(self.keep(field.column_name(), effect, read)?)
                }
                None if self.out.errors.len() > before => return None,
                None => None,
            },
        };
        let currency = match (named, amount.currency) {
            (Some(named), Some(mark)) if named != mark => {
                let clash = Err(Unreadable("carries the mark of another currency"));
                return self.keep(column, effect, clash);
            }
            (Some(named), _) => named,
            (None, mark) => mark.unwrap_or("CNY").to_owned(),
        };
        Some(Some(Money {
            currency,
            amount: amount.value,
        }))
    }
}

/// Gives a transaction without a total the sum of its lines, when every line has an amount.
pub(super) fn finished(mut record: SourceRecord) -> SourceRecord {
    if let Body::Transaction(t) = &mut record.body
        && t.amount.is_none()
        && let Some(Some(first)) = t.lines.first().map(|l| l.amount.clone())
    {
        let sum = t.lines.iter().try_fold(Decimal::ZERO, |sum, line| {
            let amount = line.amount.as_ref()?;
            if amount.currency == first.currency {
                sum.checked_add(amount.amount)
            } else {
                None
            }
        });
        let sum = sum.map(|sum| sum.normalize());
        t.amount = sum.map(|amount| Money {
            currency: first.currency,
            amount,
        });
    }
    record
}
