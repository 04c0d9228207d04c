//! The sets of the simulated services.

/// A set.
#[derive(Clone, Copy, Debug)]
pub struct Set {
    /// Service.
    pub service: &'static str,
    /// Name.
    pub name: &'static str,
    /// The property that names a row.
    pub key: &'static str,
}

/// A property of a set.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Set.
    pub set: &'static str,
    /// Name.
    pub name: &'static str,
    /// Type, without `Edm.`.
    pub kind: &'static str,
    /// What a drift does to it.
    pub drift: &'static str,
}

const BP: &str = "A_BusinessPartner";
const SO: &str = "A_SalesOrder";

/// All sets.
pub const SETS: &[Set] = &[
    Set {
        service: "API_BUSINESS_PARTNER",
        name: BP,
        key: "BusinessPartner",
    },
    Set {
        service: "API_SALES_ORDER_SRV",
        name: SO,
        key: "SalesOrder",
    },
];

const fn p(
    set: &'static str,
    name: &'static str,
    kind: &'static str,
    drift: &'static str,
) -> Property {
    Property {
        set,
        name,
        kind,
        drift,
    }
}

/// All properties.
pub const PROPERTIES: &[Property] = &[
    p(BP, "BusinessPartner", "String", ""),
    p(BP, "Customer", "String", ""),
    p(BP, "Supplier", "String", ""),
    p(BP, "BusinessPartnerCategory", "String", ""),
    p(BP, "BusinessPartnerGrouping", "String", ""),
    p(BP, "BusinessPartnerFullName", "String", ""),
    p(BP, "PersonFullName", "String", ""),
    p(BP, "FirstName", "String", ""),
    p(BP, "LastName", "String", ""),
    p(BP, "OrganizationBPName1", "String", ""),
    p(BP, "OrganizationBPName2", "String", ""),
    p(BP, "OrganizationBPName3", "String", ""),
    p(BP, "OrganizationBPName4", "String", ""),
    p(BP, "SearchTerm1", "String", "gone"),
    p(BP, "Industry", "String", "retyped"),
    p(BP, "BirthDate", "DateTime", ""),
    p(BP, "BusinessPartnerIsBlocked", "Boolean", ""),
    p(BP, "IsMarkedForArchiving", "Boolean", ""),
    p(BP, "LastChangeDate", "DateTime", ""),
    p(BP, "LastChangeTime", "Time", ""),
    p(BP, "CreationDate", "DateTime", ""),
    p(BP, "CreationTime", "Time", ""),
    p(BP, "BusinessPartnerIDByExtSystem", "String", ""),
    p(SO, "SalesOrder", "String", ""),
    p(SO, "SalesOrderType", "String", ""),
    p(SO, "SalesOrganization", "String", ""),
    p(SO, "DistributionChannel", "String", ""),
    p(SO, "OrganizationDivision", "String", ""),
    p(SO, "SoldToParty", "String", ""),
    p(SO, "SalesOrderDate", "DateTime", ""),
    p(SO, "CreationDate", "DateTime", ""),
    p(SO, "LastChangeDateTime", "DateTimeOffset", ""),
    p(SO, "TotalNetAmount", "Decimal", "retyped"),
    p(SO, "TransactionCurrency", "String", ""),
    p(SO, "PurchaseOrderByCustomer", "String", "gone"),
    p(SO, "OverallSDProcessStatus", "String", ""),
    p(SO, "OverallSDDocumentRejectionSts", "String", ""),
];

/// Links of the sets.
pub const LINKS: &[(&str, &str)] = &[
    (BP, "to_BusinessPartnerAddress"),
    (BP, "to_BusinessPartnerTax"),
    (BP, "to_BusinessPartnerBank"),
    (BP, "to_BusinessPartnerContact"),
    (SO, "to_Item"),
];
