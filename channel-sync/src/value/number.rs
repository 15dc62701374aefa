//! Floats and exact decimals.

use super::InvalidText;
use bigdecimal::num_bigint::Sign;
use bigdecimal::{BigDecimal, RoundingMode, Zero};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// More digits than this are refused, as Postgres refuses them before the point.
const MAX_DIGITS: usize = 131_072;
/// Postgres keeps at most these digits behind the point.
const MAX_SCALE: i64 = 16_383;

/// A `numeric`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Numeric {
    // The order of the variants is the order of the values.
    NegInfinity,
    Finite(BigDecimal),
    Infinity,
    NaN,
}

impl Numeric {
    pub(super) fn parse(text: &str) -> Result<Numeric, InvalidText> {
        if let Some(special) = special(text) {
            return Ok(match special {
                f if f.is_nan() => Numeric::NaN,
                f if f > 0.0 => Numeric::Infinity,
                _ => Numeric::NegInfinity,
            });
        }
        if !decimal(text) {
            return Err(InvalidText);
        }
        // The exponent decides how many digits there are: read it before they are made.
        if let Some(at) = text.find(['e', 'E']) {
            let exponent: i64 = text[at + 1..].parse().map_err(|_| InvalidText)?;
            if exponent.unsigned_abs() as usize + at > MAX_DIGITS {
                return Err(InvalidText);
            }
        } else if text.len() > MAX_DIGITS + MAX_SCALE as usize {
            return Err(InvalidText);
        }
        let value = BigDecimal::from_str(text).map_err(|_| InvalidText)?;
        // A negative scale is digits before the point: 1e3 is 1000.
        let value = if value.fractional_digit_count() < 0 {
            value.with_scale(0)
        } else {
            value
        };
        Ok(Numeric::Finite(value))
    }

    pub(crate) fn from_int(value: i64) -> Numeric {
        Numeric::Finite(BigDecimal::from(value))
    }

    /// The shortest decimal that is the float's, at most 15 digits of it (6 of a float4), which is
    /// how Postgres casts.
    pub(crate) fn from_float(value: f64, digits: usize) -> Numeric {
        if value.is_nan() {
            return Numeric::NaN;
        }
        if value.is_infinite() {
            return if value > 0.0 {
                Numeric::Infinity
            } else {
                Numeric::NegInfinity
            };
        }
        let text = format!("{:.*e}", digits - 1, value);
        match BigDecimal::from_str(&text) {
            Ok(d) => {
                let d = d.normalized();
                let d = if d.fractional_digit_count() < 0 {
                    d.with_scale(0)
                } else {
                    d
                };
                Numeric::Finite(d)
            }
            Err(_) => Numeric::NaN,
        }
    }

    pub(crate) fn to_f64(&self) -> f64 {
        match self {
            Numeric::NaN => f64::NAN,
            Numeric::Infinity => f64::INFINITY,
            Numeric::NegInfinity => f64::NEG_INFINITY,
            // Through text: correctly rounded, which `to_f64` of the crate does not promise.
            Numeric::Finite(d) => d.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// Rounded half away from zero, if it is an int8.
    pub(crate) fn to_int(&self) -> Option<i64> {
        let Numeric::Finite(d) = self else {
            return None;
        };
        let whole = d.with_scale_round(0, RoundingMode::HalfUp);
        whole.to_plain_string().parse().ok()
    }

    /// Rounded to the scale, half away from zero; `None` when it has more digits than allowed.
    pub(crate) fn rounded(&self, precision: u32, scale: i32) -> Option<Numeric> {
        let Numeric::Finite(d) = self else {
            return Some(self.clone());
        };
        let d = d.with_scale_round(scale.into(), RoundingMode::HalfUp);
        let digits = if d.is_zero() { 0 } else { d.digits() };
        if digits > u64::from(precision) {
            return None;
        }
        let d = if scale < 0 { d.with_scale(0) } else { d };
        Some(Numeric::Finite(d))
    }

    pub(crate) fn negate(&self) -> Numeric {
        match self {
            Numeric::NaN => Numeric::NaN,
            Numeric::Infinity => Numeric::NegInfinity,
            Numeric::NegInfinity => Numeric::Infinity,
            Numeric::Finite(d) => Numeric::Finite(-d),
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Numeric::NaN => f.write_str("NaN"),
            Numeric::Infinity => f.write_str("Infinity"),
            Numeric::NegInfinity => f.write_str("-Infinity"),
            Numeric::Finite(d) => f.write_str(&d.to_plain_string()),
        }
    }
}

/// The quotient with as many digits as Postgres gives it; `None` when the divisor is zero.
pub(crate) fn divide(a: &BigDecimal, b: &BigDecimal) -> Option<BigDecimal> {
    if b.is_zero() {
        return None;
    }
    let (weight_a, first_a) = weight(a);
    let (weight_b, first_b) = weight(b);
    let mut quotient = weight_a - weight_b;
    if first_a <= first_b {
        quotient -= 1;
    }
    let scale = (16 - quotient * 4)
        .max(a.fractional_digit_count())
        .max(b.fractional_digit_count())
        .clamp(0, 1000);
    // Two integers are divided, so that the last digit is rounded from the exact remainder.
    let (n, ns) = a.as_bigint_and_exponent();
    let (d, ds) = b.as_bigint_and_exponent();
    let shift = scale - ns + ds;
    let ten = bigdecimal::num_bigint::BigInt::from(10);
    let (n, d) = if shift >= 0 {
        (n * ten.pow(shift as u32), d)
    } else {
        (n, d * ten.pow(shift.unsigned_abs() as u32))
    };
    let negative = (n.sign() == Sign::Minus) != (d.sign() == Sign::Minus);
    let (n, d) = (n.magnitude(), d.magnitude());
    let rounded = (n * 2u32 + d) / (d * 2u32);
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    Some(BigDecimal::new(
        bigdecimal::num_bigint::BigInt::from_biguint(sign, rounded),
        scale,
    ))
}

/// The weight and the value of the first digit in base 10,000, as Postgres stores numbers.
fn weight(d: &BigDecimal) -> (i64, u32) {
    let (digits, scale) = d.as_bigint_and_exponent();
    if digits.sign() == Sign::NoSign {
        return (0, 0);
    }
    let text = digits.magnitude().to_string();
    // The power of ten of the first decimal digit.
    let power = text.len() as i64 - 1 - scale;
    let weight = power.div_euclid(4);
    let width = (power.rem_euclid(4) + 1) as usize;
    let first: String = text
        .chars()
        .chain(std::iter::repeat('0'))
        .take(width)
        .collect();
    (weight, first.parse().unwrap_or(0))
}

pub(super) fn parse_float8(text: &str) -> Result<f64, InvalidText> {
    if let Some(f) = special(text) {
        return Ok(f);
    }
    if !decimal(text) {
        return Err(InvalidText);
    }
    let value: f64 = text.parse().map_err(|_| InvalidText)?;
    if value.is_infinite() {
        Err(InvalidText)
    } else {
        Ok(value)
    }
}

pub(super) fn parse_float4(text: &str) -> Result<f64, InvalidText> {
    if let Some(f) = special(text) {
        return Ok(f);
    }
    if !decimal(text) {
        return Err(InvalidText);
    }
    let value: f32 = text.parse().map_err(|_| InvalidText)?;
    if value.is_infinite() {
        Err(InvalidText)
    } else {
        Ok(value.into())
    }
}

fn special(text: &str) -> Option<f64> {
    match text.to_ascii_lowercase().as_str() {
        "nan" => Some(f64::NAN),
        "infinity" | "inf" | "+infinity" | "+inf" => Some(f64::INFINITY),
        "-infinity" | "-inf" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// An optional sign, digits with at most one point, an optional exponent.
fn decimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['+', '-']).unwrap_or(e);
            !e.is_empty() && digits(e)
        })
}

/// NaN equals itself and is greater than all else; the two zeros are equal.
pub(super) fn order_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The shortest text that reads back as the same float, with Postgres' choice of exponents.
pub(super) fn float_text(value: f64, single: bool) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        };
    }
    let (exponential, plain, most) = if single {
        let value = value as f32;
        (format!("{value:e}"), format!("{value}"), 6)
    } else {
        (format!("{value:e}"), format!("{value}"), 15)
    };
    let Some((mantissa, exponent)) = exponential.split_once('e') else {
        return plain;
    };
    let power: i32 = exponent.parse().unwrap_or(0);
    if (-4..most).contains(&power) {
        return plain;
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}
