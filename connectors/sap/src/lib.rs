//! SAP S/4HANA over OData V2: business partners and sales orders.
