//! Finding the row with the column names below titles and notes, and the names of columns
//! whose header spans several rows or stands under a merged heading.

use jinke_sdk::{Cell, Mapping};

/// A header may span so many rows.
const DEPTH: usize = 3;

/// A row near the top, with the merged headings spread over the cells they cover.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopRow {
    /// The row number as a spreadsheet shows it.
    pub row: u64,
    /// Text of each cell as it stands.
    pub own: Vec<String>,
    /// Text of each cell, a merged heading repeated over all columns it covers.
    pub spread: Vec<String>,
}

/// The header that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its last row; data begins below.
    pub row: u64,
    /// The name of each column; under a merged heading `heading/name`.
    pub names: Vec<String>,
}

/// The first row in which the most of the mapping's columns are found, and among them all
/// required ones; alone, or together with up to two rows above it. `None` if there is none.
pub fn find(mapping: &Mapping, top: &[TopRow]) -> Option<Header> {
    let mut best: Option<(usize, usize, Header)> = None;
    for (i, row) in top.iter().enumerate() {
        let blank = row.own.iter().all(String::is_empty);
        if blank || mapping.header_row.is_some_and(|wanted| wanted != row.row) {
            continue;
        }
        for depth in 0..DEPTH.min(i + 1) {
            let names = names(&top[i - depth..=i]);
            let Some(found) = mapping.found_in(&names) else {
                continue;
            };
            if best.as_ref().is_none_or(|(most, least, _)| {
                found > *most || (found == *most && depth < *least && row.row == best_row(&best))
            }) {
                best = Some((
                    found,
                    depth,
                    Header {
                        row: row.row,
                        names,
                    },
                ));
            }
        }
    }
    best.map(|(_, _, header)| header)
}

fn best_row(best: &Option<(usize, usize, Header)>) -> u64 {
    best.as_ref().map_or(0, |(_, _, header)| header.row)
}

/// The header that looks best without a mapping: the row of which the most names are known.
pub fn likeliest(top: &[TopRow]) -> Option<Header> {
    let mut best: Option<(usize, Header)> = None;
    for row in top {
        let filled = row.own.iter().filter(|n| !n.is_empty()).count();
        let known = filled.saturating_sub(jinke_sdk::guess(&row.own).unmapped.len());
        if filled > 0 && best.as_ref().is_none_or(|(most, _)| known > *most) {
            best = Some((
                known,
                Header {
                    row: row.row,
                    names: row.own.clone(),
                },
            ));
        }
    }
    best.map(|(_, header)| header)
}

/// The column names of a header of several rows, the last of which is lowest.
fn names(rows: &[TopRow]) -> Vec<String> {
    let width = rows
        .iter()
        .map(|r| r.spread.len())
        .max()
        .unwrap_or_default();
    let cell = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
    let Some((last, above)) = rows.split_last() else {
        return Vec::new();
    };
    (0..width)
        .map(|at| {
            let own = cell(&last.own, at);
            let heading = above
                .iter()
                .rev()
                .map(|r| cell(&r.spread, at))
                .find(|t| !t.is_empty());
            match heading {
                Some(heading) if own.is_empty() => heading,
                Some(heading) if heading != own => format!("{heading}/{own}"),
                _ => own,
            }
        })
        .collect()
}

/// The text of a header cell, at most 200 characters on one line.
pub fn text_of(cell: &Cell) -> String {
    let text = match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Decimal(number) => number.to_string(),
        Cell::Moment(at) => at.format("%Y-%m-%d").to_string(),
        Cell::Empty | Cell::Bool(_) | Cell::Bad(_) => String::new(),
    };
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping() -> Mapping {
        Mapping::from_toml(
            "kind = 'organization'\nexternal_id = '编码'\n\
             [[values]]\nattribute = 'name'\ncolumn = '名称'\n\
             [[values]]\nattribute = 'phone'\ncolumn = '电话'\n",
        )
        .unwrap()
    }

    fn row(row: u64, cells: &[&str]) -> TopRow {
        let own: Vec<String> = cells.iter().map(|c| (*c).to_owned()).collect();
        TopRow {
            row,
            spread: own.clone(),
            own,
        }
    }

    #[test]
    fn below_notes() {
        let top = [
            row(1, &["客户清单"]),
            row(2, &["导出日期", "x"]),
            row(4, &["编码", "名称", "电话"]),
        ];
        let header = find(&mapping(), &top).unwrap();
        assert_eq!(
            (header.row, header.names.join(",")),
            (4, "编码,名称,电话".to_owned())
        );
    }

    #[test]
    fn over_two_rows_with_a_merged_heading() {
        let mut top = [
            row(2, &["编码", "名称", "联系方式", ""]),
            row(3, &["", "", "电话", "邮箱"]),
            row(4, &["C1", "某公司", "", ""]),
        ];
        top[0].spread[3] = "联系方式".to_owned();
        let header = find(&mapping(), &top).unwrap();
        assert_eq!(header.row, 3);
        assert_eq!(
            header.names,
            ["编码", "名称", "联系方式/电话", "联系方式/邮箱"]
        );
    }

    #[test]
    fn none_without_the_required_column() {
        assert_eq!(find(&mapping(), &[row(1, &["名称", "电话"])]), None);
        assert_eq!(find(&mapping(), &[]), None);
    }
}
