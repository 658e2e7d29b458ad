//! E-mail addresses in the one form they are stored and compared in.

/// Longest address, RFC 5321.
const CHARS_MAX: usize = 254;
/// Longest part before the `@`, RFC 5321.
const LOCAL_CHARS_MAX: usize = 64;
/// Longest part of a domain between two dots, RFC 1035.
const LABEL_CHARS_MAX: usize = 63;

/// The address without surrounding blanks and in lower case; `None` where it is none that mail could be sent to.
/// Quoted local parts, address literals and non-ASCII letters are refused: they are rare, and two of them that look
/// alike would be two accounts.
pub fn normalise(text: &str) -> Option<String> {
    let address = text.trim().to_ascii_lowercase();
    if address.len() > CHARS_MAX {
        return None;
    }
    let (local, domain) = address.split_once('@')?;
    (is_local(local) && is_domain(domain)).then_some(address)
}

fn is_local(local: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b);
    local.len() <= LOCAL_CHARS_MAX
        && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=LABEL_CHARS_MAX).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.contains('.') && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_form() {
        for (text, want) in [
            ("a@b.example", "a@b.example"),
            (" Ann.Lee+Sale@Shop.Example\n", "ann.lee+sale@shop.example"),
            ("o'hara@b-c.example", "o'hara@b-c.example"),
            ("x-7@load.invalid", "x-7@load.invalid"),
        ] {
            assert_eq!(normalise(text).as_deref(), Some(want), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@b.example", "a".repeat(65));
        let long = format!("a@{}.example", vec!["b".repeat(60); 5].join("."));
        for text in [
            "",
            "@",
            "a",
            "a@",
            "@b.example",
            "a@b",
            "a@b@c.example",
            "a b@c.example",
            "a@b .example",
            "a..b@c.example",
            ".a@c.example",
            "a.@c.example",
            "a@.example",
            "a@b..example",
            "a@-b.example",
            "a@b-.example",
            "a\0@b.example",
            "a\r\nb@c.example",
            "\"a\"@b.example",
            "<a@b.example>",
            "ä@b.example",
            "a@[127.0.0.1]",
            &long_local,
            &long,
        ] {
            assert_eq!(normalise(text), None, "{text:?}");
        }
    }
}
