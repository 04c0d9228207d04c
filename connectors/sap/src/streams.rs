//! Which sets and properties each stream reads.

use jinke_sdk::drift::Expected;

use crate::records::{ORDERS, PARTNERS};

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Id of the stream.
    pub name: &'static str,
    /// What its rows are, in the words of a mapping file.
    pub row_kind: &'static str,
    /// The service.
    pub service: &'static str,
    /// The set.
    pub set: &'static str,
    /// The property that names a row.
    pub key: &'static str,
    /// Properties that are read of a row.
    pub properties: &'static [Expected],
    /// Rows that are read with a row: links, or two with a `/` between.
    pub links: &'static [&'static str],
    /// The property that tells the moment of a last change; blank where there is only a date with
    /// a time of day beside it.
    pub moment: &'static str,
}

const fn property(name: &'static str, types: &'static [&'static str]) -> Expected {
    Expected { name, types }
}

const TEXT: &[&str] = &["String"];
const DATE: &[&str] = &["DateTime"];
const TIME: &[&str] = &["Time"];
const FLAG: &[&str] = &["Boolean"];
const NUMBER: &[&str] = &["Decimal"];
const MOMENT: &[&str] = &["DateTimeOffset"];

/// Business partners.
pub static PARTNER: Stream = Stream {
    name: "partners",
    row_kind: "organization",
    service: "API_BUSINESS_PARTNER",
    set: PARTNERS,
    key: "BusinessPartner",
    properties: &[
        property("BusinessPartner", TEXT),
        property("BusinessPartnerCategory", TEXT),
        property("BusinessPartnerFullName", TEXT),
        property("PersonFullName", TEXT),
        property("OrganizationBPName1", TEXT),
        property("OrganizationBPName2", TEXT),
        property("OrganizationBPName3", TEXT),
        property("OrganizationBPName4", TEXT),
        property("Customer", TEXT),
        property("Supplier", TEXT),
        property("SearchTerm1", TEXT),
        property("Industry", TEXT),
        property("BirthDate", DATE),
        property("BusinessPartnerIsBlocked", FLAG),
        property("IsMarkedForArchiving", FLAG),
        property("LastChangeDate", DATE),
        property("LastChangeTime", TIME),
        property("CreationDate", DATE),
        property("CreationTime", TIME),
    ],
    links: &[
        "to_BusinessPartnerTax",
        "to_BusinessPartnerBank",
        "to_BusinessPartnerContact",
        "to_BusinessPartnerAddress",
        "to_BusinessPartnerAddress/to_PhoneNumber",
        "to_BusinessPartnerAddress/to_MobilePhoneNumber",
        "to_BusinessPartnerAddress/to_EmailAddress",
        "to_BusinessPartnerAddress/to_URLAddress",
    ],
    moment: "",
};

/// Sales orders.
pub static ORDER: Stream = Stream {
    name: "orders",
    row_kind: "order",
    service: "API_SALES_ORDER_SRV",
    set: ORDERS,
    key: "SalesOrder",
    properties: &[
        property("SalesOrder", TEXT),
        property("SoldToParty", TEXT),
        property("SalesOrderDate", DATE),
        property("CreationDate", DATE),
        property("LastChangeDateTime", MOMENT),
        property("TotalNetAmount", NUMBER),
        property("TransactionCurrency", TEXT),
        property("PurchaseOrderByCustomer", TEXT),
        property("OverallSDProcessStatus", TEXT),
        property("OverallSDDocumentRejectionSts", TEXT),
    ],
    links: &["to_Item"],
    moment: "LastChangeDateTime",
};

/// The streams, parties first.
pub fn all() -> [&'static Stream; 2] {
    [&PARTNER, &ORDER]
}

impl Stream {
    /// The external id of a row.
    pub fn external_id(&self, number: &str) -> String {
        format!("{},{}", self.set, crate::wire::padded(number))
    }

    /// The number within an external id of this stream, of a row or of what hangs on it.
    pub fn number_of<'a>(&self, external_id: &'a str) -> Option<&'a str> {
        let rest = external_id.strip_prefix(self.set)?.strip_prefix(',')?;
        rest.split('#').next()
    }
}
