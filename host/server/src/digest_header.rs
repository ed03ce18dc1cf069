//! The digest that a client sends along with an upload, to be held against what arrived.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use llm_bench_core::{Error, Result};

const ALGORITHM: &str = "sha-256";
/// RFC 9530's, whose values stand between colons.
const BETWEEN_COLONS: [&str; 2] = ["repr-digest", "content-digest"];
/// RFC 3230's.
const BARE: &str = "digest";

/// The SHA-256 that the headers promise; none where they promise nothing.
///
/// # Errors
/// `invalid-digest` for a header that cannot be read, or that names other algorithms only.
pub(crate) fn expected(headers: &HeaderMap) -> Result<Option<[u8; 32]>> {
    for name in BETWEEN_COLONS {
        if let Some(value) = headers.get(name) {
            let between_colons = |text: &str| Some(text.strip_prefix(':')?.strip_suffix(':')?.to_owned());
            return read(name, value, between_colons).map(Some);
        }
    }
    headers.get(BARE).map(|value| read(BARE, value, |text| Some(text.to_owned()))).transpose()
}

fn read(name: &str, value: &HeaderValue, base64: impl Fn(&str) -> Option<String>) -> Result<[u8; 32]> {
    let entries = value.to_str().unwrap_or_default().split(',');
    let digest = entries
        .filter_map(|entry| entry.trim().split_once('='))
        .find(|(algorithm, _)| algorithm.trim().eq_ignore_ascii_case(ALGORITHM))
        .and_then(|(_, text)| base64(text.trim()))
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| {
        let form = if name == BARE { "sha-256=BASE64" } else { "sha-256=:BASE64:" };
        Error::invalid("invalid-digest", format!("the header `{name}` holds no SHA-256 in the form `{form}`"))
    })
}

/// # Errors
/// `digest-mismatch` when something else arrived than was promised.
pub(crate) fn check(expected: Option<[u8; 32]>, received: &[u8; 32]) -> Result<()> {
    match expected {
        Some(expected) if expected != *received => Err(Error::invalid(
            "digest-mismatch",
            format!(
                "the digest promises the SHA-256 {}, but what arrived has {}: send it again",
                hex::encode(expected),
                hex::encode(received)
            ),
        )),
        _ => Ok(()),
    }
}

/// `Repr-Digest` of an answer whose body has that SHA-256, given in hexadecimal.
pub(crate) fn header(digest: &str) -> Option<(HeaderName, HeaderValue)> {
    let value = format!("{ALGORITHM}=:{}:", STANDARD.encode(hex::decode(digest).ok()?));
    Some((HeaderName::from_static("repr-digest"), HeaderValue::try_from(value).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of the empty input.
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    fn promised(name: &'static str, value: &str) -> Result<Option<[u8; 32]>> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        expected(&headers)
    }

    #[test]
    fn a_digest_is_read_in_the_forms_of_both_standards() {
        for (name, value) in [
            ("digest", format!("SHA-256={BASE64}")),
            ("digest", format!("md5=AAAA, sha-256={BASE64}")),
            ("repr-digest", format!("sha-256=:{BASE64}:")),
            ("content-digest", format!("sha-512=:AAAA:, sha-256=:{BASE64}:")),
        ] {
            assert_eq!(hex::encode(promised(name, &value).unwrap().unwrap()), HEX, "{name}: {value}");
        }
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_digest_that_cannot_be_read_is_no_digest_that_fits() {
        for (name, value) in [
            ("digest", "sha-256=short".to_owned()),
            ("digest", "md5=AAAA".to_owned()),
            ("digest", String::new()),
            ("repr-digest", format!("sha-256={BASE64}")),
        ] {
            assert_eq!(promised(name, &value).unwrap_err().code, "invalid-digest", "{name}: {value}");
        }
    }

    #[test]
    fn what_arrived_is_held_against_the_promise() {
        check(None, &[1; 32]).unwrap();
        check(Some([1; 32]), &[1; 32]).unwrap();
        let error = check(Some([1; 32]), &[2; 32]).unwrap_err();
        assert_eq!(error.code, "digest-mismatch");
        assert!(error.message.contains(&"01".repeat(32)) && error.message.contains(&"02".repeat(32)));
    }

    #[test]
    fn an_answer_says_its_digest() {
        let (name, value) = header(HEX).unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("repr-digest", &*format!("sha-256=:{BASE64}:"))
        );
    }
}
