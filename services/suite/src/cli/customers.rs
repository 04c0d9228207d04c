//! `jinke customers …`

mod more;
mod past;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jinke_kit::Peer;
use jinke_proto::jinke::customer::v1::{
    self as pb, customer_service_client::CustomerServiceClient,
};
use jinke_types::Failure;

use super::{
    Global, Outcome, explain,
    page::{Limit, collect, customer_name, record_key, request_id},
};
use crate::{
    connect::{Answer, connect},
    print::Printer,
};

/// The commands on customers.
#[derive(Debug, Subcommand)]
pub enum CustomersCommand {
    /// List customers
    List(ListArgs),
    /// Show one customer with the origin of every value
    Get {
        /// The customer, by its id or that of any of its records: 12 or customers/12
        #[arg(value_parser = customer_name)]
        customer: String,
    },
    /// Search by a part of a name (two characters and more) or by pinyin initials
    Search {
        /// What to look for
        query: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Look up by record, identifier, phone or email
    Lookup(LookupArgs),
    /// Explain the values of a customer and the links between its records, or one pair of records
    Explain(explain::ExplainArgs),
    /// Merge two customers: judge that they are one
    Merge(MergeArgs),
    /// Take records out of a customer: judge that they are another party
    Unmerge(UnmergeArgs),
    /// The revisions of a customer, newest first
    History {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// Orders, invoices, payments, messages and visits of a customer, newest first
    Timeline {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
        /// How much
        #[command(flatten)]
        limit: Limit,
    },
    /// The change feed
    Changes(ChangesArgs),
    /// Set a tag at a customer
    Tag {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
        /// The tag
        tag: String,
        /// Take it away instead
        #[arg(long)]
        remove: bool,
    },
    /// Sums of orders, invoices, payments… of a customer
    Totals {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
    },
    /// Relationships of a customer to others
    Relationships {
        /// The customer
        #[arg(value_parser = customer_name)]
        customer: String,
    },
    /// Erase a customer and all that names it; this cannot be taken back
    Erase(more::EraseArgs),
    /// Recompute everything from source records and judgements, and report what differs
    Rebuild(more::RebuildArgs),
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Terms joined with AND, e.g. 'kind = ORGANIZATION AND source = "sources/erp"'
    #[arg(long, default_value = "")]
    filter: String,
    /// `name`, `create_time`, `update_time` or `display_name`, each with ` desc`
    #[arg(long, default_value = "", value_name = "FIELD")]
    order_by: String,
    #[command(flatten)]
    limit: Limit,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct LookupArgs {
    /// A source record: SOURCE/EXTERNAL_ID
    #[arg(long, value_parser = record_key, value_name = "KEY")]
    record: Option<pb::RecordKey>,
    /// An identifier: SCHEME:VALUE, e.g. uscc:91330100MA27XL3K5N
    #[arg(long, value_parser = identifier, value_name = "SCHEME:VALUE")]
    identifier: Option<pb::lookup_customers_request::Identifier>,
    /// A phone in any format
    #[arg(long)]
    phone: Option<String>,
    /// An email address
    #[arg(long)]
    email: Option<String>,
}

/// Arguments of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// One customer
    #[arg(value_parser = customer_name)]
    customer: String,
    /// The other customer
    #[arg(value_parser = customer_name)]
    other: String,
    /// Merge although exclusive identifiers differ
    #[arg(long)]
    override_exclusivity: bool,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Only say whether it can be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `unmerge`.
#[derive(Debug, Args)]
pub struct UnmergeArgs {
    /// The customer
    #[arg(value_parser = customer_name)]
    customer: String,
    /// A record that leaves: SOURCE/EXTERNAL_ID; may be given several times
    #[arg(long = "record", required = true, value_parser = record_key, value_name = "KEY")]
    records: Vec<pb::RecordKey>,
    /// Why
    #[arg(long, default_value = "")]
    comment: String,
    /// Only say whether it can be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `changes`.
#[derive(Debug, Args)]
pub struct ChangesArgs {
    /// Go on from this position, as an earlier call printed it
    #[arg(long, default_value = "", value_name = "TOKEN")]
    from: String,
    /// Wait for further changes until Ctrl-C; with --json one answer a line
    #[arg(long, short)]
    follow: bool,
    /// Put the customer as it is now into each change (JSON only)
    #[arg(long)]
    snapshots: bool,
    #[command(flatten)]
    limit: Limit,
}

fn identifier(text: &str) -> Result<pb::lookup_customers_request::Identifier, String> {
    // `foreign:<system>` has a colon of its own, so the value stands behind the last one.
    match text.rsplit_once(':') {
        Some((scheme, value)) if !scheme.is_empty() && !value.is_empty() => {
            Ok(pb::lookup_customers_request::Identifier {
                scheme: scheme.to_owned(),
                value: value.to_owned(),
            })
        }
        _ => Err("an identifier is written SCHEME:VALUE, e.g. uscc:91330100MA27XL3K5N".to_owned()),
    }
}

type Client = CustomerServiceClient<Peer>;

pub(super) fn client(global: &Global) -> Result<Client, Failure> {
    Ok(CustomerServiceClient::new(connect(global)?).max_decoding_message_size(64 << 20))
}

/// Runs a command on customers.
///
/// # Errors
/// What the server answered.
pub async fn customers(
    global: &Global,
    command: CustomersCommand,
    printer: &mut Printer<'_>,
) -> Outcome {
    let mut client = client(global)?;
    match command {
        CustomersCommand::List(args) => list(&mut client, args, printer).await?,
        CustomersCommand::Get { customer } => {
            let request = pb::GetCustomerRequest {
                name: customer,
                ..Default::default()
            };
            let customer = client.get_customer(request).await.answer()?;
            printer.message("jinke.customer.v1.Customer", &customer)?;
            show::show(&customer, printer)?;
        }
        CustomersCommand::Search { query, limit } => {
            search(&mut client, &query, limit.limit, printer).await?;
        }
        CustomersCommand::Lookup(args) => lookup(&mut client, args, printer).await?,
        CustomersCommand::Explain(args) => explain::explain(global, args, printer).await?,
        CustomersCommand::Merge(args) => merge(&mut client, args, printer).await?,
        CustomersCommand::Unmerge(args) => unmerge(&mut client, args, printer).await?,
        CustomersCommand::History { customer, limit } => {
            past::history(&mut client, &customer, limit.limit, printer).await?;
        }
        CustomersCommand::Timeline { customer, limit } => {
            past::timeline(&mut client, &customer, limit.limit, printer).await?;
        }
        CustomersCommand::Changes(args) => past::changes(&mut client, args, printer).await?,
        CustomersCommand::Tag {
            customer,
            tag,
            remove,
        } => more::tag(&mut client, (customer, tag, remove), printer).await?,
        CustomersCommand::Totals { customer } => {
            more::totals(&mut client, customer, printer).await?;
        }
        CustomersCommand::Relationships { customer } => {
            more::relationships(&mut client, customer, printer).await?;
        }
        CustomersCommand::Erase(args) => more::erase(&mut client, args, printer).await?,
        CustomersCommand::Rebuild(args) => return more::rebuild(global, args, printer).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(
    client: &mut Client,
    args: ListArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (customers, next_page_token) =
        collect(args.limit.limit, 1_000, async |page_size, page_token| {
            let request = pb::ListCustomersRequest {
                page_size,
                page_token,
                filter: args.filter.clone(),
                order_by: args.order_by.clone(),
                view: pb::CustomerView::Basic.into(),
            };
            let answer = client.list_customers(request).await.answer()?;
            Ok((answer.customers, answer.next_page_token))
        })
        .await?;
    let answer = pb::ListCustomersResponse {
        customers,
        next_page_token,
    };
    printer.message("jinke.customer.v1.ListCustomersResponse", &answer)?;
    show::rows(&answer.customers, &answer.next_page_token, printer)
}

async fn search(
    client: &mut Client,
    query: &str,
    limit: usize,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let (customers, next_page_token) = collect(limit, 100, async |page_size, page_token| {
        let request = pb::SearchCustomersRequest {
            query: query.to_owned(),
            page_size,
            page_token,
            view: pb::CustomerView::Basic.into(),
        };
        let answer = client.search_customers(request).await.answer()?;
        Ok((answer.customers, answer.next_page_token))
    })
    .await?;
    let answer = pb::SearchCustomersResponse {
        customers,
        next_page_token,
    };
    printer.message("jinke.customer.v1.SearchCustomersResponse", &answer)?;
    show::rows(&answer.customers, &answer.next_page_token, printer)
}

async fn lookup(
    client: &mut Client,
    args: LookupArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    use pb::lookup_customers_request::By;
    let by = match (args.record, args.identifier, args.phone, args.email) {
        (Some(record), ..) => Some(By::Record(record)),
        (_, Some(identifier), ..) => Some(By::Identifier(identifier)),
        (_, _, Some(phone), _) => Some(By::Phone(phone)),
        (_, _, _, email) => email.map(By::Email),
    };
    let request = pb::LookupCustomersRequest {
        by,
        view: pb::CustomerView::Basic.into(),
    };
    let answer = client.lookup_customers(request).await.answer()?;
    printer.message("jinke.customer.v1.LookupCustomersResponse", &answer)?;
    show::rows(&answer.customers, "", printer)
}

async fn merge(
    client: &mut Client,
    args: MergeArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::MergeCustomersRequest {
        customer: args.customer,
        other_customer: args.other,
        override_exclusivity: args.override_exclusivity,
        comment: args.comment,
        validate_only: args.dry_run,
        request_id: if args.dry_run {
            String::new()
        } else {
            request_id()
        },
        ..Default::default()
    };
    let customer = client.merge_customers(request).await.answer()?;
    printer.message("jinke.customer.v1.Customer", &customer)?;
    if args.dry_run {
        return printer.line("可以合并，未保存 it can be merged; nothing was stored");
    }
    printer.line("已合并 merged:")?;
    if printer.is_json() {
        Ok(())
    } else {
        show::show(&customer, printer)
    }
}

async fn unmerge(
    client: &mut Client,
    args: UnmergeArgs,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::UnmergeCustomerRequest {
        name: args.customer,
        records: args.records,
        comment: args.comment,
        validate_only: args.dry_run,
        request_id: if args.dry_run {
            String::new()
        } else {
            request_id()
        },
        ..Default::default()
    };
    let answer = client.unmerge_customer(request).await.answer()?;
    printer.message("jinke.customer.v1.UnmergeCustomerResponse", &answer)?;
    if args.dry_run {
        return printer.line("可以拆分，未保存 it can be unmerged; nothing was stored");
    }
    printer.line("已拆分 unmerged into:")?;
    show::rows(&answer.customers, "", printer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_may_have_a_scheme_with_a_colon() {
        let id = identifier("foreign:u8:C-1").unwrap();
        assert_eq!(
            (id.scheme.as_str(), id.value.as_str()),
            ("foreign:u8", "C-1")
        );
        assert!(identifier("uscc").is_err() && identifier(":1").is_err());
    }
}
