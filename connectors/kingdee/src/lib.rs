//! Kingdee K3Cloud (金蝶云星空): customers, contacts, sales orders, receivables and receipts.
