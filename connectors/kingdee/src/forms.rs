//! Which forms and fields each stream reads.
//!
//! Names of fields are spelled differently between forms and tenants (`FDate`, `FDATE`), so the
//! names here are compared without case with what `QueryBusinessInfo` tells, and a query is
//! written with the tenant's spelling.

use jinke_sdk::drift::Expected;

/// What the rows of a stream become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Customers.
    Customers,
    /// Contact persons.
    Contacts,
    /// Sales orders.
    Orders,
    /// Receivables.
    Receivables,
    /// Receipts.
    Receipts,
}

/// A field that a stream reads.
#[derive(Debug)]
pub struct Wanted {
    /// Its name.
    pub name: &'static str,
    /// What is read of the row it points to; empty reads the field itself.
    pub of: &'static [&'static str],
    /// Types of its column that can be read; empty means any.
    pub types: &'static [&'static str],
    /// It need not be there, and its absence is not told.
    pub optional: bool,
}

/// One stream.
#[derive(Debug)]
pub struct Stream {
    /// Id of the stream.
    pub name: &'static str,
    /// What its rows become.
    pub kind: Kind,
    /// The form.
    pub form: &'static str,
    /// The field that holds the id of a row.
    pub id: &'static str,
    /// The field that holds the number of a row.
    pub number: &'static str,
    /// The list of entries that is read with a row, when the form has it.
    pub entries: Option<&'static str>,
    /// What is read.
    pub fields: &'static [Wanted],
    /// Which rows belong to the stream: fields, and what is asked of each.
    pub base: &'static [(&'static str, &'static str)],
}

/// Times that change with a row: a review moves only the third, a ban only the last.
pub const TIMES: [&str; 4] = ["FModifyDate", "FCreateDate", "FApproveDate", "FForbidDate"];

const fn field(name: &'static str, types: &'static [&'static str]) -> Wanted {
    Wanted {
        name,
        of: &[],
        types,
        optional: false,
    }
}

const fn maybe(name: &'static str, types: &'static [&'static str]) -> Wanted {
    Wanted {
        optional: true,
        ..field(name, types)
    }
}

const fn link(name: &'static str, of: &'static [&'static str]) -> Wanted {
    Wanted {
        name,
        of,
        types: &[],
        optional: false,
    }
}

// A column whose type the tenant does not tell has a blank one and is taken on trust.
const TEXT: &[&str] = &["", "text"];
const WHOLE: &[&str] = &["", "integer"];
const NUMBER: &[&str] = &["", "integer", "decimal"];
const TIME: &[&str] = &["", "time"];
const NAME: &[&str] = &["FName"];
const NUMBER_OF: &[&str] = &["FNumber"];

static CUSTOMERS: Stream = Stream {
    name: "customers",
    kind: Kind::Customers,
    form: "BD_Customer",
    id: "FCUSTID",
    number: "FNumber",
    entries: None,
    fields: &[
        field("FCUSTID", WHOLE),
        field("FNumber", TEXT),
        field("FName", TEXT),
        field("FShortName", TEXT),
        field("FDocumentStatus", TEXT),
        field("FForbidStatus", TEXT),
        field("FModifyDate", TIME),
        field("FCreateDate", TIME),
        maybe("FApproveDate", TIME),
        maybe("FForbidDate", TIME),
        field("FTEL", TEXT),
        field("FADDRESS", TEXT),
        maybe("FZIP", TEXT),
        maybe("FWEBSITE", TEXT),
        field("FTAXREGISTERCODE", TEXT),
        field("FINVOICETITLE", TEXT),
        field("FINVOICEBANKNAME", TEXT),
        field("FINVOICEBANKACCOUNT", TEXT),
        link("FCreateOrgId", NUMBER_OF),
        link("FUseOrgId", NUMBER_OF),
        link("FGroup", NAME),
        link("FSELLER", NUMBER_OF),
        link("FTRADINGCURRID", NAME),
        link("FRECCONDITIONID", NAME),
    ],
    base: &[("FDocumentStatus", "<> 'Z'")],
};

static CONTACTS: Stream = Stream {
    name: "contacts",
    kind: Kind::Contacts,
    form: "BD_CommonContact",
    id: "FCONTACTID",
    number: "FNumber",
    entries: None,
    fields: &[
        field("FCONTACTID", WHOLE),
        field("FNumber", TEXT),
        field("FName", TEXT),
        field("FForbidStatus", TEXT),
        field("FModifyDate", TIME),
        field("FCreateDate", TIME),
        maybe("FApproveDate", TIME),
        maybe("FForbidDate", TIME),
        field("FMobile", TEXT),
        field("FTel", TEXT),
        field("FEmail", TEXT),
        maybe("FPost", TEXT),
        field("FBizAddress", TEXT),
        field("FCompanyType", TEXT),
        field("FCompany", &[]),
    ],
    base: &[],
};

static ORDERS: Stream = Stream {
    name: "orders",
    kind: Kind::Orders,
    form: "SAL_SaleOrder",
    id: "FID",
    number: "FBillNo",
    entries: Some("FSaleOrderEntry"),
    fields: &[
        field("FID", WHOLE),
        field("FBillNo", TEXT),
        field("FDate", TIME),
        field("FDocumentStatus", TEXT),
        maybe("FCancelStatus", TEXT),
        maybe("FCloseStatus", TEXT),
        field("FModifyDate", TIME),
        field("FCreateDate", TIME),
        maybe("FApproveDate", TIME),
        field("FCustId", &[]),
        link("FSalerId", NAME),
        link("FSettleCurrId", NAME),
        maybe("FBillAllAmount", NUMBER),
        maybe("FNote", TEXT),
        link("FMaterialId", &["FNumber", "FName"]),
        field("FQty", NUMBER),
        link("FUnitID", NAME),
        field("FAllAmount", NUMBER),
    ],
    base: &[("FDocumentStatus", "<> 'Z'")],
};

static RECEIVABLES: Stream = Stream {
    name: "receivables",
    kind: Kind::Receivables,
    form: "AR_receivable",
    id: "FID",
    number: "FBillNo",
    entries: Some("FEntityPlan"),
    fields: &[
        field("FID", WHOLE),
        field("FBillNo", TEXT),
        field("FDATE", TIME),
        field("FENDDATE_H", TIME),
        field("FDOCUMENTSTATUS", TEXT),
        maybe("FCancelStatus", TEXT),
        field("FModifyDate", TIME),
        field("FCreateDate", TIME),
        maybe("FApproveDate", TIME),
        field("FCUSTOMERID", &[]),
        field("FALLAMOUNTFOR", NUMBER),
        link("FCURRENCYID", NAME),
        link("FSALEERID", NAME),
        maybe("FNOTWRITTENOFFAMOUNTFOR", NUMBER),
    ],
    base: &[("FDOCUMENTSTATUS", "<> 'Z'")],
};

static RECEIPTS: Stream = Stream {
    name: "receipts",
    kind: Kind::Receipts,
    form: "AR_RECEIVEBILL",
    id: "FID",
    number: "FBillNo",
    entries: None,
    fields: &[
        field("FID", WHOLE),
        field("FBillNo", TEXT),
        field("FDATE", TIME),
        field("FDOCUMENTSTATUS", TEXT),
        maybe("FCancelStatus", TEXT),
        field("FModifyDate", TIME),
        field("FCreateDate", TIME),
        maybe("FApproveDate", TIME),
        field("FCONTACTUNITTYPE", TEXT),
        field("FCONTACTUNIT", &[]),
        link("FCURRENCYID", NAME),
        field("FRECTOTALAMOUNTFOR", NUMBER),
        maybe("FREMARK", TEXT),
    ],
    base: &[
        ("FDOCUMENTSTATUS", "<> 'Z'"),
        ("FCONTACTUNITTYPE", "= 'BD_Customer'"),
    ],
};

/// The streams, parties first.
pub fn all() -> [&'static Stream; 5] {
    [&CUSTOMERS, &CONTACTS, &ORDERS, &RECEIVABLES, &RECEIPTS]
}

/// The stream of a kind that is written too.
pub fn written(kind: &str) -> Option<&'static Stream> {
    match kind {
        "customer" => Some(&CUSTOMERS),
        "order" => Some(&ORDERS),
        _ => None,
    }
}

impl Stream {
    /// What the rows are, in the words of a mapping file.
    pub const fn row_kind(&self) -> &'static str {
        match self.kind {
            Kind::Customers => "organization",
            Kind::Contacts => "person",
            Kind::Orders => "order",
            Kind::Receivables => "receivable",
            Kind::Receipts => "payment",
        }
    }

    /// What drift compares with.
    pub fn expected(&self) -> Vec<Expected> {
        let wanted = self.fields.iter().map(|f| Expected {
            name: f.name,
            types: f.types,
        });
        wanted.collect()
    }

    /// Whether a field need not be there.
    pub fn is_optional(&self, name: &str) -> bool {
        self.fields.iter().any(|f| f.name == name && f.optional)
    }

    /// The external id of a row.
    pub fn external_id(&self, id: i64) -> String {
        external_id(self.form, id)
    }

    /// The id within an external id of this stream, of a row or of what hangs on it.
    pub fn id_of(&self, external_id: &str) -> Option<i64> {
        let rest = external_id.strip_prefix(self.form)?.strip_prefix(',')?;
        rest.split('#').next()?.parse().ok()
    }
}

/// `form,id`.
pub fn external_id(form: &str, id: i64) -> String {
    format!("{form},{id}")
}

/// The external id of the customer with an id.
pub fn customer(id: i64) -> String {
    external_id(CUSTOMERS.form, id)
}

/// The external id of the link from a contact to its customer.
pub fn contact_link(contact: &str) -> String {
    format!("{contact}#contact_of:customer")
}
