//! A [`Transform`] as bytes, for the store of this party alone.
//!
//! Version 1; number of inputs; whether there is a whitening; per input its name, its kind and its figures;
//! the rows of the whitening's factor. Integers and the bits of
//! numbers are little-endian, text has its length in bytes before it. What can be computed is not stored.

use super::transform::{
    Categorical, Encoding, Fitted, Input, MAX_COLUMNS, MissingLevel, Numeric, Scaling, Transform,
    Useless,
};
use super::whiten::{MAX_WHITENED, Whitening};
use crate::wire::{DecodeError, Message, Reader, Writer};

const VERSION: u8 = 1;
/// Columns of a hashed column, at most.
const MAX_HASH: u32 = 1 << 16;

const NUMERIC: u8 = 0;
const CATEGORICAL: u8 = 1;

const fn range(field: &'static str) -> DecodeError {
    DecodeError::OutOfRange { field }
}

impl Message for Transform {
    type Params<'a> = ();

    fn encode(&self, out: &mut Writer) {
        out.u8(VERSION);
        out.u32(self.inputs.len() as u32);
        out.u8(u8::from(self.whitening.is_some()));
        for Input { name, fitted } in &self.inputs {
            text(out, name);
            match fitted {
                Fitted::Numeric(numeric) => {
                    out.u8(NUMERIC);
                    encode_numeric(out, numeric);
                }
                Fitted::Categorical(categorical) => {
                    out.u8(CATEGORICAL);
                    encode_categorical(out, categorical);
                }
            }
        }
        for value in self.whitening.iter().flat_map(|w| &w.factor).flatten() {
            out.u64(value.to_bits());
        }
    }

    fn decode(body: &[u8], (): ()) -> Result<Self, DecodeError> {
        let mut r = Reader::new(body);
        if r.u8("version of a transform")? != VERSION {
            return Err(range("version of a transform"));
        }
        let count = r.u32("inputs")?;
        let whitened = match r.u8("whitened")? {
            flag @ (0 | 1) => flag == 1,
            _ => return Err(range("whitened")),
        };
        let mut inputs = Vec::new();
        for _ in 0..count {
            let name = read_text(&mut r, "name")?.to_owned();
            let fitted = match r.u8("kind")? {
                NUMERIC => Fitted::Numeric(decode_numeric(&mut r)?),
                CATEGORICAL => Fitted::Categorical(decode_categorical(&mut r)?),
                _ => return Err(range("kind")),
            };
            inputs.push(Input { name, fitted });
        }
        let mut transform = Self { inputs, whitening: None };
        if whitened {
            transform.whitening = Some(decode_whitening(&mut r, transform.standardised_columns())?);
        }
        r.finish()?;
        match transform.columns() {
            0..=MAX_COLUMNS => Ok(transform),
            _ => Err(range("columns")),
        }
    }
}

fn decode_whitening(r: &mut Reader<'_>, columns: usize) -> Result<Whitening, DecodeError> {
    if columns > MAX_WHITENED {
        return Err(range("whitened"));
    }
    let factor: Vec<Vec<f64>> = (0..columns)
        .map(|i| (0..=i).map(|_| number(r, "factor")).collect())
        .collect::<Result<_, _>>()?;
    if factor.iter().any(|row| row.last().is_none_or(|&diagonal| diagonal <= 0.0)) {
        return Err(range("factor"));
    }
    Ok(Whitening { factor })
}

fn encode_numeric(out: &mut Writer, numeric: &Numeric) {
    let Numeric { clip, log, fill, scale, indicator } = numeric;
    let flags = [clip.is_some(), *log, fill.is_some(), *indicator];
    out.u8(flags.iter().rev().fold(0, |bits, &flag| bits << 1 | u8::from(flag)));
    clip.iter().flatten().chain(fill).for_each(|v| out.u64(v.to_bits()));
    match *scale {
        Scaling::Dropped(Useless::Empty) => out.u8(0),
        Scaling::Dropped(Useless::Constant) => out.u8(5),
        Scaling::Linear { centre, width, standardised } => {
            out.u8(if standardised { 1 } else { 2 });
            out.u64(centre.to_bits());
            out.u64(width.to_bits());
        }
        Scaling::AsGiven => out.u8(3),
        Scaling::Indicator => out.u8(4),
    }
}

fn decode_numeric(r: &mut Reader<'_>) -> Result<Numeric, DecodeError> {
    let flags = r.u8("flags")?;
    if flags > 0b1111 {
        return Err(range("flags"));
    }
    let flag = |bit: u8| flags & 1 << bit != 0;
    let clip = match flag(0) {
        true => Some([number(r, "clip")?, number(r, "clip")?]),
        false => None,
    };
    if clip.is_some_and(|[low, high]| low >= high) {
        return Err(range("clip"));
    }
    let fill = if flag(2) { Some(number(r, "fill")?) } else { None };
    let scale = match r.u8("scale")? {
        0 => Scaling::Dropped(Useless::Empty),
        5 => Scaling::Dropped(Useless::Constant),
        kind @ (1 | 2) => {
            let (centre, width) = (number(r, "centre")?, number(r, "width")?);
            if width <= 0.0 {
                return Err(range("width"));
            }
            Scaling::Linear { centre, width, standardised: kind == 1 }
        }
        3 => Scaling::AsGiven,
        4 => Scaling::Indicator,
        _ => return Err(range("scale")),
    };
    if scale == Scaling::Indicator && fill.is_some_and(|v| v != 0.0 && v != 1.0) {
        return Err(range("fill"));
    }
    if flag(3) && fill.is_none() {
        return Err(range("flags"));
    }
    Ok(Numeric { clip, log: flag(1), fill, scale, indicator: flag(3) })
}

fn encode_categorical(out: &mut Writer, Categorical { encoding, missing }: &Categorical) {
    out.u8(match missing {
        MissingLevel::Own => 0,
        MissingLevel::Zero => 1,
        MissingLevel::Refuse => 2,
    });
    match encoding {
        Encoding::OneHot(levels) => {
            out.u8(0);
            out.u32(levels.len() as u32);
            levels.iter().for_each(|level| text(out, level));
        }
        Encoding::Hash(columns) => {
            out.u8(1);
            out.u32(*columns);
        }
        Encoding::Dropped(Useless::Empty) => out.u8(2),
        Encoding::Dropped(Useless::Constant) => out.u8(3),
    }
}

fn decode_categorical(r: &mut Reader<'_>) -> Result<Categorical, DecodeError> {
    let missing = match r.u8("missing")? {
        0 => MissingLevel::Own,
        1 => MissingLevel::Zero,
        2 => MissingLevel::Refuse,
        _ => return Err(range("missing")),
    };
    let encoding = match r.u8("encoding")? {
        0 => {
            let count = r.u32("levels")?;
            let mut levels: Vec<Box<str>> = Vec::new();
            for _ in 0..count {
                let level = read_text(r, "level")?;
                if levels.last().is_some_and(|last| last.as_ref() >= level) {
                    return Err(range("level"));
                }
                levels.push(level.into());
            }
            Encoding::OneHot(levels)
        }
        1 => match r.u32("columns")? {
            columns @ 1..=MAX_HASH => Encoding::Hash(columns),
            _ => return Err(range("columns")),
        },
        2 => Encoding::Dropped(Useless::Empty),
        3 => Encoding::Dropped(Useless::Constant),
        _ => return Err(range("encoding")),
    };
    Ok(Categorical { encoding, missing })
}

fn text(out: &mut Writer, text: &str) {
    out.u32(text.len() as u32);
    out.bytes(text.as_bytes());
}

fn read_text<'a>(r: &mut Reader<'a>, field: &'static str) -> Result<&'a str, DecodeError> {
    let len = r.u32(field)? as usize;
    std::str::from_utf8(r.bytes(len, field)?).map_err(|_| range(field))
}

/// A finite number.
fn number(r: &mut Reader<'_>, field: &'static str) -> Result<f64, DecodeError> {
    let value = f64::from_bits(r.u64(field)?);
    if value.is_finite() { Ok(value) } else { Err(range(field)) }
}
