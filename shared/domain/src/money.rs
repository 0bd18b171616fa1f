//! Keeps an amount that a CRM reported to the last cent.
//!
//! Deals are added up by channel and by month, and the sum is compared with an accountant's. A float is out of the
//! question there: 0.1 + 0.2 is not 0.3, and the reader of a report can't know which cent was invented. So an amount
//! is a whole number of the currency's smallest unit, and three decisions follow.
//!
//! * **Text in, text out.** [`Money::parse`] reads one form, an exact decimal string with a point. "1,200.50" is
//!   refused rather than understood, because "1,200" is one in Berlin and twelve hundred in Boston, and so are the
//!   exponents that a program's float would have printed. Decimals beyond the currency's are refused unless they are
//!   zeros, which databases append: to round is to change what was reported, and is for its sender to decide. A
//!   point is therefore always the decimal point: "1.200" is one euro and twenty cents.
//! * **A currency goes with each amount**, and euros don't add to dollars: [`Money::checked_add`] says so. Money has
//!   no order for the same reason.
//! * **The minor units are those of ISO 4217**, not the CLDR's, which say how prices are shown: a Serbian invoice
//!   has two decimals although no shop there writes them.
//!
//! The codes are those that ISO 4217 lists as active, less the ones it gives no minor unit (gold, drawing rights,
//! testing): an amount in those has no smallest unit to count. BGN, which the euro replaced in January 2026, is still
//! read, because deals struck in leva are still being reported. Both tables are short enough to be code.

use std::{fmt, str};

use thiserror::Error;

/// Names a currency by its ISO 4217 code, such as EUR; the order is that of the codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a currency from its three-letter code in any case, with white space around it or none.
    ///
    /// # Errors
    ///
    /// [`MoneyError::UnknownCurrency`] when the text is no active code of a currency with a minor unit.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let mut code = [0; 3];
        let trimmed = text.trim().as_bytes();
        if trimmed.len() == code.len() {
            code.copy_from_slice(trimmed);
            code.make_ascii_uppercase();
        }
        match CODES.binary_search(&&code) {
            Ok(_) => Ok(Self(code)),
            Err(_) => Err(MoneyError::UnknownCurrency { text: shown(text) }),
        }
    }

    /// Returns the code, in capitals.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default() // three ASCII letters, always
    }

    /// Returns the number of decimals that the smallest unit has: 2 for the euro, 0 for the yen, 3 or 4 for a few.
    #[must_use]
    pub fn minor_digits(&self) -> u32 {
        match &self.0 {
            b"BIF" | b"CLP" | b"DJF" | b"GNF" | b"ISK" | b"JPY" | b"KMF" | b"KRW" | b"PYG" | b"RWF"
            | b"UGX" | b"UYI" | b"VND" | b"VUV" | b"XAF" | b"XOF" | b"XPF" => 0,
            b"BHD" | b"IQD" | b"JOD" | b"KWD" | b"LYD" | b"OMR" | b"TND" => 3,
            b"CLF" | b"UYW" => 4,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({})", self.as_str())
    }
}

/// Holds an exact amount of one currency. It is shown as the amount alone ("1200.50"), with exactly the currency's
/// decimals and without its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// The amount in the currency's smallest unit: cents for the euro, whole yen for the yen.
    pub minor: i64,
    /// The currency of the amount.
    pub currency: Currency,
}

impl Money {
    /// Reads an amount from an exact decimal string such as "1200.50" or "-3", with white space around it or none.
    ///
    /// ```
    /// use domain::money::{Currency, Money};
    ///
    /// let euro = Currency::parse("EUR")?;
    /// assert_eq!(Money::parse("1200.5", euro)?.minor, 120_050);
    /// assert_eq!(Money::parse("1200.5", euro)?.to_string(), "1200.50");
    /// assert!(Money::parse("1,200.50", euro).is_err());
    /// # Ok::<(), domain::money::MoneyError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MoneyError::NotAnAmount`] for any other form, [`MoneyError::TooManyDecimals`] when decimals that are not
    /// zero go beyond the currency's smallest unit, [`MoneyError::TooLarge`] beyond the range of 64 bits.
    pub fn parse(amount: &str, currency: Currency) -> Result<Self, MoneyError> {
        let unsigned = amount.trim();
        let (negative, unsigned) = match unsigned.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, unsigned),
        };
        let (whole, decimals) = match unsigned.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (unsigned, None),
        };
        if !is_digits(whole) || !decimals.is_none_or(is_digits) {
            return Err(MoneyError::NotAnAmount { text: shown(amount) });
        }

        let digits = currency.minor_digits() as usize;
        let decimals = decimals.unwrap_or_default();
        if decimals.bytes().skip(digits).any(|digit| digit != b'0') {
            return Err(MoneyError::TooManyDecimals { text: shown(amount), currency });
        }

        // Counted downwards, because the range has one more number below zero than above.
        let padded = decimals.bytes().chain(std::iter::repeat(b'0')).take(digits);
        let below = whole.bytes().chain(padded).try_fold(0_i64, |sum, digit| {
            sum.checked_mul(10)?.checked_sub(i64::from(digit.wrapping_sub(b'0')))
        });
        let minor = below.and_then(|below| if negative { Some(below) } else { below.checked_neg() });
        let minor = minor.ok_or_else(|| MoneyError::TooLarge { text: shown(amount), currency })?;
        Ok(Self { minor, currency })
    }

    /// Adds an amount of the same currency.
    ///
    /// # Errors
    ///
    /// [`MoneyError::TwoCurrencies`] when the currencies differ, [`MoneyError::TooLarge`] when the sum goes beyond
    /// the range of 64 bits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        let Self { minor, currency } = self;
        if currency != other.currency {
            return Err(MoneyError::TwoCurrencies { left: currency, right: other.currency });
        }
        match minor.checked_add(other.minor) {
            Some(minor) => Ok(Self { minor, currency }),
            None => Err(MoneyError::TooLarge { text: format!("{self} + {other}"), currency }),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_u64.pow(digits);
        let amount = self.minor.unsigned_abs();
        let text = match digits {
            0 => amount.to_string(),
            _ => format!("{}.{:0width$}", amount / unit, amount % unit, width = digits as usize),
        };
        f.pad_integral(self.minor >= 0, "", &text)
    }
}

/// Tells why a text is no amount of money, or why two amounts have no sum, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The text is no currency's code.
    #[error("{text:?} is no currency: write its three-letter ISO 4217 code, such as EUR")]
    UnknownCurrency {
        /// The start of what was written.
        text: String,
    },
    /// The text is no decimal number in the one form that is read.
    #[error(
        "{text:?} is no amount: write digits with a point before the decimals and nothing between the thousands, \
         such as 1200.50 or -3"
    )]
    NotAnAmount {
        /// The start of what was written.
        text: String,
    },
    /// The amount is finer than the currency's smallest unit.
    #[error("{text:?} has too many decimals: {}", most_decimals(*currency))]
    TooManyDecimals {
        /// The start of what was written.
        text: String,
        /// The currency that it was to be in.
        currency: Currency,
    },
    /// The amount, or the sum, is out of range.
    #[error(
        "{text:?} is out of range: an amount in {currency} goes from {} to {}",
        Money { minor: i64::MIN, currency: *currency },
        Money { minor: i64::MAX, currency: *currency }
    )]
    TooLarge {
        /// The start of what was written, or the sum that was asked for.
        text: String,
        /// The currency that it was to be in.
        currency: Currency,
    },
    /// The two amounts to be added are in two currencies.
    #[error("an amount in {left} and one in {right} have no sum: add up each currency by itself")]
    TwoCurrencies {
        /// The currency of the first amount.
        left: Currency,
        /// The currency of the second amount.
        right: Currency,
    },
}

/// Says how many decimals are right.
fn most_decimals(currency: Currency) -> String {
    match currency.minor_digits() {
        0 => format!("{currency} has none, so write a whole number"),
        digits => format!("{currency} has {digits}, so write at most {digits}"),
    }
}

/// Tells whether the text has at least one character and ASCII digits only.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns as much of a text as an error message should repeat.
fn shown(text: &str) -> String {
    text.trim().chars().take(40).collect()
}

/// The codes that are read, sorted.
const CODES: [&[u8; 3]; 166] = [
    b"AED", b"AFN", b"ALL", b"AMD", b"AOA", b"ARS", b"AUD", b"AWG", b"AZN", b"BAM", b"BBD", b"BDT", b"BGN",
    b"BHD", b"BIF", b"BMD", b"BND", b"BOB", b"BOV", b"BRL", b"BSD", b"BTN", b"BWP", b"BYN", b"BZD", b"CAD",
    b"CDF", b"CHE", b"CHF", b"CHW", b"CLF", b"CLP", b"CNY", b"COP", b"COU", b"CRC", b"CUP", b"CVE", b"CZK",
    b"DJF", b"DKK", b"DOP", b"DZD", b"EGP", b"ERN", b"ETB", b"EUR", b"FJD", b"FKP", b"GBP", b"GEL", b"GHS",
    b"GIP", b"GMD", b"GNF", b"GTQ", b"GYD", b"HKD", b"HNL", b"HTG", b"HUF", b"IDR", b"ILS", b"INR", b"IQD",
    b"IRR", b"ISK", b"JMD", b"JOD", b"JPY", b"KES", b"KGS", b"KHR", b"KMF", b"KPW", b"KRW", b"KWD", b"KYD",
    b"KZT", b"LAK", b"LBP", b"LKR", b"LRD", b"LSL", b"LYD", b"MAD", b"MDL", b"MGA", b"MKD", b"MMK", b"MNT",
    b"MOP", b"MRU", b"MUR", b"MVR", b"MWK", b"MXN", b"MXV", b"MYR", b"MZN", b"NAD", b"NGN", b"NIO", b"NOK",
    b"NPR", b"NZD", b"OMR", b"PAB", b"PEN", b"PGK", b"PHP", b"PKR", b"PLN", b"PYG", b"QAR", b"RON", b"RSD",
    b"RUB", b"RWF", b"SAR", b"SBD", b"SCR", b"SDG", b"SEK", b"SGD", b"SHP", b"SLE", b"SOS", b"SRD", b"SSP",
    b"STN", b"SVC", b"SYP", b"SZL", b"THB", b"TJS", b"TMT", b"TND", b"TOP", b"TRY", b"TTD", b"TWD", b"TZS",
    b"UAH", b"UGX", b"USD", b"USN", b"UYI", b"UYU", b"UYW", b"UZS", b"VED", b"VES", b"VND", b"VUV", b"WST",
    b"XAD", b"XAF", b"XCD", b"XCG", b"XOF", b"XPF", b"YER", b"ZAR", b"ZMW", b"ZWG",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    fn money(amount: &str, code: &str) -> Money {
        Money::parse(amount, currency(code)).unwrap()
    }

    fn refusal(amount: &str, code: &str) -> String {
        Money::parse(amount, currency(code)).unwrap_err().to_string()
    }

    #[test]
    fn the_codes_are_sorted_capitals_and_each_is_read() {
        assert!(CODES.windows(2).all(|pair| pair[0] < pair[1]));
        for code in CODES {
            let text = str::from_utf8(code).unwrap();
            assert!(text.bytes().all(|byte| byte.is_ascii_uppercase()), "{text}");
            assert_eq!(Currency::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_currency_is_read_in_any_case_and_shown_in_capitals() {
        assert_eq!(currency(" eUr\n").to_string(), "EUR");
        assert_eq!(format!("{:?} {:>5}", currency("usd"), currency("usd")), "Currency(USD)   USD");
    }

    #[test]
    fn a_text_that_is_no_active_code_is_no_currency() {
        for text in [
            "", "E", "EU", "EURO", "€", "€€", "DEM", "HRK", "ANG", "ZWL", "XXX", "XTS", "XAU", "BTC", "E R",
            "ÉU",
        ] {
            assert!(Currency::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(
            Currency::parse("euro").unwrap_err().to_string(),
            r#""euro" is no currency: write its three-letter ISO 4217 code, such as EUR"#
        );
    }

    #[test]
    fn the_minor_digits_are_those_of_iso_4217() {
        let digits = |code| currency(code).minor_digits();
        assert_eq!(
            [digits("EUR"), digits("HUF"), digits("MGA"), digits("JPY"), digits("ISK")],
            [2, 2, 2, 0, 0]
        );
        assert_eq!(
            [digits("KWD"), digits("TND"), digits("CLF"), digits("UYW"), digits("CLP")],
            [3, 3, 4, 4, 0]
        );
        let count = |n| CODES.iter().filter(|code| Currency(***code).minor_digits() == n).count();
        assert_eq!((count(0), count(3), count(4)), (17, 7, 2));
    }

    #[test]
    fn an_exact_decimal_string_is_read() {
        for (text, code, minor) in [
            ("1200.50", "EUR", 120_050),
            ("1200.5", "EUR", 120_050),
            ("1200", "EUR", 120_000),
            ("-3", "EUR", -300),
            ("-0.05", "EUR", -5),
            ("0.00", "EUR", 0),
            ("-0", "EUR", 0),
            ("007.10", "EUR", 710),
            ("1.200", "EUR", 120),
            (" 5 ", "JPY", 5),
            ("1.234", "KWD", 1_234),
            ("1.2345", "CLF", 12_345),
        ] {
            assert_eq!(money(text, code).minor, minor, "{text} {code}");
        }
    }

    #[test]
    fn zeros_beyond_the_smallest_unit_are_read_and_other_decimals_refused() {
        assert_eq!(money("1.5000", "EUR").minor, 150);
        assert_eq!(money("5.00", "JPY").minor, 5);
        assert_eq!(
            refusal("1.005", "EUR"),
            r#""1.005" has too many decimals: EUR has 2, so write at most 2"#
        );
        assert_eq!(
            refusal("5.5", "JPY"),
            r#""5.5" has too many decimals: JPY has none, so write a whole number"#
        );
    }

    #[test]
    fn any_other_form_is_refused_with_the_right_one() {
        for text in [
            "", " ", "-", ".", "-.", ".5", "5.", "+5", "--5", "5-", "1,200.50", "1.200,50", "1.200.50",
            "1 200", "1'200", "1_200", "1e3", "0x10", "NaN", "inf", "€5", "5 EUR", "(5)", "٣", "- 5", "−5",
            "5\0",
        ] {
            assert!(
                matches!(Money::parse(text, currency("EUR")), Err(MoneyError::NotAnAmount { .. })),
                "{text:?}"
            );
        }
        assert_eq!(
            refusal("1,200.50", "EUR"),
            "\"1,200.50\" is no amount: write digits with a point before the decimals and nothing between the \
             thousands, such as 1200.50 or -3"
        );
    }

    #[test]
    fn the_whole_range_of_64_bits_is_read_and_no_cent_more() {
        assert_eq!(money("92233720368547758.07", "EUR").minor, i64::MAX);
        assert_eq!(money("-92233720368547758.08", "EUR").minor, i64::MIN);
        for text in ["92233720368547758.08", "-92233720368547758.09", &"9".repeat(1_000)] {
            assert!(
                matches!(Money::parse(text, currency("EUR")), Err(MoneyError::TooLarge { .. })),
                "{text}"
            );
        }
        assert_eq!(
            refusal("92233720368547758.08", "EUR"),
            "\"92233720368547758.08\" is out of range: an amount in EUR goes from -92233720368547758.08 to \
             92233720368547758.07"
        );
        assert_eq!(money(&"0".repeat(1_000), "EUR").minor, 0);
    }

    #[test]
    fn an_amount_is_shown_with_exactly_the_minor_digits() {
        for (text, code, shown) in [
            ("1200.5", "EUR", "1200.50"),
            ("0.05", "EUR", "0.05"),
            ("-0.05", "EUR", "-0.05"),
            ("-0", "EUR", "0.00"),
            ("5.0", "JPY", "5"),
            ("-5", "JPY", "-5"),
            ("1.2", "KWD", "1.200"),
            ("0.0001", "CLF", "0.0001"),
        ] {
            assert_eq!(money(text, code).to_string(), shown, "{text} {code}");
        }
        assert_eq!(format!("{:>8}|{:<8}|", money("-1.5", "EUR"), money("1.5", "EUR")), "   -1.50|1.50    |");
    }

    #[test]
    fn what_is_shown_is_read_back_as_the_same_amount() {
        for code in CODES {
            let currency = Currency(*code);
            for minor in [0, 1, -1, 99, -100, 12_345, i64::MAX, i64::MIN] {
                let money = Money { minor, currency };
                assert_eq!(Money::parse(&money.to_string(), currency), Ok(money), "{money} {currency}");
            }
        }
    }

    #[test]
    fn amounts_of_one_currency_add_up() {
        assert_eq!(money("0.1", "EUR").checked_add(money("0.2", "EUR")), Ok(money("0.3", "EUR")));
        assert_eq!(money("1", "EUR").checked_add(money("-3", "EUR")), Ok(money("-2", "EUR")));
    }

    #[test]
    fn amounts_of_two_currencies_have_no_sum() {
        assert_eq!(
            money("1", "EUR").checked_add(money("1", "USD")).unwrap_err().to_string(),
            "an amount in EUR and one in USD have no sum: add up each currency by itself"
        );
    }

    #[test]
    fn a_sum_out_of_range_is_an_error() {
        let most = Money { minor: i64::MAX, currency: currency("JPY") };
        assert_eq!(
            most.checked_add(money("1", "JPY")).unwrap_err().to_string(),
            "\"9223372036854775807 + 1\" is out of range: an amount in JPY goes from -9223372036854775808 to \
             9223372036854775807"
        );
    }
}
