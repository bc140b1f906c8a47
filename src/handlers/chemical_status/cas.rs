//! CAS registry numbers: their form and their check digit. Pure.

/// Why a text is no CAS number.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Error {
    #[error("`{0}` is no CAS number: two to seven digits, two digits and one, as in 58-08-2")]
    Form(String),
    #[error("`{cas}` is no CAS number: its check digit would be {digit}")]
    CheckDigit { cas: String, digit: u32 },
}

/// Whether it is one. The last digit is the sum of the others, each times its place counted from the right, modulo 10:
/// <https://www.cas.org/support/documentation/chemical-substances/checkdig>.
pub(super) fn check(cas: &str) -> Result<(), Error> {
    let (number, digit) = split(cas).ok_or_else(|| Error::Form(cas.to_owned()))?;
    let sum: u32 = number.iter().rev().zip(1..).map(|(digit, place)| digit * place).sum();
    if sum % 10 == digit { Ok(()) } else { Err(Error::CheckDigit { cas: cas.to_owned(), digit: sum % 10 }) }
}

/// The digits of the first two parts, and the check digit.
fn split(cas: &str) -> Option<(Vec<u32>, u32)> {
    let parts: Vec<&str> = cas.split('-').collect();
    let [first, second, last] = parts[..] else { return None };
    // A zero in front would be another name for the same compound.
    let is_formed = (2..=7).contains(&first.len()) && !first.starts_with('0') && second.len() == 2 && last.len() == 1;
    if !is_formed {
        return None;
    }
    let number = [first, second].into_iter().flat_map(str::chars).map(|c| c.to_digit(10)).collect::<Option<_>>()?;
    Some((number, last.chars().next()?.to_digit(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_are_taken() {
        for cas in ["58-08-2", "50-00-0", "107-07-3", "7789-21-1", "10043-35-3", "110952-81-3", "1182284-47-4"] {
            assert_eq!(check(cas), Ok(()), "{cas}");
        }
    }

    #[test]
    fn a_wrong_digit_is_told_with_the_right_one() {
        for (cas, digit) in [("58-08-3", 2), ("85-08-2", 5), ("107-07-0", 3)] {
            assert_eq!(check(cas), Err(Error::CheckDigit { cas: cas.to_owned(), digit }));
        }
    }

    #[test]
    fn other_texts_are_none() {
        let texts = [
            "",
            "-",
            "--",
            "58082",
            "8-08-2",
            "58-8-2",
            "58-08-",
            "58-08-22",
            "12345678-00-0",
            "058-08-2",
            "58-08-2 ",
            "58-08-2-2",
            "5a-08-2",
            "58-08-x",
            "58–08–2",
            "٥٨-08-2",
        ];
        for text in texts {
            assert_eq!(check(text), Err(Error::Form(text.to_owned())));
        }
    }
}
