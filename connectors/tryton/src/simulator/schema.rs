//! The models and columns of the simulator.

/// A column of a model.
pub(super) struct Field {
    pub model: &'static str,
    pub name: &'static str,
    /// Tryton's name of the type.
    pub kind: &'static str,
    /// The model it points to.
    pub relation: &'static str,
    /// Of a one2many, the column of the other model that points back.
    pub inverse: &'static str,
    /// What becomes of it when the columns drift: `gone`, `retyped`, or nothing.
    pub drift: &'static str,
}

const fn plain(model: &'static str, name: &'static str, kind: &'static str) -> Field {
    drifting(model, name, kind, "")
}

const fn drifting(
    model: &'static str,
    name: &'static str,
    kind: &'static str,
    drift: &'static str,
) -> Field {
    Field {
        model,
        name,
        kind,
        relation: "",
        inverse: "",
        drift,
    }
}

const fn to(model: &'static str, name: &'static str, relation: &'static str) -> Field {
    Field {
        relation,
        ..plain(model, name, "many2one")
    }
}

const fn many(model: &'static str, name: &'static str, relation: &'static str) -> Field {
    Field {
        relation,
        ..plain(model, name, "many2many")
    }
}

const fn parts(
    model: &'static str,
    name: &'static str,
    relation: &'static str,
    inverse: &'static str,
) -> Field {
    Field {
        relation,
        inverse,
        ..plain(model, name, "one2many")
    }
}

/// The column of a model.
pub(super) fn field(model: &str, name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|f| f.model == model && f.name == name)
}

/// All columns of all models.
pub(super) static FIELDS: &[Field] = &[
    plain("party.party", "id", "integer"),
    plain("party.party", "create_date", "timestamp"),
    plain("party.party", "write_date", "timestamp"),
    drifting("party.party", "name", "char", "retyped"),
    drifting("party.party", "code", "char", "gone"),
    plain("party.party", "active", "boolean"),
    to("party.party", "replaced_by", "party.party"),
    many("party.party", "categories", "party.category"),
    parts("party.party", "addresses", "party.address", "party"),
    parts(
        "party.party",
        "contact_mechanisms",
        "party.contact_mechanism",
        "party",
    ),
    parts("party.party", "identifiers", "party.identifier", "party"),
    plain("party.party", "full_name", "char"),
    plain("party.address", "id", "integer"),
    plain("party.address", "create_date", "timestamp"),
    plain("party.address", "write_date", "timestamp"),
    to("party.address", "party", "party.party"),
    plain("party.address", "street", "text"),
    plain("party.address", "city", "char"),
    drifting("party.address", "postal_code", "char", "gone"),
    to("party.address", "country", "country.country"),
    to("party.address", "subdivision", "country.subdivision"),
    plain("party.address", "invoice", "boolean"),
    plain("party.address", "delivery", "boolean"),
    plain("party.address", "active", "boolean"),
    plain("party.contact_mechanism", "id", "integer"),
    plain("party.contact_mechanism", "create_date", "timestamp"),
    plain("party.contact_mechanism", "write_date", "timestamp"),
    to("party.contact_mechanism", "party", "party.party"),
    plain("party.contact_mechanism", "type", "selection"),
    plain("party.contact_mechanism", "value", "char"),
    plain("party.contact_mechanism", "name", "char"),
    plain("party.contact_mechanism", "active", "boolean"),
    plain("party.identifier", "id", "integer"),
    plain("party.identifier", "create_date", "timestamp"),
    plain("party.identifier", "write_date", "timestamp"),
    to("party.identifier", "party", "party.party"),
    plain("party.identifier", "type", "selection"),
    plain("party.identifier", "code", "char"),
    plain("party.identifier", "active", "boolean"),
    plain("party.category", "id", "integer"),
    plain("party.category", "create_date", "timestamp"),
    plain("party.category", "write_date", "timestamp"),
    plain("party.category", "name", "char"),
    plain("country.country", "id", "integer"),
    plain("country.country", "create_date", "timestamp"),
    plain("country.country", "write_date", "timestamp"),
    plain("country.country", "code", "char"),
    plain("country.country", "name", "char"),
    plain("country.subdivision", "id", "integer"),
    plain("country.subdivision", "create_date", "timestamp"),
    plain("country.subdivision", "write_date", "timestamp"),
    plain("country.subdivision", "name", "char"),
    plain("sale.sale", "id", "integer"),
    plain("sale.sale", "create_date", "timestamp"),
    plain("sale.sale", "write_date", "timestamp"),
    plain("sale.sale", "number", "char"),
    drifting("sale.sale", "reference", "char", "gone"),
    drifting("sale.sale", "description", "char", "retyped"),
    plain("sale.sale", "state", "selection"),
    plain("sale.sale", "sale_date", "date"),
    to("sale.sale", "party", "party.party"),
    plain("sale.sale", "total_amount", "numeric"),
    to("sale.sale", "currency", "currency.currency"),
    parts("sale.sale", "lines", "sale.line", "sale"),
    plain("sale.line", "id", "integer"),
    plain("sale.line", "create_date", "timestamp"),
    plain("sale.line", "write_date", "timestamp"),
    to("sale.line", "sale", "sale.sale"),
    plain("sale.line", "type", "selection"),
    to("sale.line", "product", "product.product"),
    plain("sale.line", "description", "text"),
    plain("sale.line", "quantity", "float"),
    to("sale.line", "unit", "product.uom"),
    plain("sale.line", "amount", "numeric"),
    plain("account.invoice", "id", "integer"),
    plain("account.invoice", "create_date", "timestamp"),
    plain("account.invoice", "write_date", "timestamp"),
    plain("account.invoice", "number", "char"),
    drifting("account.invoice", "reference", "char", "gone"),
    drifting("account.invoice", "description", "char", "retyped"),
    plain("account.invoice", "type", "selection"),
    plain("account.invoice", "state", "selection"),
    plain("account.invoice", "invoice_date", "date"),
    to("account.invoice", "party", "party.party"),
    plain("account.invoice", "total_amount", "numeric"),
    to("account.invoice", "currency", "currency.currency"),
    parts(
        "account.invoice",
        "lines",
        "account.invoice.line",
        "invoice",
    ),
    plain("account.invoice.line", "id", "integer"),
    plain("account.invoice.line", "create_date", "timestamp"),
    plain("account.invoice.line", "write_date", "timestamp"),
    to("account.invoice.line", "invoice", "account.invoice"),
    plain("account.invoice.line", "type", "selection"),
    to("account.invoice.line", "product", "product.product"),
    plain("account.invoice.line", "description", "text"),
    plain("account.invoice.line", "quantity", "float"),
    to("account.invoice.line", "unit", "product.uom"),
    plain("account.invoice.line", "amount", "numeric"),
    plain("product.product", "id", "integer"),
    plain("product.product", "create_date", "timestamp"),
    plain("product.product", "write_date", "timestamp"),
    plain("product.product", "rec_name", "char"),
    plain("product.uom", "id", "integer"),
    plain("product.uom", "create_date", "timestamp"),
    plain("product.uom", "write_date", "timestamp"),
    plain("product.uom", "symbol", "char"),
    plain("account.move", "id", "integer"),
    plain("account.move", "create_date", "timestamp"),
    plain("account.move", "write_date", "timestamp"),
    plain("account.move", "number", "char"),
    plain("account.move", "state", "selection"),
    plain("account.move.line", "id", "integer"),
    plain("account.move.line", "create_date", "timestamp"),
    plain("account.move.line", "write_date", "timestamp"),
    to("account.move.line", "party", "party.party"),
    to("account.move.line", "account", "account.account"),
    drifting("account.move.line", "date", "date", "gone"),
    plain("account.move.line", "maturity_date", "date"),
    plain("account.move.line", "debit", "numeric"),
    plain("account.move.line", "credit", "numeric"),
    drifting("account.move.line", "description", "char", "retyped"),
    to(
        "account.move.line",
        "reconciliation",
        "account.move.reconciliation",
    ),
    to("account.move.line", "move", "account.move"),
    to("account.move.line", "company", "company.company"),
    many("account.move.line", "invoice_payments", "account.invoice"),
    plain("account.account", "id", "integer"),
    plain("account.account", "create_date", "timestamp"),
    plain("account.account", "write_date", "timestamp"),
    to("account.account", "type", "account.account.type"),
    plain("account.account.type", "id", "integer"),
    plain("account.account.type", "create_date", "timestamp"),
    plain("account.account.type", "write_date", "timestamp"),
    plain("account.account.type", "receivable", "boolean"),
    plain("account.move.reconciliation", "id", "integer"),
    plain("account.move.reconciliation", "create_date", "timestamp"),
    plain("account.move.reconciliation", "write_date", "timestamp"),
    plain("account.move.reconciliation", "date", "date"),
    plain("company.company", "id", "integer"),
    plain("company.company", "create_date", "timestamp"),
    plain("company.company", "write_date", "timestamp"),
    to("company.company", "currency", "currency.currency"),
    plain("currency.currency", "id", "integer"),
    plain("currency.currency", "create_date", "timestamp"),
    plain("currency.currency", "write_date", "timestamp"),
    plain("currency.currency", "code", "char"),
    plain("account.payment", "id", "integer"),
    plain("account.payment", "create_date", "timestamp"),
    plain("account.payment", "write_date", "timestamp"),
    drifting("account.payment", "number", "char", "gone"),
    drifting("account.payment", "reference", "char", "retyped"),
    plain("account.payment", "kind", "selection"),
    plain("account.payment", "state", "selection"),
    plain("account.payment", "date", "date"),
    to("account.payment", "party", "party.party"),
    plain("account.payment", "amount", "numeric"),
    to("account.payment", "currency", "currency.currency"),
];
