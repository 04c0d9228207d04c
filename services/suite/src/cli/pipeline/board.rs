//! The funnel and the forecast on a terminal.

use console::measure_text_width;
use jinke_kit::Peer;
use jinke_proto::{
    google::r#type::Money,
    jinke::pipeline::v1::{self as pb, opportunity_service_client::OpportunityServiceClient},
};
use jinke_types::Failure;

use crate::{
    connect::Answer,
    print::{Printer, Table, text},
};

/// Cells of the longest bar.
const WIDEST: i64 = 40;

/// Shows the funnel.
///
/// # Errors
/// What the server answered.
pub async fn board(
    peer: Peer,
    pipeline: String,
    owner: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::GetBoardRequest {
        pipeline,
        owner,
        cards_per_stage: 0,
    };
    let answer = OpportunityServiceClient::new(peer)
        .get_board(request)
        .await
        .answer()?;
    printer.message("jinke.pipeline.v1.GetBoardResponse", &answer)?;
    for line in funnel(&answer) {
        printer.line(line)?;
    }
    Ok(())
}

/// The funnel as lines: a bar per stage, centred like the thing it is named after.
pub fn funnel(board: &pb::GetBoardResponse) -> Vec<String> {
    let mut lines = Vec::new();
    let p = board.pipeline.clone().unwrap_or_default();
    lines.push(format!(
        "销售漏斗 {}(第 {} 版)  {}",
        text::clean(&p.display_name),
        p.version,
        text::time(board.read_time.as_ref())
    ));
    lines.push(String::new());
    let most = board.columns.iter().map(|c| c.count).max().unwrap_or(0);
    let name = |c: &pb::get_board_response::Column| {
        let stage = c.stage.clone().unwrap_or_default();
        let former = if c.former { "(旧)" } else { "" };
        format!("{}{former}", text::clean(&stage.display_name))
    };
    let widest = board
        .columns
        .iter()
        .map(|c| measure_text_width(&name(c)))
        .max()
        .unwrap_or(0);
    let mut before: Option<i64> = None;
    for c in &board.columns {
        let name = name(c);
        let pad = " ".repeat(widest.saturating_sub(measure_text_width(&name)));
        let after_win = c.stage.as_ref().is_some_and(|s| s.after_win);
        let cells = bar(c.count, most);
        let left = (WIDEST - cells) / 2;
        let blank = |n: i64| " ".repeat(usize::try_from(n).unwrap_or_default());
        let fill = if after_win { "▒" } else { "█" };
        let bar = format!(
            "{}{}{}",
            blank(left),
            fill.repeat(usize::try_from(cells).unwrap_or_default()),
            blank(WIDEST - cells - left)
        );
        let rate = match before {
            Some(reached) if reached > 0 => {
                format!("{:>4}%", c.reached_count.saturating_mul(100) / reached)
            }
            _ => "     ".to_owned(),
        };
        before = Some(c.reached_count);
        let mut line = format!(
            "{name}{pad}  {bar}  {:>6} 单  到达 {:>6} {rate}  {}",
            c.count,
            c.reached_count,
            sums(&c.amounts)
        );
        if c.overdue_count > 0 {
            line.push_str(&format!("  超时 {}", c.overdue_count));
        }
        if c.stale_count > 0 {
            line.push_str(&format!("  停滞 {}", c.stale_count));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(String::new());
    lines.push(
        format!(
            "赢单 won {}  {}    输单 lost {}",
            board.won_count,
            sums(&board.won_amounts),
            board.lost_count
        )
        .trim_end()
        .to_owned(),
    );
    let decided = board.won_count + board.lost_count;
    if decided > 0 {
        let rate = board.won_count.saturating_mul(100) / decided;
        lines.push(format!("赢单率 win rate {rate}%"));
    }
    lines
}

/// Cells of a bar: in proportion, and never nothing for something.
fn bar(count: i64, most: i64) -> i64 {
    if count <= 0 || most <= 0 {
        return 0;
    }
    (count.saturating_mul(WIDEST) / most).clamp(1, WIDEST)
}

fn sums(amounts: &[Money]) -> String {
    amounts
        .iter()
        .map(text::money)
        .collect::<Vec<_>>()
        .join(" + ")
}

/// Shows the forecast.
///
/// # Errors
/// What the server answered.
pub async fn forecast(
    peer: Peer,
    pipeline: String,
    owner: String,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let request = pb::GetForecastRequest { pipeline, owner };
    let answer = OpportunityServiceClient::new(peer)
        .get_forecast(request)
        .await
        .answer()?;
    printer.message("jinke.pipeline.v1.GetForecastResponse", &answer)?;
    let mut table = Table::new([
        "月份 month",
        ">在谈 open",
        ">金额 amount",
        ">加权 weighted",
        ">赢单 won",
        ">赢单金额 won amount",
    ]);
    let money = |m: &Option<Money>| m.as_ref().map(text::money).unwrap_or_default();
    for m in &answer.months {
        let month = if m.month.is_empty() {
            "未定 none"
        } else {
            &m.month
        };
        table.row([
            month,
            &m.count.to_string(),
            &money(&m.amount),
            &money(&m.weighted_amount),
            &m.won_count.to_string(),
            &money(&m.won_amount),
        ]);
    }
    printer.table(&table)
}

/// Opportunities as a table.
pub fn rows(opportunities: &[pb::Opportunity]) -> Table {
    use pb::opportunity::Outcome;
    let mut table = Table::new([
        "商机 opportunity",
        "标题 title",
        "客户 customer",
        "阶段 stage",
        ">概率 %",
        ">金额 amount",
        "预计 close",
        "负责人 owner",
        "状态 state",
    ]);
    for o in opportunities {
        let close = o
            .close_date
            .as_ref()
            .map(|d| format!("{:04}-{:02}-{:02}", d.year, d.month, d.day));
        let mut state = match o.outcome() {
            Outcome::Won => "赢单 won".to_owned(),
            Outcome::Lost => format!("输单 lost {}", o.outcome_reason),
            _ => "在谈 open".to_owned(),
        };
        if o.overdue {
            state.push_str(" 超时");
        }
        if o.stale {
            state.push_str(" 停滞");
        }
        table.row([
            o.name.as_str(),
            &o.display_name,
            &o.current_customer,
            &format!("{} {}", o.stage, o.stage_display_name),
            &o.probability.to_string(),
            &o.amount.as_ref().map(text::money).unwrap_or_default(),
            &close.unwrap_or_default(),
            &o.owner,
            &state,
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, count: i64, reached: i64) -> pb::get_board_response::Column {
        pb::get_board_response::Column {
            stage: Some(pb::Stage {
                display_name: name.to_owned(),
                ..pb::Stage::default()
            }),
            count,
            reached_count: reached,
            ..pb::get_board_response::Column::default()
        }
    }

    #[test]
    fn the_funnel_stands_straight_with_chinese_names() {
        let board = pb::GetBoardResponse {
            columns: vec![
                column("线索发现", 40, 60),
                column("签约", 1, 20),
                column("服务", 0, 0),
            ],
            won_count: 3,
            lost_count: 1,
            ..pb::GetBoardResponse::default()
        };
        let lines = funnel(&board);
        assert!(lines[2].starts_with("线索发现  ████"), "{}", lines[2]);
        assert!(lines[3].contains("到达     20   33%"), "{}", lines[3]);
        // One is shown, nothing is not.
        assert_eq!(lines[3].matches('█').count(), 1);
        assert_eq!(lines[4].matches('█').count(), 0);
        let at = |line: &str| measure_text_width(line.split(" 单").next().unwrap());
        assert_eq!(at(&lines[2]), at(&lines[3]));
        assert_eq!(at(&lines[2]), at(&lines[4]));
        assert!(lines.last().unwrap().contains("75%"));
    }

    #[test]
    fn an_empty_funnel_is_no_division_by_zero() {
        let lines = funnel(&pb::GetBoardResponse::default());
        assert!(lines.iter().any(|l| l.starts_with("赢单")));
    }
}
