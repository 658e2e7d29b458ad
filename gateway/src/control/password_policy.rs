//! Which new passwords are taken: long enough, not one that everybody tries first, and not the e-mail.
//!
//! `data/common_passwords.txt` holds the common ones of eight characters and more in lower case, sorted: the well-known
//! ones, words and names with the usual endings, rows and columns of keyboards, dates and repetitions.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::Fields;

/// Characters of a password. More would be free work for us, fewer are guessed. Nothing is cut off.
pub const PASSWORD_CHARS: RangeInclusive<usize> = 8..=128;

/// Why a new password is refused; says what is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Too short or too long.
    #[error("must have 8 to 128 characters")]
    Length,
    /// In the list.
    #[error("must not be one of the common passwords")]
    Common,
    /// Known to whoever knows the e-mail.
    #[error("must not be the e-mail address or the part before its @")]
    Email,
}

static COMMON: LazyLock<Vec<&str>> =
    LazyLock::new(|| include_str!("../../data/common_passwords.txt").lines().collect());

/// Whether `password` may become the one of the account with this `email`. Registering, changing the password and the
/// command line ask here.
///
/// # Errors
/// The first rule it breaks.
pub fn check_new_password(password: &str, email: &str) -> Result<(), WeakPassword> {
    if !PASSWORD_CHARS.contains(&password.chars().count()) {
        return Err(WeakPassword::Length);
    }
    let plain = password.trim().to_lowercase();
    let email = email.trim().to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    if plain == email || plain == local {
        return Err(WeakPassword::Email);
    }
    match COMMON.binary_search(&plain.as_str()) {
        Ok(_) => Err(WeakPassword::Common),
        Err(_) => Ok(()),
    }
}

/// Reads a new password from a request's fields; what is wrong with it is noted there.
pub(super) fn new_password(body: &mut Fields, name: &str, email: &str) -> String {
    let password = body.text(name, PASSWORD_CHARS);
    // An empty one has been noted by the getter.
    if let Err(weak) = check_new_password(&password, email)
        && !password.is_empty()
    {
        body.wrong::<()>(name, weak.to_string());
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_holds_only_what_the_length_lets_through() {
        assert!(COMMON.len() > 1000 && COMMON.is_sorted(), "{}", COMMON.len());
        for password in COMMON.iter() {
            assert!(PASSWORD_CHARS.contains(&password.chars().count()), "{password}");
            assert_eq!((*password, password.trim()), (password.to_lowercase().as_str(), *password));
        }
    }

    #[test]
    fn good_passwords_pass_and_weak_ones_are_told_why() {
        let (longest, too_long) = ("ä€".repeat(64), "ä".repeat(129));
        for (password, want) in [
            ("correct horse", Ok(())),
            ("8 Größen", Ok(())),
            ("'; DROP TABLE users;--", Ok(())),
            (longest.as_str(), Ok(())),
            ("", Err(WeakPassword::Length)),
            ("1234567", Err(WeakPassword::Length)),
            ("äöüßäöü", Err(WeakPassword::Length)),
            (too_long.as_str(), Err(WeakPassword::Length)),
            ("12345678", Err(WeakPassword::Common)),
            ("PassWord", Err(WeakPassword::Common)),
            ("password123", Err(WeakPassword::Common)),
            (" Qwertyuiop ", Err(WeakPassword::Common)),
            ("P@ssw0rd", Err(WeakPassword::Common)),
            ("Summer2026", Err(WeakPassword::Common)),
            ("ann.lee@shop.example", Err(WeakPassword::Email)),
            ("ANN.LEE-1", Err(WeakPassword::Email)),
        ] {
            let email =
                if password.ends_with('1') { "Ann.Lee-1@shop.example" } else { "ann.lee@Shop.example" };
            assert_eq!(check_new_password(password, email), want, "{password:?}");
        }
    }
}
