//! The summary after an import, and some commands to try.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use jinke_kit::Peer;
use jinke_proto::jinke::customer::v1::{
    self as pb, customer_service_client::CustomerServiceClient,
    get_customer_stats_response::SourceCount,
};
use jinke_types::Failure;

use super::sample_import::Imported;
use crate::{
    connect::{Answer, DEFAULT_DATA_DIR, login_file},
    print::{Printer, Table, text::clean},
};

/// A search that finds at most so many is worth showing.
const FEW: i32 = 6;
/// So many customers are tried for one that such a search finds.
const TRIED: usize = 20;

/// Prints what is there now, what the imports did, and some commands.
///
/// # Errors
/// What the server answered.
pub(super) async fn print(
    peer: &Peer,
    data_dir: &Path,
    imported: &[Imported],
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut client = CustomerServiceClient::new(peer.clone());
    let stats = client
        .get_customer_stats(pb::GetCustomerStatsRequest {})
        .await
        .answer()?;
    printer.message("jinke.customer.v1.GetCustomerStatsResponse", &stats)?;
    printer.line("")?;
    printer.table(&sources(&stats.sources, imported))?;
    printer.line("")?;
    let total = stats.organizations + stats.persons;
    let errors: u64 = imported.iter().map(|i| i.errors).sum();
    printer.line(format!(
        "黄金客户 golden customers   {total}（组织 organizations {}，个人 persons {}）",
        stats.organizations, stats.persons
    ))?;
    printer.line(format!(
        "合并的记录 merged records   {}",
        stats.merged_records
    ))?;
    printer.line(format!(
        "待人工复核 waiting for review {}",
        stats.open_reviews
    ))?;
    printer.line(format!("错误 errors                 {errors}"))?;
    for source in imported.iter().filter(|i| i.errors > 0) {
        printer.line(format!(
            "  详情 details: jinke connections errors {}",
            source.connection()
        ))?;
    }
    let same = |i: &Imported| i.before && i.counts.created + i.counts.updated == 0;
    if imported.iter().all(same) {
        printer.line(
            "数据上次已导入，本次没有变化 imported before; nothing changed (start over: make run \
             FRESH=1)",
        )?;
    }
    if let Some((customer, term)) = showpiece(&mut client).await? {
        printer.line("")?;
        printer.line("试试看 try these in another terminal:")?;
        let jinke = invocation(data_dir);
        printer.line(format!("  {jinke} customers search {}", quoted(&term)))?;
        printer.line(format!("  {jinke} customers get {}", customer.name))?;
        printer.line(format!("  {jinke} customers explain {}", customer.name))?;
        printer.line(format!(
            "  {jinke} metrics query net_revenue order_count --by grade"
        ))?;
        printer.line(format!("  {jinke} report asset"))?;
    }
    printer.line("")
}

fn sources(counts: &[SourceCount], imported: &[Imported]) -> Table {
    let by_id: BTreeMap<_, _> = imported.iter().map(|i| (i.source.as_str(), i)).collect();
    let mut table = Table::new([
        "来源 source",
        "名称 name",
        ">主体 parties",
        ">关系 relationships",
        ">交易 transactions",
        ">互动 interactions",
        ">错误 errors",
    ]);
    for count in counts {
        let id = count
            .source
            .strip_prefix("sources/")
            .unwrap_or(&count.source);
        let (name, errors) = by_id
            .get(id)
            .map(|i| (i.display_name.clone(), i.errors.to_string()))
            .unwrap_or_default();
        table.row([
            id,
            &name,
            &count.parties.to_string(),
            &count.relationships.to_string(),
            &count.transactions.to_string(),
            &count.interactions.to_string(),
            &errors,
        ]);
    }
    table
}

/// A customer that has much to show, and a term that finds it among few: some brands are also
/// words of a trade or names of places.
async fn showpiece(
    client: &mut CustomerServiceClient<Peer>,
) -> Result<Option<(pb::Customer, String)>, Failure> {
    let request = pb::ListCustomersRequest {
        page_size: 500,
        filter: "kind = ORGANIZATION".to_owned(),
        view: pb::CustomerView::Basic.into(),
        ..Default::default()
    };
    let customers = best(client.list_customers(request).await.answer()?.customers);
    for customer in customers.iter().take(TRIED) {
        let term = search_term(&customer.display_name);
        let request = pb::SearchCustomersRequest {
            query: term.clone(),
            page_size: FEW + 1,
            view: pb::CustomerView::Basic.into(),
            ..Default::default()
        };
        let found = client.search_customers(request).await.answer()?.customers;
        if found.len() <= FEW as usize && found.iter().any(|c| c.name == customer.name) {
            return Ok(Some((customer.clone(), term)));
        }
    }
    Ok(customers.into_iter().next().map(|c| {
        let term = clean(&c.display_name);
        (c, term)
    }))
}

/// The customers that have most to show first: the most records, then the earliest.
fn best(mut customers: Vec<pb::Customer>) -> Vec<pb::Customer> {
    customers.retain(|c| c.display_name.chars().count() >= 4);
    customers.sort_by_key(|c| std::cmp::Reverse(c.record_count));
    customers
}

/// What a person would type to find this name: its brand, else its beginning.
fn search_term(name: &str) -> String {
    let brand = jinke_resolution::standardize::org_name::parse(name)
        .map(|parsed| parsed.brand_chars().iter().collect::<String>())
        .filter(|brand| brand.chars().count() >= 2 && name.contains(brand.as_str()));
    brand.unwrap_or_else(|| clean(name).chars().take(4).collect())
}

/// How this program was called, with the data folder when the commands would not find it.
fn invocation(data_dir: &Path) -> String {
    let program = std::env::args_os()
        .next()
        .map(PathBuf::from)
        .unwrap_or_else(|| "jinke".into());
    let program = quoted(&program.display().to_string());
    // An old login would win over the default folder.
    let elsewhere = login_file().is_ok_and(|f| f.exists());
    if data_dir == Path::new(DEFAULT_DATA_DIR) && !elsewhere {
        return program;
    }
    format!(
        "{program} --data-dir {}",
        quoted(&data_dir.display().to_string())
    )
}

/// Safe to paste into a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(quoted("./target/release/jinke"), "./target/release/jinke");
        assert_eq!(quoted("华星"), "华星");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
        assert_eq!(quoted("-rf"), "'-rf'");
    }

    #[test]
    fn the_search_term_finds_the_name() {
        for name in [
            "杭州金客科技有限公司",
            "ABC",
            "上海华星电子（集团）股份有限公司",
        ] {
            let term = search_term(name);
            assert!(
                name.contains(&term) && term.chars().count() >= 2,
                "{name}: {term}"
            );
        }
    }

    #[test]
    fn the_customer_with_most_records_is_shown() {
        let of = |name: &str, display_name: &str, record_count| pb::Customer {
            name: name.into(),
            display_name: display_name.into(),
            record_count,
            ..pb::Customer::default()
        };
        let all = [
            of("1", "甲乙公司", 2),
            of("2", "丙丁公司", 3),
            of("3", "戊己公司", 3),
            of("4", "短", 9),
        ];
        let names: Vec<_> = best(all.into()).into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["2", "3", "1"]);
    }
}
