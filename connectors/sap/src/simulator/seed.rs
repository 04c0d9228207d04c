//! Rows to begin with.

use std::time::Duration;

use jinke_types::Timestamp;
use serde_json::json;

use super::{Row, Simulator, date, moment, time};

/// The newest time that a seeded row carries: 2026-11-20T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_132_800);

const CITIES: &[&str] = &["上海", "北京", "深圳", "杭州", "苏州"];
const TRADES: &[&str] = &["机械设备", "电子科技", "信息技术", "新材料", "食品"];

/// The number of the n-th partner, with its zeros.
pub fn partner_number(n: usize) -> String {
    format!("{:010}", 1_000_000 + n)
}

/// The number of the customer of the n-th partner: another one, for a few.
fn customer_number(n: usize) -> String {
    if n.is_multiple_of(7) {
        format!("{:010}", 70_000 + n)
    } else {
        partner_number(n)
    }
}

impl Simulator {
    /// `count` partners with an order each, long before [`NOW`], except the last of each. Every
    /// fifth was never changed since it was created; every tenth is a person, who is the contact
    /// of the one before.
    pub fn seed(&self, count: usize) {
        for n in 1..=count {
            let back = if n == count { 0 } else { 100_000 + n as u64 };
            let at = NOW.minus(Duration::from_secs(back));
            self.seed_partner(n, at);
            self.seed_order(n, n, at);
        }
    }

    /// The n-th partner; tells its number.
    pub fn seed_partner(&self, n: usize, at: Timestamp) -> String {
        let number = partner_number(n);
        let (city, trade) = (CITIES[n % CITIES.len()], TRADES[n % TRADES.len()]);
        let person = n.is_multiple_of(10);
        let name = if person {
            format!("赵{n}")
        } else {
            format!("{city}第{n}{trade}有限公司")
        };
        let created = if n.is_multiple_of(5) {
            at
        } else {
            at.minus(Duration::from_secs(1_000_000))
        };
        let changed = !n.is_multiple_of(5);
        let mut row = json!({
            "BusinessPartner": number, "Customer": customer_number(n), "Supplier": null,
            "BusinessPartnerCategory": if person { "1" } else { "2" },
            "BusinessPartnerFullName": name, "OrganizationBPName1": name, "SearchTerm1": city,
            "Industry": "", "BusinessPartnerIsBlocked": n.is_multiple_of(13),
            "IsMarkedForArchiving": n.is_multiple_of(17),
            "CreationDate": date(created), "CreationTime": time(created),
            "LastChangeDate": changed.then(|| date(at)), "LastChangeTime": changed.then(|| time(at)),
            "to_BusinessPartnerAddress": [{
                "AddressID": format!("{}", 20_000 + n), "Country": "CN", "CityName": city,
                "PostalCode": "200000", "StreetName": format!("人民路{n}号"),
                "to_PhoneNumber": [{"OrdinalNumber": "1", "PhoneNumber": format!("021-{}", 50_000_000 + n)}],
                "to_MobilePhoneNumber": [],
                "to_EmailAddress": [{"OrdinalNumber": "1", "EmailAddress": format!("c{n}@example.com")}],
            }],
            "to_BusinessPartnerTax": [{"BPTaxType": "CN5", "BPTaxNumber": format!("91310000{n:010}")}],
            "to_BusinessPartnerBank": [{"BankIdentification": "0001", "BankAccount": format!("6222{n:010}")}],
            "to_BusinessPartnerContact": [],
        });
        if n % 10 == 9 {
            row["to_BusinessPartnerContact"] = json!([{
                "RelationshipNumber": format!("{n}"), "BusinessPartnerCompany": number,
                "BusinessPartnerPerson": partner_number(n + 1),
                "ValidityStartDate": "/Date(1735689600000)/", "ValidityEndDate": "/Date(253402214400000)/",
            }]);
        }
        self.put(
            "A_BusinessPartner",
            &number,
            row.as_object().cloned().unwrap_or_default(),
        );
        number
    }

    /// An order of the n-th partner; tells its number.
    pub fn seed_order(&self, order: usize, n: usize, at: Timestamp) -> String {
        let number = format!("{}", 5_000_000 + order);
        // The sold-to party comes without its zeros, as people enter it.
        let sold_to = customer_number(n).trim_start_matches('0').to_owned();
        let row = json!({
            "SalesOrder": number, "SalesOrderType": "OR", "SalesOrganization": "1010",
            "SoldToParty": sold_to, "SalesOrderDate": date(at), "CreationDate": date(at),
            "LastChangeDateTime": moment(at), "TotalNetAmount": format!("{order}.500"),
            "TransactionCurrency": "CNY", "PurchaseOrderByCustomer": format!("PO{order}"),
            "OverallSDProcessStatus": "C", "OverallSDDocumentRejectionSts": "A",
            "to_Item": [
                {"SalesOrderItem": "10", "Material": "TG11", "SalesOrderItemText": "传感器",
                 "RequestedQuantity": "5.000", "RequestedQuantityUnit": "PC", "NetAmount": format!("{order}.000")},
                {"SalesOrderItem": "100", "Material": "TG13", "SalesOrderItemText": "电缆",
                 "RequestedQuantity": "1.5", "RequestedQuantityUnit": "M", "NetAmount": "0.500"},
                {"SalesOrderItem": "20", "Material": "TG12", "SalesOrderItemText": "取消",
                 "RequestedQuantity": "9", "RequestedQuantityUnit": "PC", "NetAmount": "99",
                 "SalesDocumentRjcnReason": "00"},
            ],
        });
        self.put(
            "A_SalesOrder",
            &number,
            row.as_object().cloned().unwrap_or_default(),
        );
        number
    }

    fn put(&self, set: &'static str, number: &str, row: Row) {
        let mut world = self.world();
        world
            .sets
            .entry(set)
            .or_default()
            .insert(number.to_owned(), row);
    }
}
