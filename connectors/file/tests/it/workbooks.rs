//! Workbooks as people make them.

use std::path::{Path, PathBuf};

use jinke_sdk::Connector;
use jinke_types::{Body, Datum, Timestamp};
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

use crate::support::{connector, names, read, told};

const MESSY: &str = "
kind = 'organization'
sheet = '客户'
external_id = '编码'
update_time = '更新'
[[values]]
attribute = 'name'
column = '名称'
[[values]]
attribute = 'phone'
column = '联系方式/电话'
[[values]]
attribute = 'x_region'
column = '大区'
";

fn messy(dir: &Path) -> PathBuf {
    let path = dir.join("messy.xlsx");
    let mut book = Workbook::new();
    let centre = Format::new();
    let hidden = book.add_worksheet().set_name("参数").unwrap();
    hidden.set_hidden(true).write(0, 0, "编码").unwrap();
    let sheet = book
        .add_worksheet()
        .set_name("客户")
        .unwrap()
        .set_active(true);
    sheet.merge_range(0, 0, 0, 5, "客户台账", &centre).unwrap();
    sheet.write(1, 0, "编制：财务部").unwrap();
    sheet.merge_range(3, 0, 4, 0, "大区", &centre).unwrap();
    sheet.merge_range(3, 1, 4, 1, "编 码*", &centre).unwrap();
    sheet.merge_range(3, 2, 4, 2, "名称", &centre).unwrap();
    sheet.merge_range(3, 3, 3, 4, "联系方式", &centre).unwrap();
    sheet
        .write(4, 3, "邮箱")
        .unwrap()
        .write(4, 4, "电话")
        .unwrap();
    sheet.merge_range(3, 5, 4, 5, "更新", &centre).unwrap();
    sheet.merge_range(5, 0, 7, 0, "华东", &centre).unwrap();
    let date = Format::new().set_num_format("yyyy/m/d");
    let at = ExcelDateTime::from_ymd(2024, 1, 5).unwrap();
    sheet
        .write(5, 1, 1001.0)
        .unwrap()
        .write(5, 2, "甲公司")
        .unwrap();
    sheet.write(5, 4, 13_812_345_678.0).unwrap();
    sheet.write_datetime_with_format(5, 5, &at, &date).unwrap();
    sheet
        .write(6, 1, "1002")
        .unwrap()
        .write(6, 2, "乙公司")
        .unwrap();
    sheet
        .write(6, 4, "1.3812345678E10")
        .unwrap()
        .write(6, 5, 45_296)
        .unwrap();
    sheet
        .write(7, 1, "1003.0")
        .unwrap()
        .write(7, 2, "丙公司")
        .unwrap();
    sheet
        .write(7, 4, "1.38123E+10")
        .unwrap()
        .write(7, 5, "2024年1月5日")
        .unwrap();
    sheet
        .write(9, 1, "1004")
        .unwrap()
        .write(9, 2, "丁公司")
        .unwrap();
    sheet.write(9, 5, "昨天").unwrap();
    sheet
        .write(10, 1, 123_456_789_012_345_678.0)
        .unwrap()
        .write(10, 2, "戊公司")
        .unwrap();
    sheet.write(11, 0, "合计").unwrap().write(11, 4, 5).unwrap();
    book.save(&path).unwrap();
    path
}

#[tokio::test]
async fn a_messy_sheet_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (records, errors, notes) = read(&messy(dir.path()), MESSY).await;
    assert_eq!(
        names(&records),
        ["1001=甲公司", "1002=乙公司", "1003=丙公司"]
    );
    let china = Timestamp::parse("2024-01-05T00:00:00+08:00");
    for (record, phone) in records
        .iter()
        .zip([Some("13812345678"), Some("13812345678"), None])
    {
        assert_eq!(record.update_time, china);
        let Body::Party { values, .. } = &record.body else {
            panic!()
        };
        let of = |name: &str| {
            values
                .iter()
                .find(|v| v.attribute == name)
                .map(|v| v.datum.clone())
        };
        assert_eq!(of("phone"), phone.map(|p| Datum::Text(p.to_owned())));
        assert_eq!(of("x_region"), Some(Datum::Text("华东".to_owned())));
    }
    let lost = "was shortened to scientific notation and lost digits; export it as text";
    let long = "is a number of over 15 digits, of which the sheet lost the last; store it as text";
    assert_eq!(
        told(&errors),
        [
            format!("8:联系方式/电话:{lost}"),
            "10:更新:is not a date".to_owned(),
            format!("11:编码:{long}"),
            "12:编码:the external id is blank, looks like a total".to_owned(),
        ]
    );
    assert!(
        notes.contains(&"the hidden sheet 参数 is passed over".to_owned()),
        "{notes:?}"
    );
    assert!(
        notes.contains(&"the header is row 5".to_owned()),
        "{notes:?}"
    );
}

#[tokio::test]
async fn discover_check_and_preview_tell_what_will_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let connector = connector(&messy(dir.path()), MESSY, jinke_file::Limits::default());
    connector.check().await.unwrap();
    let streams = connector.discover().await.unwrap();
    assert_eq!(streams[0].stream, "messy.xlsx#客户");
    let columns: Vec<_> = streams[0]
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.mapped))
        .collect();
    assert_eq!(columns[1], ("编 码*", true));
    assert_eq!(columns[3], ("联系方式/邮箱", false));
    let preview = connector.preview("messy.xlsx#客户", 2).await.unwrap();
    assert_eq!(preview.rows.len(), 2);
    assert_eq!(preview.rows[1].location.row, 7);
    assert_eq!(preview.unmapped, ["联系方式/邮箱"]);
}

#[tokio::test]
async fn a_missing_column_or_sheet_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = messy(dir.path());
    let pull = |mapping: String| {
        let connector = connector(&path, &mapping, jinke_file::Limits::default());
        async move {
            crate::support::pages(&connector, None)
                .await
                .1
                .unwrap()
                .failure
        }
    };
    let failure = pull(MESSY.replace("external_id = '编码'", "external_id = '客户号'")).await;
    assert_eq!(failure.reason, "COLUMNS_MISSING");
    assert_eq!(failure.metadata["columns"], "客户号");
    let failure = pull(MESSY.replace("sheet = '客户'", "sheet = '供应商'")).await;
    assert!(failure.message.contains("has no sheet 供应商"), "{failure}");
    let failure = pull(MESSY.replace("sheet = '客户'", "sheet = '参数'")).await;
    assert!(failure.message.contains("is hidden"), "{failure}");
}

#[tokio::test]
async fn a_mapping_is_proposed_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = "客户清单\n客户编码,客户名称,税号,联系电话,联系人\nC1,甲公司,913,021-1,王芳\n";
    let path = crate::support::write(dir.path(), "g.csv", text);
    let guess = jinke_file::guess_file(&path, None).await.unwrap();
    assert!(
        guess.open.is_empty() && guess.unmapped.is_empty(),
        "{guess:?}"
    );
    let mapping = guess.mapping.to_toml().unwrap();
    let (records, errors, _) = read(&path, &mapping).await;
    assert!(errors.is_empty());
    assert_eq!(records.len(), 3, "the company, its contact and their link");
}

/// A workbook as other programs than Excel write it: `strings` is the shared table, and row `r`
/// names the strings `3r`, `3r + 1` and `3r + 2` in its columns A to C.
fn by_hand(path: &std::path::Path, strings: &[&str]) {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    let mut part = |name: &str, text: &str| {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    };
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    part(
        "[Content_Types].xml",
        "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>",
    );
    part(
        "_rels/.rels",
        &format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" \
             Type=\"{office}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"
        ),
    );
    part(
        "xl/workbook.xml",
        &format!(
            "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>\
             <sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
        ),
    );
    part(
        "xl/_rels/workbook.xml.rels",
        &format!(
            "<Relationships xmlns=\"{package}\"><Relationship Id=\"r1\" \
             Type=\"{office}/worksheet\" Target=\"worksheets/sheet1.xml\"/>\
             <Relationship Id=\"r2\" Type=\"{office}/sharedStrings\" \
             Target=\"sharedStrings.xml\"/></Relationships>"
        ),
    );
    let table: String = strings.concat();
    part(
        "xl/sharedStrings.xml",
        &format!("<sst xmlns=\"{main}\">{table}</sst>"),
    );
    let rows: String = (0..strings.len() / 3)
        .map(|r| {
            let cell = |c: char, i: usize| {
                let (row, index) = (r + 1, 3 * r + i);
                format!("<c r=\"{c}{row}\" t=\"s\"><v>{index}</v></c>")
            };
            format!(
                "<row r=\"{}\">{}{}{}</row>",
                r + 1,
                cell('A', 0),
                cell('B', 1),
                cell('C', 2)
            )
        })
        .collect();
    part(
        "xl/worksheets/sheet1.xml",
        &format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>"),
    );
    zip.finish().unwrap();
}

#[tokio::test]
async fn empty_shared_strings_do_not_shift_the_others() {
    // Every way in which a string of the shared table can be empty stands before others; a
    // reader that passes over one would give every later cell the text of its neighbour.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.xlsx");
    let strings = [
        "<si><t>编码</t></si>",
        "<si><t>名称</t></si>",
        "<si><t>电话</t></si>",
        "<si><t>C1</t></si>",
        "<si/>",
        "<si><t>021-1</t></si>",
        "<si><t>C2</t></si>",
        "<si><t>乙公司</t></si>",
        "<si></si>",
        "<si><t>C3</t></si>",
        "<si><t/></si>",
        "<si><t>021-3</t></si>",
        "<si><t>C4</t></si>",
        "<si><r><t/></r></si>",
        "<si><t>021-4</t></si>",
        "<si><t>C5</t></si>",
        "<si><phoneticPr fontId=\"1\"/></si>",
        "<si><t xml:space=\"preserve\"> 021-5 </t></si>",
        "<si><t>C6</t></si>",
        "<si><rPh sb=\"0\" eb=\"1\"><t>ji</t></rPh></si>",
        "<si><r><t>021</t></r><r><t>-6</t></r></si>",
        "<si><t>C7</t></si>",
        "<si><t>庚公司</t></si>",
        "<si><t>021-7</t></si>",
    ];
    by_hand(&path, &strings);
    let (records, errors, _) = read(&path, crate::support::CUSTOMERS).await;
    assert_eq!(told(&errors), Vec::<String>::new());
    assert_eq!(
        names(&records),
        ["C1=", "C2=乙公司", "C3=", "C4=", "C5=", "C6=", "C7=庚公司"]
    );
    let phones: Vec<_> = records
        .iter()
        .map(|record| {
            let Body::Party { values, .. } = &record.body else {
                panic!()
            };
            let phone = values.iter().find(|v| v.attribute == "phone");
            phone
                .and_then(|v| v.datum.text())
                .unwrap_or_default()
                .trim()
        })
        .collect();
    assert_eq!(
        phones,
        ["021-1", "", "021-3", "021-4", "021-5", "021-6", "021-7"]
    );
}
