//! Where a process is to die.

use std::num::NonZeroU32;
use std::str::FromStr;

use crate::{Point, VARIABLE};

/// Where a process is to die.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wish {
    /// The point.
    pub point: Point,
    /// The how manieth time that it is passed.
    pub count: NonZeroU32,
}

/// A text that is no wish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WishError {
    /// It names no point.
    Point(String),
    /// Its count is not a number from 1.
    Count(String),
}

impl std::fmt::Display for WishError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Point(text) => {
                write!(f, "{VARIABLE}: there is no point `{text}`; there are")?;
                Point::ALL.iter().try_for_each(|point| write!(f, " {}", point.name()))
            }
            Self::Count(text) => {
                write!(f, "{VARIABLE}: `{text}` is no count from 1; write as in `commit.end:3`")
            }
        }
    }
}

impl std::error::Error for WishError {}

impl FromStr for Wish {
    type Err = WishError;

    /// Reads `point:count`, or `point` alone for the first time.
    fn from_str(text: &str) -> Result<Self, WishError> {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let point = Point::ALL.iter().find(|point| point.name() == name);
        let point = *point.ok_or_else(|| WishError::Point(name.to_owned()))?;
        let count = count.parse().map_err(|_| WishError::Count(count.to_owned()))?;
        Ok(Self { point, count })
    }
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.point.name(), self.count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_point_is_found_by_its_name_and_no_two_share_one() {
        let names: BTreeSet<_> = Point::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Point::ALL.len());
        for (idx, point) in Point::ALL.iter().enumerate() {
            assert_eq!(*point as usize, idx);
            let wish = Wish { point: *point, count: NonZeroU32::new(7).unwrap() };
            assert_eq!(wish.to_string().parse(), Ok(wish));
        }
    }

    #[test]
    fn what_is_no_wish_is_refused_with_what_there_is() {
        let error = "commit.ende:3".parse::<Wish>().unwrap_err().to_string();
        assert!(error.contains("commit.ende") && error.contains("commit.end "), "{error}");
        for text in ["commit.end:0", "commit.end:x", "commit.end:", "commit.end:-1"] {
            assert!(matches!(text.parse::<Wish>(), Err(WishError::Count(_))), "{text}");
        }
        assert_eq!("commit.end".parse::<Wish>().unwrap().count.get(), 1);
    }
}
