//! Encodings and delimiters are found out, and what does not fit is told row by row.

use encoding_rs::{BIG5, GB18030, GBK};

use crate::support::{CUSTOMERS, names, read, told, write};

const TEXT: &str = "编码,名称,电话\nC1,上海鼎盛机械有限公司,021-51234567\nC2,苏州恒泰电子科技有限公司,13812345678\n";
const NAMES: [&str; 2] = ["C1=上海鼎盛机械有限公司", "C2=苏州恒泰电子科技有限公司"];

fn utf16(text: &str, big: bool) -> Vec<u8> {
    let mark: &[u8] = if big { &[0xfe, 0xff] } else { &[0xff, 0xfe] };
    let unit = |u: u16| {
        if big {
            u.to_be_bytes()
        } else {
            u.to_le_bytes()
        }
    };
    mark.iter()
        .copied()
        .chain(text.encode_utf16().flat_map(unit))
        .collect()
}

#[tokio::test]
async fn each_encoding_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let marked = format!("\u{feff}{TEXT}");
    let wide = TEXT.replace("鼎盛", "𠮷盛");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("UTF-8, valid throughout", TEXT.as_bytes().to_vec(), TEXT),
        ("UTF-8, by its byte order mark", marked.into_bytes(), TEXT),
        ("UTF-16LE, by its byte order mark", utf16(TEXT, false), TEXT),
        ("UTF-16BE, by its byte order mark", utf16(TEXT, true), TEXT),
        (
            "gb18030, valid throughout",
            GBK.encode(TEXT).0.into_owned(),
            TEXT,
        ),
        (
            "gb18030, valid throughout",
            GB18030.encode(&wide).0.into_owned(),
            &wide,
        ),
    ];
    for (want, bytes, text) in cases {
        let (records, errors, notes) = read(&write(dir.path(), "a.csv", bytes), CUSTOMERS).await;
        assert!(notes.iter().any(|n| n.contains(want)), "{want}: {notes:?}");
        assert!(errors.is_empty(), "{want}");
        let first = if text == TEXT {
            NAMES[0]
        } else {
            "C1=上海𠮷盛机械有限公司"
        };
        assert_eq!(names(&records), [first, NAMES[1]], "{want}");
    }
}

#[tokio::test]
async fn traditional_chinese_in_big5() {
    let dir = tempfile::tempdir().unwrap();
    let mapping = CUSTOMERS
        .replace("编码", "編號")
        .replace("名称", "名稱")
        .replace("电话", "電話");
    let text = "編號,名稱,電話\nT1,臺灣精密機械股份有限公司,02-23456789\nT2,高雄東方電子科技有限公司,07-3456789\n";
    let path = write(dir.path(), "t.csv", BIG5.encode(text).0);
    let (records, errors, notes) = read(&path, &mapping).await;
    assert!(
        errors.is_empty() && notes.iter().any(|n| n.contains("Big5")),
        "{notes:?}"
    );
    assert_eq!(names(&records)[0], "T1=臺灣精密機械股份有限公司");
}

#[tokio::test]
async fn the_head_alone_does_not_decide() {
    // The Chinese begins a megabyte behind the start.
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("编码,名称,电话\n").replace("编码,名称,电话", "code,name,phone");
    for i in 0..40_000 {
        text.push_str(&format!("A{i},Acme {i} Ltd,021-5{i:07}\n"));
    }
    text.push_str("Z1,宁波汇新五金制品有限公司,0574-88888888\n");
    let mapping = CUSTOMERS
        .replace("编码", "code")
        .replace("名称", "name")
        .replace("电话", "phone");
    let path = write(dir.path(), "late.csv", GBK.encode(&text).0);
    let (records, errors, _) = read(&path, &mapping).await;
    assert!(errors.is_empty());
    assert_eq!(records.len(), 40_001);
    assert_eq!(names(&records[40_000..]), ["Z1=宁波汇新五金制品有限公司"]);
}

#[tokio::test]
async fn rows_in_another_encoding_and_nul_bytes_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = TEXT.as_bytes().to_vec();
    for i in 3..30 {
        bytes.extend_from_slice(format!("C{i},杭州润锦包装材料有限公司,0571-{i:08}\n").as_bytes());
    }
    bytes.extend_from_slice(&GBK.encode("C30,武汉迈图仪器仪表有限公司,027-1\n").0);
    bytes.extend_from_slice(b"C31,a\0b,1\n");
    bytes.extend_from_slice("C32,好,2\n".as_bytes());
    let (records, errors, notes) = read(&write(dir.path(), "mixed.csv", bytes), CUSTOMERS).await;
    assert!(
        notes.iter().any(|n| n.contains("UTF-8, the likeliest")),
        "{notes:?}"
    );
    assert_eq!(records.len(), 30);
    assert_eq!(
        told(&errors),
        [
            "31:名称:holds bytes that are not UTF-8",
            "32:名称:holds a NUL byte"
        ]
    );
}

#[tokio::test]
async fn a_broken_pair_in_utf_16_is_told_by_its_row() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = utf16("编码,名称,电话\nC1,好,1\nC2,坏", false);
    bytes.extend_from_slice(&[0x00, 0xd8]);
    bytes.extend(",2\nC3,好,3\n".encode_utf16().flat_map(u16::to_le_bytes));
    let (records, errors, _) = read(&write(dir.path(), "w.csv", bytes), CUSTOMERS).await;
    assert_eq!(names(&records), ["C1=好", "C3=好"]);
    assert_eq!(told(&errors), ["3:名称:holds bytes that are not UTF-8"]);
}

#[tokio::test]
async fn delimiters_are_found_out() {
    let dir = tempfile::tempdir().unwrap();
    for (delimiter, name) in [(",", "comma"), ("\t", "tab"), (";", "semicolon")] {
        let text = format!("导出,说明,很多,逗号\n{}", TEXT.replace(',', delimiter));
        let (records, _, notes) = read(&write(dir.path(), "d.csv", text), CUSTOMERS).await;
        assert_eq!(names(&records), NAMES, "{name}");
        assert!(notes.iter().any(|n| n.contains(name)), "{notes:?}");
    }
}

#[tokio::test]
async fn row_errors_are_exact() {
    let dir = tempfile::tempdir().unwrap();
    let text = "订单号,客户,日期,金额,物料,数量\n\
        S1,C1,2024-01-05,\"1,200.00\",电机,2\n\
        S1,C1,2024-01-05,\"1,200.00\",导轨,1\n\
        S2,C1,2024-02-30,5,电机,1\n\
        \n\
        S3,,2024-01-05,5,电机,1\n\
        S4,C2,01/05/2024,5,电机,1\n\
        S5,C2,2024-01-05,3.5万,电机,1\n\
        S1,C1,2024-01-05,7,电机,1\n\
        ,C2,2024-01-05,5,电机,1\n\
        S6,C2,2024-01-05,5,a,b,c,d\n\
        S7,C2,2024-01-05,8,电机,两\n";
    let path = write(dir.path(), "o.csv", text);
    let (records, errors, _) = read(&path, crate::support::ORDERS).await;
    let ids: Vec<_> = records.iter().map(|r| r.key.external_id.as_str()).collect();
    assert_eq!(ids, ["S1"]);
    let jinke_types::Body::Transaction(order) = &records[0].body else {
        panic!()
    };
    assert_eq!(
        (
            order.lines.len(),
            order.amount.as_ref().unwrap().amount.to_string()
        ),
        (2, "1200".to_owned())
    );
    assert_eq!(
        told(&errors),
        [
            "4:日期:is a day that does not exist",
            "6:客户:the party is blank",
            "7:日期:is a date whose order is not known; set date_order in the mapping",
            "8:金额:is in 万 or 亿; set wan = true in the mapping to read it",
            "9::stands apart from the other lines of the same transaction; sort the file",
            "10:订单号:the external id is blank",
            "11::has more cells than the header",
            "12:数量:is not a number",
        ]
    );
}
