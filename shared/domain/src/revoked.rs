//! Why a session was ended before its time.

/// The reason kept with a revoked session; the number is the database's, the word is for people and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// Its owner logged out.
    Logout,
    /// A refresh token of it was used twice: one of the two users has stolen it.
    Reuse,
    /// The password was changed.
    Password,
    /// The role was changed.
    Role,
    /// The account was disabled.
    Disabled,
    /// The user logged in elsewhere and had as many sessions as are allowed; this was the oldest.
    Replaced,
}

impl Revoked {
    /// Every reason, by its number.
    pub const ALL: [Self; 6] =
        [Self::Logout, Self::Reuse, Self::Password, Self::Role, Self::Disabled, Self::Replaced];

    /// The number in the database.
    pub const fn code(self) -> i8 {
        match self {
            Self::Logout => 1,
            Self::Reuse => 2,
            Self::Password => 3,
            Self::Role => 4,
            Self::Disabled => 5,
            Self::Replaced => 6,
        }
    }

    /// The reason of a number.
    pub fn from_code(code: i8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The word in logs and in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::Password => "password",
            Self::Role => "role",
            Self::Disabled => "disabled",
            Self::Replaced => "replaced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_and_others_are_none() {
        for reason in Revoked::ALL {
            assert_eq!(Revoked::from_code(reason.code()), Some(reason));
        }
        assert_eq!([0, 7, -1].map(Revoked::from_code), [None; 3]);
    }
}
