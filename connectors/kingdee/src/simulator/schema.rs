//! The forms of the simulated tenant.

/// A field of a form.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Form.
    pub form: &'static str,
    /// Key of the list it stands in; the head's is `FBillHead`.
    pub list: &'static str,
    /// Name.
    pub key: &'static str,
    /// SQL Server's number of its type.
    pub kind: i64,
    /// Form that it points to.
    pub to: &'static str,
    /// What a drift does to it.
    pub drift: &'static str,
}

const HEAD: &str = "FBillHead";
const TEXT: i64 = 231;
const CODE: i64 = 175;
const INT: i64 = 56;
const DECIMAL: i64 = 106;
const TIME: i64 = 61;

macro_rules! fields {
    ($($form:literal $list:ident { $($key:literal $kind:ident $(-> $to:literal)? $(! $drift:literal)?;)* })*) => {
        /// All fields.
        pub const FIELDS: &[Field] = &[$($(Field {
            form: $form, list: $list, key: $key, kind: $kind,
            to: fields!(@or $($to)?), drift: fields!(@or $($drift)?),
        },)*)*];
    };
    (@or) => { "" };
    (@or $text:literal) => { $text };
}

/// Entry list of sales orders.
pub const ORDER_ENTRY: &str = "FSaleOrderEntry";
/// Plan of receivables.
pub const PLAN: &str = "FEntityPlan";

// The spelling of names differs between forms as it does in the product.
fields! {
    "BD_Customer" HEAD {
        "FNumber" TEXT; "FName" TEXT; "FShortName" TEXT ! "gone"; "FDocumentStatus" CODE;
        "FForbidStatus" CODE; "FCreateDate" TIME; "FModifyDate" TIME; "FApproveDate" TIME;
        "FForbidDate" TIME; "FTEL" TEXT ! "retyped"; "FADDRESS" TEXT; "FZIP" TEXT;
        "FWEBSITE" TEXT; "FTAXREGISTERCODE" TEXT; "FINVOICETITLE" TEXT; "FINVOICEBANKNAME" TEXT;
        "FINVOICEBANKACCOUNT" TEXT; "FCreateOrgId" INT -> "ORG_Organizations";
        "FUseOrgId" INT -> "ORG_Organizations"; "FGroup" INT -> "BD_CustomerGroup";
        "FSELLER" INT -> "BD_Saler"; "FTRADINGCURRID" INT -> "BD_Currency";
        "FRECCONDITIONID" INT -> "BD_RecCondition"; "F_JK_KEY" TEXT;
    }
    "BD_CommonContact" HEAD {
        "FNumber" TEXT; "FName" TEXT; "FForbidStatus" CODE; "FCreateDate" TIME;
        "FModifyDate" TIME; "FMobile" TEXT; "FTel" TEXT ! "retyped"; "FEmail" TEXT; "FPost" TEXT;
        "FBizAddress" TEXT ! "gone"; "FCompanyType" TEXT; "FCompany" INT;
    }
    "SAL_SaleOrder" HEAD {
        "FBillNo" TEXT; "FDate" TIME; "FDocumentStatus" CODE; "FCancelStatus" CODE;
        "FCloseStatus" CODE; "FCreateDate" TIME; "FModifyDate" TIME; "FApproveDate" TIME;
        "FCustId" INT -> "BD_Customer"; "FSalerId" INT -> "BD_Saler" ! "gone";
        "FSettleCurrId" INT -> "BD_Currency"; "FBillAllAmount" DECIMAL; "FNote" TEXT ! "retyped";
        "FSaleOrgId" INT -> "ORG_Organizations"; "FBillTypeID" INT -> "BOS_BillType"; "F_JK_KEY" TEXT;
    }
    "SAL_SaleOrder" ORDER_ENTRY {
        "FMaterialId" INT -> "BD_MATERIAL"; "FQty" DECIMAL; "FUnitID" INT -> "BD_UNIT";
        "FTaxPrice" DECIMAL; "FAllAmount" DECIMAL; "FDeliveryDate" TIME; "FEntryNote" TEXT;
    }
    "AR_receivable" HEAD {
        "FBillNo" TEXT; "FDATE" TIME; "FENDDATE_H" TIME ! "retyped"; "FDOCUMENTSTATUS" CODE;
        "FCancelStatus" CODE; "FCreateDate" TIME; "FModifyDate" TIME; "FApproveDate" TIME;
        "FCUSTOMERID" INT -> "BD_Customer"; "FALLAMOUNTFOR" DECIMAL;
        "FCURRENCYID" INT -> "BD_Currency"; "FSALEERID" INT -> "BD_Saler" ! "gone";
    }
    "AR_receivable" PLAN {
        "FENDDATE" TIME; "FPAYAMOUNTFOR" DECIMAL; "FNOTWRITTENOFFAMOUNTFOR" DECIMAL;
    }
    "AR_RECEIVEBILL" HEAD {
        "FBillNo" TEXT; "FDATE" TIME; "FDOCUMENTSTATUS" CODE; "FCancelStatus" CODE;
        "FCreateDate" TIME; "FModifyDate" TIME; "FApproveDate" TIME; "FCONTACTUNITTYPE" TEXT;
        "FCONTACTUNIT" INT; "FCURRENCYID" INT -> "BD_Currency" ! "gone";
        "FRECTOTALAMOUNTFOR" DECIMAL; "FREMARK" TEXT ! "retyped";
    }
    "ORG_Organizations" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_CustomerGroup" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_Saler" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_Currency" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_RecCondition" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BOS_BillType" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_MATERIAL" HEAD { "FNumber" TEXT; "FName" TEXT; }
    "BD_UNIT" HEAD { "FNumber" TEXT; "FName" TEXT; }
}

/// The forms whose base fields are not written by the API: id, number, entry list with its id.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// Its name.
    pub name: &'static str,
    /// Name of the id.
    pub id: &'static str,
    /// Name of the number.
    pub number: &'static str,
    /// What stands before a number that the tenant's coding rule gives.
    pub prefix: &'static str,
    /// Entry list; blank without one.
    pub entry: &'static str,
}

/// All forms.
pub const FORMS: &[Form] = &[
    form("BD_Customer", "FCUSTID", "FNumber", "CUST", ""),
    form("BD_CommonContact", "FCONTACTID", "FNumber", "CXR", ""),
    form("SAL_SaleOrder", "FID", "FBillNo", "XSDD", ORDER_ENTRY),
    form("AR_receivable", "FID", "FBillNo", "AR", PLAN),
    form("AR_RECEIVEBILL", "FID", "FBillNo", "SKD", ""),
    form("ORG_Organizations", "FORGID", "FNumber", "", ""),
    form("BD_CustomerGroup", "FID", "FNumber", "", ""),
    form("BD_Saler", "FID", "FNumber", "", ""),
    form("BD_Currency", "FCURRENCYID", "FNumber", "", ""),
    form("BD_RecCondition", "FID", "FNumber", "", ""),
    form("BOS_BillType", "FBILLTYPEID", "FNumber", "", ""),
    form("BD_MATERIAL", "FMATERIALID", "FNumber", "", ""),
    form("BD_UNIT", "FUNITID", "FNumber", "", ""),
];

const fn form(
    name: &'static str,
    id: &'static str,
    number: &'static str,
    prefix: &'static str,
    entry: &'static str,
) -> Form {
    Form {
        name,
        id,
        number,
        prefix,
        entry,
    }
}
