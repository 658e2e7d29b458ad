//! The administrator of an installation that has none.

use crate::layers::Layers;
use crate::reader::Reader;
use crate::secret::Secret;

/// Section `[admin]`.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// The administrator whom a gateway makes at its start where none is in the database; empty: nobody.
    ///
    /// `SPIKE_ADMIN_EMAIL`: an e-mail address, or empty
    pub email: Option<String>,
    /// Secret. The password that account is made with; 8 to 128 characters, no common one. The default is public:
    /// prod refuses it unless admin.email is empty; staging warns.
    ///
    /// `SPIKE_ADMIN_PASSWORD`: any text that is not empty
    pub password: Secret,
}

impl AdminConfig {
    /// The e-mail and the password of the defaults, which everybody knows.
    pub fn public() -> (String, Secret) {
        let reader = Reader::new(Layers::new(None, []).expect("there is no file to be wrong"));
        (reader.default_text("admin.email"), Secret::new(reader.default_text("admin.password")))
    }

    pub(crate) fn read(reader: &mut Reader) -> Self {
        let mut s = reader.section("admin");
        Self { email: s.email("email"), password: s.secret("password") }
    }
}
