//! Numbers of bytes: read one way and printed one way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A number of bytes.
///
/// Text has binary units, with or without `B` or `iB` after them: `6G`, `1.5 GiB` and `512M`, or a plain number.
///
/// ```
/// use paf_files::Bytes;
///
/// let size: Bytes = "1.5G".parse()?;
/// assert_eq!(size, Bytes(3 << 29));
/// assert_eq!(size.to_string(), "1.5 GiB");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = parse_size::Config::new().with_binary().parse_size(text);
        size.map(Bytes).map_err(|error| format!("{error}; write 16G, for example"))
    }
}

/// Rounded up to a tenth of the unit, so that what is printed as needed is enough.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |unit: u64| (u128::from(self.0) * 10).div_ceil(u128::from(unit));
        let (tenths, unit) = match self.0 {
            0..MIB => return write!(f, "{} bytes", self.0),
            MIB..GIB => (tenths(MIB), "MiB"),
            _ => (tenths(GIB), "GiB"),
        };
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'d> Deserialize<'d> for Bytes {
    fn deserialize<D: Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format!("\"{text}\": {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        let cases = [
            ("4G", 4 << 30),
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("16GiB", 16 << 30),
            ("16 GB", 16 << 30),
            ("1.5G", 3 << 29),
            ("3K", 3 << 10),
            ("1000", 1000),
            ("0", 0),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["many", "99999999999G", "", "-1G", "4X"] {
            let error = text.parse::<Bytes>().unwrap_err();
            assert!(error.ends_with("write 16G, for example"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_printed_is_enough() {
        let cases = [
            (0, "0 bytes"),
            (MIB - 1, "1048575 bytes"),
            (MIB, "1.0 MiB"),
            (MIB + 1, "1.1 MiB"),
            (GIB - 1, "1024.0 MiB"),
            (GIB, "1.0 GiB"),
            (3 << 29, "1.5 GiB"),
            (1 << 50, "1048576.0 GiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn configurations_hold_sizes_as_text() {
        assert_eq!(serde_json::from_str::<Bytes>("\"6G\"").unwrap(), Bytes(6 << 30));
        assert_eq!(serde_json::to_string(&Bytes(6 << 30)).unwrap(), "\"6442450944\"");
        let error = serde_json::from_str::<Bytes>("\"6X\"").unwrap_err().to_string();
        assert!(error.contains("\"6X\"") && error.contains("write 16G"), "{error}");
    }
}
