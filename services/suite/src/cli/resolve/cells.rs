//! Values of Parquet files as a CSV file would hold them.
//!
//! | type | text |
//! |---|---|
//! | text, ENUM, JSON | as it is |
//! | bytes that nothing says are text | text where they are UTF-8, hex digits otherwise |
//! | whole numbers, with a sign or without | digits |
//! | floating point | digits; whole ones below 1e15 (of 32 bits: 1e7) without a fraction; no number: blank |
//! | DECIMAL | all digits of the fraction, and no dot where there is none |
//! | DATE | 2024-05-05 |
//! | TIMESTAMP of any unit, INT96 | 2024-05-05 at midnight, else 2024-05-05 13:45:00, with a fraction where there is one, as it is stored: in UTC or local |
//! | TIME | 13:45:00 with the digits of its unit |
//! | UUID | 550e8400-e29b-41d4-a716-446655440000 |
//! | BOOLEAN | true, false |
//!
//! Dates beyond what a calendar holds are the number that is stored. Everything else, lists, maps,
//! structures, intervals, BSON and places on a map, has no text.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Timelike};
use parquet::{
    basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type},
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::{ByteArray, DataType, Decimal, Int96},
    errors::ParquetError,
    record::Field,
    schema::types::ColumnDescriptor,
};

/// Most bytes of a decimal: writing one out takes the square of its length.
const LONGEST_DECIMAL: usize = 64;
/// Most digits of its fraction.
const MOST_DIGITS: i32 = 200;
/// The day on which time stamps of 96 bits count the first of 1970.
const JULIAN_1970: i64 = 2_440_588;

/// How the values of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Bytes,
    Whole,
    /// Without a sign, of so many bits.
    Unsigned(i8),
    Float,
    Float16,
    Bool,
    Decimal {
        precision: i32,
        scale: i32,
    },
    Date,
    /// So many in a second.
    Stamp(i64),
    Time(i64),
    Uuid,
}

const fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

impl Kind {
    /// How a column is read: by its logical type, or by the older one.
    ///
    /// # Errors
    /// What it holds that has no text.
    pub fn of(column: &ColumnDescriptor) -> Result<Self, String> {
        if column.max_rep_level() > 0
            || column.self_type().get_basic_info().repetition() == Repetition::REPEATED
        {
            return Err("lists".into());
        }
        let physical = column.physical_type();
        let bare = match physical {
            Type::BOOLEAN => Self::Bool,
            Type::INT32 | Type::INT64 => Self::Whole,
            Type::INT96 => Self::Stamp(1_000_000_000),
            Type::FLOAT | Type::DOUBLE => Self::Float,
            Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY => Self::Bytes,
        };
        let kind = match (column.logical_type_ref(), column.converted_type()) {
            (Some(LogicalType::Unknown), _) | (None, ConvertedType::NONE) => bare,
            (Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
            | (None, ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => Self::Text,
            (Some(LogicalType::Integer(i)), _) if i.is_signed => Self::Whole,
            (Some(LogicalType::Integer(i)), _) => Self::Unsigned(i.bit_width),
            (None, ConvertedType::UINT_8) => Self::Unsigned(8),
            (None, ConvertedType::UINT_16) => Self::Unsigned(16),
            (None, ConvertedType::UINT_32) => Self::Unsigned(32),
            (None, ConvertedType::UINT_64) => Self::Unsigned(64),
            (
                None,
                ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64,
            ) => Self::Whole,
            (Some(LogicalType::Decimal(d)), _) => Self::Decimal {
                precision: d.precision,
                scale: d.scale,
            },
            (None, ConvertedType::DECIMAL) => Self::Decimal {
                precision: column.type_precision(),
                scale: column.type_scale(),
            },
            (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Self::Date,
            (Some(LogicalType::Timestamp(t)), _) => Self::Stamp(per_second(t.unit)),
            (None, ConvertedType::TIMESTAMP_MILLIS) => Self::Stamp(1_000),
            (None, ConvertedType::TIMESTAMP_MICROS) => Self::Stamp(1_000_000),
            (Some(LogicalType::Time(t)), _) => Self::Time(per_second(t.unit)),
            (None, ConvertedType::TIME_MILLIS) => Self::Time(1_000),
            (None, ConvertedType::TIME_MICROS) => Self::Time(1_000_000),
            (Some(LogicalType::Uuid), _) => Self::Uuid,
            (Some(LogicalType::Float16), _) => Self::Float16,
            (Some(other), _) => return Err(format!("values of the type {other:?}")),
            (None, other) => return Err(format!("values of the type {other}")),
        };
        let is_whole = matches!(physical, Type::INT32 | Type::INT64);
        let is_bytes = matches!(physical, Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY);
        let fits = kind == bare
            || match &kind {
                Self::Text | Self::Uuid | Self::Float16 => is_bytes,
                Self::Unsigned(_) | Self::Date | Self::Stamp(_) | Self::Time(_) => is_whole,
                Self::Decimal { precision, scale } => {
                    (is_whole || is_bytes)
                        && (0..=MOST_DIGITS).contains(scale)
                        && precision >= scale
                }
                _ => false,
            };
        if fits {
            Ok(kind)
        } else {
            Err(format!("{physical} as {kind:?}"))
        }
    }

    fn whole(&self, value: i64, out: &mut String) {
        let found = match self {
            Self::Date => day(value).map(|d| date(d, out)),
            Self::Stamp(unit) => stamp(value, *unit, out),
            Self::Time(unit) => time(value, *unit, out),
            Self::Unsigned(8) => write!(out, "{}", value as u8).ok(),
            Self::Unsigned(16) => write!(out, "{}", value as u16).ok(),
            Self::Unsigned(32) => write!(out, "{}", value as u32).ok(),
            Self::Unsigned(_) => write!(out, "{}", value as u64).ok(),
            Self::Decimal { precision, scale } => {
                decimal(Decimal::from_i64(value, *precision, *scale), out);
                Some(())
            }
            _ => None,
        };
        if found.is_none() {
            // Writing to a string does not fail.
            let _ = write!(out, "{value}");
        }
    }

    fn bytes(&self, bytes: &ByteArray, out: &mut String) -> Result<(), String> {
        let data = bytes.data();
        match self {
            Self::Decimal { precision, scale } => {
                if data.len() > LONGEST_DECIMAL {
                    return Err(format!("a decimal of more than {LONGEST_DECIMAL} bytes"));
                }
                decimal(Decimal::from_bytes(bytes.clone(), *precision, *scale), out);
            }
            Self::Uuid => {
                for (i, b) in data.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        out.push('-');
                    }
                    let _ = write!(out, "{b:02x}");
                }
            }
            Self::Float16 => {
                let bits = <[u8; 2]>::try_from(data).map_err(|_| "a FLOAT16 of other length")?;
                single(of_half(u16::from_le_bytes(bits)), out);
            }
            _ => match (std::str::from_utf8(data), self) {
                (Ok(text), _) => out.push_str(text),
                (Err(_), Self::Text) => return Err("text that is not UTF-8".into()),
                (Err(_), _) => {
                    for b in data {
                        let _ = write!(out, "{b:02x}");
                    }
                }
            },
        }
        Ok(())
    }
}

fn day(days: i64) -> Option<NaiveDate> {
    NaiveDate::default().checked_add_signed(TimeDelta::try_days(days)?)
}

fn date(day: NaiveDate, out: &mut String) {
    // The years anyone writes, without the detour over the formatter.
    if (0..10_000).contains(&day.year()) {
        let _ = write!(out, "{:04}-{:02}-{:02}", day.year(), day.month(), day.day());
    } else {
        let _ = write!(out, "{day}");
    }
}

/// A moment, counted from the first of 1970 on.
fn stamp(value: i64, unit: i64, out: &mut String) -> Option<()> {
    let nanos = value.rem_euclid(unit) * (1_000_000_000 / unit);
    let found = DateTime::from_timestamp(value.div_euclid(unit), u32::try_from(nanos).ok()?)?;
    moment(found.date_naive(), found.time(), out);
    Some(())
}

fn moment(day: NaiveDate, time: NaiveTime, out: &mut String) {
    date(day, out);
    if time != NaiveTime::MIN {
        // A fraction of a second is written where there is one.
        let _ = write!(out, " {time}");
    }
}

/// A time of day, with all digits its unit has.
fn time(value: i64, unit: i64, out: &mut String) -> Option<()> {
    let seconds = u32::try_from(value.div_euclid(unit)).ok()?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0)?;
    let digits = unit.ilog10() as usize;
    let (h, m, s) = (time.hour(), time.minute(), time.second());
    let rest = value.rem_euclid(unit);
    write!(out, "{h:02}:{m:02}:{s:02}.{rest:0digits$}").ok()
}

fn decimal(value: Decimal, out: &mut String) {
    let text = Field::Decimal(value).to_string();
    out.push_str(text.strip_suffix('.').unwrap_or(&text));
}

fn of_int96(value: &Int96, out: &mut String) {
    let &[low, high, day_number] = value.data() else {
        return;
    };
    let nanos = u64::from(low) | u64::from(high) << 32;
    let found = day(i64::from(day_number as i32) - JULIAN_1970).and_then(|day| {
        let seconds = u32::try_from(nanos / 1_000_000_000).ok()?;
        let nanos = (nanos % 1_000_000_000) as u32;
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)?;
        Some((day, time))
    });
    match found {
        Some((day, time)) => moment(day, time, out),
        None => {
            let _ = write!(out, "{day_number} {nanos}");
        }
    }
}

/// A number of 16 bits (IEEE 754) in 32.
fn of_half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff) / 1024.0;
    match i32::from(bits >> 10 & 0x1f) {
        0 => sign * fraction * 2_f32.powi(-14),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        exponent => sign * (1.0 + fraction) * 2_f32.powi(exponent - 15),
    }
}

fn single(x: f32, out: &mut String) {
    let size = x.abs();
    // What is no number stands for a value that is missing.
    let _ = match x {
        _ if x.is_nan() => return,
        // A whole number that went through a data frame.
        _ if x.fract() == 0.0 && size < 1e7 => write!(out, "{x:.0}"),
        _ if !(1e-15..=1e19).contains(&size) => write!(out, "{x:E}"),
        _ if x.fract() == 0.0 => write!(out, "{x}.0"),
        _ => write!(out, "{x}"),
    };
}

fn double(x: f64, out: &mut String) {
    let size = x.abs();
    let _ = match x {
        _ if x.is_nan() => return,
        _ if x.fract() == 0.0 && size < 1e15 => write!(out, "{x:.0}"),
        _ if !(1e-15..=1e19).contains(&size) => write!(out, "{x:E}"),
        _ if x.fract() == 0.0 => write!(out, "{x}.0"),
        _ => write!(out, "{x}"),
    };
}

/// A column of some rows, as text.
pub struct Cells<'a> {
    name: &'a str,
    kind: Kind,
    reader: ColumnReader,
    text: String,
    ends: Vec<usize>,
}

impl<'a> Cells<'a> {
    /// A column of a group of rows.
    pub const fn new(name: &'a str, kind: Kind, reader: ColumnReader) -> Self {
        Self {
            name,
            kind,
            reader,
            text: String::new(),
            ends: Vec::new(),
        }
    }

    /// A cell of the rows read last.
    pub fn get(&self, row: usize) -> &str {
        let from = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[from..self.ends[row]]
    }

    /// Reads the next rows; so many were read before.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(&mut self, rows: usize, before: u64) -> Result<(), String> {
        let (kind, out) = (&self.kind, &mut self.text);
        out.clear();
        self.ends.clear();
        let ends = &mut self.ends;
        let found = match &mut self.reader {
            ColumnReader::BoolColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                let _ = write!(out, "{x}");
                Ok(())
            }),
            ColumnReader::Int32ColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                kind.whole(i64::from(*x), out);
                Ok(())
            }),
            ColumnReader::Int64ColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                kind.whole(*x, out);
                Ok(())
            }),
            ColumnReader::Int96ColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                of_int96(x, out);
                Ok(())
            }),
            ColumnReader::FloatColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                single(*x, out);
                Ok(())
            }),
            ColumnReader::DoubleColumnReader(r) => taken(r, rows, ends, out, |x, out| {
                double(*x, out);
                Ok(())
            }),
            ColumnReader::ByteArrayColumnReader(r) => {
                taken(r, rows, ends, out, |x, out| kind.bytes(x, out))
            }
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                taken(r, rows, ends, out, |x, out| kind.bytes(x, out))
            }
        };
        found.map_err(|e| {
            let row = before + self.ends.len() as u64 + 1;
            format!("column {:?}, row {row}: {e}", self.name)
        })
    }
}

/// Takes rows of a column, whose missing values are blank.
fn taken<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    ends: &mut Vec<usize>,
    out: &mut String,
    write: impl Fn(&T::T, &mut String) -> Result<(), String>,
) -> Result<(), String> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let read = reader.read_records(rows, Some(&mut levels), None, &mut values);
    let (found, ..) = read.map_err(|e: ParquetError| e.to_string())?;
    if found != rows {
        return Err("the column ends before the file does".into());
    }
    let mut values = values.iter();
    // Without levels all values are there.
    let is_there = |row: usize| levels.get(row).is_none_or(|level: &i16| *level > 0);
    for row in 0..rows {
        if is_there(row) {
            let value = values.next().ok_or("a value is missing")?;
            write(value, out)?;
        }
        ends.push(out.len());
    }
    Ok(())
}
