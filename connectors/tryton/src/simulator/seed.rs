//! Rows to begin with: a company that sells, and customers that owe.

use std::time::Duration;

use jinke_types::Timestamp;
use serde_json::{Value, json};

use super::{Simulator, date, decimal, population};

/// The newest time that a seeded row carries: 2026-11-20T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_132_800);

impl Simulator {
    /// Company, currency, accounts: what every document needs.
    pub(super) fn base(&self) {
        let at = NOW.minus(Duration::from_secs(1_000_000));
        self.create("currency.currency", json!({"code": "CNY"}), at);
        self.create("company.company", json!({"currency": 1}), at);
        self.create("country.country", json!({"code": "CN", "name": "中国"}), at);
        for name in ["重点客户", "个人"] {
            self.create("party.category", json!({"name": name}), at);
        }
        self.create("product.product", json!({"rec_name": "[P001] 变频器"}), at);
        self.create("product.uom", json!({"symbol": "台"}), at);
        for receivable in [1, 0] {
            let kind = self.create(
                "account.account.type",
                json!({"receivable": receivable}),
                at,
            );
            self.create("account.account", json!({"type": kind}), at);
        }
    }

    /// `count` customers of the [population](population), each with an address, phones, a contact,
    /// identifiers, an order, an invoice, its receivable and, every third, a payment. All long before
    /// [`NOW`].
    pub fn seed(&self, count: usize) {
        for n in 1..=count {
            // The last second of the seed is exactly NOW for one row of each kind, so that the
            // next ones are after it.
            let back = if n == count {
                0
            } else {
                100_000 + (n as u64 % 5_000)
            };
            let at = NOW.minus(Duration::from_secs(back));
            let party = self.seed_party(n, at);
            self.seed_sale(n, party, at);
            let invoice = self.seed_invoice(n, party, "out", at);
            self.seed_receivable(n, party, at);
            if n.is_multiple_of(3) {
                self.seed_payment(n, party, invoice, at);
            }
            if n.is_multiple_of(10) {
                // What we buy, and lines of other accounts, are in no stream.
                self.seed_invoice(n, party, "in", at);
                let row = json!({"party": party, "account": 2, "debit": decimal("1"), "credit": decimal("0"), "company": 1});
                self.create("account.move.line", row, at);
            }
        }
    }

    /// A customer: number `n` of the [population](population).
    pub fn seed_party(&self, n: usize, at: Timestamp) -> i64 {
        let who = population::entry(population::SEED, n);
        let row = json!({
            "name": who.name, "code": format!("C{n:05}"),
            "active": i64::from(!n.is_multiple_of(17)), "categories": [if who.person { 2 } else { 1 }],
        });
        let party = self.create("party.party", row, at);
        let address = json!({
            "party": party, "street": who.street, "city": who.city,
            "postal_code": who.postcode, "country": 1, "invoice": 1, "delivery": null,
        });
        self.create("party.address", address, at);
        if let Some(phone) = who.phone {
            let phone = json!({"party": party, "type": "phone", "value": phone});
            self.create("party.contact_mechanism", phone, at);
        }
        let mobile = json!({
            "party": party, "type": "mobile", "value": who.mobile, "name": who.contact,
        });
        self.create("party.contact_mechanism", mobile, at);
        let old = json!({"party": party, "type": "fax", "value": "021-1", "active": 0});
        self.create("party.contact_mechanism", old, at);
        let code = json!({"party": party, "type": null, "code": format!("REG{n:06}")});
        self.create("party.identifier", code, at);
        if let Some(code) = who.uscc {
            let row = json!({"party": party, "type": "cn_uscc", "code": code});
            self.create("party.identifier", row, at);
        }
        party
    }

    /// An order of one line.
    pub fn seed_sale(&self, n: usize, party: i64, at: Timestamp) -> i64 {
        let row = json!({
            "number": format!("S{n}"), "reference": format!("PO-{n}"), "state": "processing",
            "sale_date": date(2026, 11, 1 + (n % 19) as u8), "party": party, "currency": 1,
            "total_amount": decimal(&format!("{n}.10")),
        });
        let sale = self.create("sale.sale", row, at);
        self.create("sale.line", line("sale", sale, n), at);
        sale
    }

    /// An invoice of one line; `kind` is `out` or `in`.
    pub fn seed_invoice(&self, n: usize, party: i64, kind: &str, at: Timestamp) -> i64 {
        let row = json!({
            "number": format!("FP{n}"), "type": kind, "state": "posted", "party": party,
            "invoice_date": date(2026, 11, 1 + (n % 19) as u8), "currency": 1,
            "total_amount": decimal(&format!("{n}.10")),
        });
        let invoice = self.create("account.invoice", row, at);
        self.create("account.invoice.line", line("invoice", invoice, n), at);
        invoice
    }

    /// What a customer owes.
    pub fn seed_receivable(&self, n: usize, party: i64, at: Timestamp) -> i64 {
        let paid = n.is_multiple_of(3);
        let reconciled = paid.then(|| {
            self.create(
                "account.move.reconciliation",
                json!({"date": date(2026, 11, 2)}),
                at,
            )
        });
        self.move_line(n, party, (&format!("{n}.10"), "0"), reconciled, &[], at)
    }

    /// What a customer has paid.
    pub fn seed_payment(&self, n: usize, party: i64, invoice: i64, at: Timestamp) -> i64 {
        let reconciled = self.create(
            "account.move.reconciliation",
            json!({"date": date(2026, 11, 2)}),
            at,
        );
        self.move_line(
            n,
            party,
            ("0", &format!("{n}.10")),
            Some(reconciled),
            &[invoice],
            at,
        )
    }

    fn move_line(
        &self,
        n: usize,
        party: i64,
        (debit, credit): (&str, &str),
        reconciliation: Option<i64>,
        invoices: &[i64],
        at: Timestamp,
    ) -> i64 {
        let posted = json!({"number": format!("M{n}"), "state": "posted"});
        let posted = self.create("account.move", posted, at);
        let row = json!({
            "party": party, "account": 1, "date": date(2026, 11, 2),
            "maturity_date": date(2026, 12, 2), "debit": decimal(debit),
            "credit": decimal(credit), "reconciliation": reconciliation, "move": posted,
            "company": 1, "invoice_payments": invoices,
        });
        self.create("account.move.line", row, at)
    }
}

fn line(owner: &str, id: i64, n: usize) -> Value {
    json!({
        owner: id, "type": "line", "product": 1, "quantity": 1.5, "unit": 1,
        "amount": decimal(&format!("{n}.10")),
    })
}
