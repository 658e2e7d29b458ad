//! Reads settings out of the layers (defaults, file, environment) and collects every mistake on the way.
//!
//! Whatever is read is known: the list of settings is what the sections ask for, so it cannot fall behind them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::STARS;
use crate::address_block::AddressBlock;
use crate::backend::Backend;
use crate::choice::Choice;
use crate::error::{ConfigError, ConfigErrors};
use crate::layers::{Layers, Raw};
use crate::secret::Secret;
use crate::server_url::{self, ServerUrl, UrlForm};
use crate::token_key::{Ed25519Seed, RetiredKey};

/// One setting, as the code reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its place in a file: `section.key`.
    pub key: String,
    /// What it may be.
    pub allowed: String,
}

impl Setting {
    /// Its environment variable: `SPIKE_SECTION_KEY`.
    pub fn env(&self) -> String {
        env_name(&self.key)
    }
}

pub(crate) struct Reader {
    layers: Layers,
    settings: Vec<Setting>,
    refused: Vec<String>,
    /// How to show a key's value without its secrets.
    shown: BTreeMap<String, fn(&Raw) -> String>,
    errors: Vec<ConfigError>,
}

/// Reads the keys of one section.
pub(crate) struct Section<'r> {
    reader: &'r mut Reader,
    name: &'static str,
}

/// Why a value is refused, where there is more to say than what is allowed.
type Hint = &'static str;

impl Reader {
    pub(crate) fn new(layers: Layers) -> Self {
        Self { layers, settings: Vec::new(), refused: Vec::new(), shown: BTreeMap::new(), errors: Vec::new() }
    }

    pub(crate) fn section(&mut self, name: &'static str) -> Section<'_> {
        Section { reader: self, name }
    }

    /// A word at the top of the file.
    pub(crate) fn top_choice<T: Choice>(&mut self, key: &str) -> T {
        self.read(key.to_owned(), T::allowed(), show_plain, |raw| {
            raw.text().and_then(|word| T::parse(&word)).ok_or("")
        })
    }

    /// Refuses a value that is allowed by itself but not beside the others. Silent where one of the settings it
    /// `depends_on` was refused already: the comparison would be with a default nobody asked for.
    pub(crate) fn require(&mut self, holds: bool, key: &str, depends_on: &[&str], allowed: &str) {
        let refused = |name: &str| self.refused.iter().any(|refused| refused == name);
        if holds || refused(key) || depends_on.iter().any(|name| refused(name)) {
            return;
        }
        let (name, raw) = self.layers.find(key);
        let show = self.shown.get(key).expect("a setting that was read");
        let value = show(&raw);
        self.errors.push(ConfigError::Bad { name, value, allowed: allowed.to_owned() });
    }

    /// The default of a setting that is a text.
    pub(crate) fn default_text(&self, key: &str) -> String {
        self.layers.default_of(key).text().expect("a text")
    }

    /// Every setting read, or every mistake: bad values, then unknown names.
    pub(crate) fn finish(mut self) -> Result<Vec<Setting>, ConfigErrors> {
        let keys: Vec<_> = self.settings.iter().map(|setting| setting.key.as_str()).collect();
        self.errors.extend(self.layers.unknown(&keys));
        if self.errors.is_empty() { Ok(self.settings) } else { Err(ConfigErrors(self.errors)) }
    }

    fn read<T>(
        &mut self,
        key: String,
        allowed: String,
        show: fn(&Raw) -> String,
        parse: impl Fn(&Raw) -> Result<T, Hint>,
    ) -> T {
        let (name, raw) = self.layers.find(&key);
        let value = parse(&raw).unwrap_or_else(|hint| {
            let allowed = if hint.is_empty() { allowed.clone() } else { format!("{allowed} ({hint})") };
            self.errors.push(ConfigError::Bad { name, value: show(&raw), allowed });
            self.refused.push(key.clone());
            // Reading goes on with the default, so that all mistakes are told at once.
            parse(&self.layers.default_of(&key))
                .unwrap_or_else(|_| panic!("the default of {key} is not allowed"))
        });
        self.shown.insert(key.clone(), show);
        self.settings.push(Setting { key, allowed });
        value
    }
}

impl Section<'_> {
    pub(crate) fn number<T>(&mut self, key: &str, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let allowed = format!("{} to {}", range.start(), range.end());
        self.read(key, allowed, show_plain, |raw| in_range(raw, &range).ok_or(""))
    }

    pub(crate) fn power_of_two(&mut self, key: &str, range: RangeInclusive<usize>) -> usize {
        let allowed = format!("a power of two, {} to {}", range.start(), range.end());
        self.read(key, allowed, show_plain, |raw| {
            in_range(raw, &range).filter(|number: &usize| number.is_power_of_two()).ok_or("")
        })
    }

    pub(crate) fn flag(&mut self, key: &str) -> bool {
        self.read(key, "true or false".to_owned(), show_plain, |raw| raw.flag().ok_or(""))
    }

    pub(crate) fn choice<T: Choice>(&mut self, key: &str) -> T {
        self.read(key, T::allowed(), show_plain, |raw| raw.text().and_then(|word| T::parse(&word)).ok_or(""))
    }

    pub(crate) fn text(&mut self, key: &str) -> String {
        self.read(key, NOT_EMPTY.to_owned(), show_plain, |raw| not_empty(raw).ok_or(""))
    }

    pub(crate) fn secret(&mut self, key: &str) -> Secret {
        self.read(key, NOT_EMPTY.to_owned(), show_stars, |raw| not_empty(raw).map(Secret::new).ok_or(""))
    }

    /// An Ed25519 private key, if there is one.
    pub(crate) fn private_key(&mut self, key: &str) -> Option<Ed25519Seed> {
        let allowed = "an Ed25519 private key as PEM, or the path of a PEM file, or empty".to_owned();
        self.read(key, allowed, show_stars, |raw| match raw.text().ok_or("")?.trim() {
            "" => Ok(None),
            text => Ed25519Seed::read(text).map(Some),
        })
    }

    pub(crate) fn retired_keys(&mut self, key: &str) -> Vec<RetiredKey> {
        let allowed = "a list of `kid=HS256:secret` and `kid=EdDSA:key`, the key as PEM or a path".to_owned();
        self.read(key, allowed, show_stars, |raw| {
            raw.list().ok_or("")?.iter().map(|word| RetiredKey::read(word)).collect()
        })
    }

    pub(crate) fn socket(&mut self, key: &str) -> SocketAddr {
        let allowed = "an address and a port, such as 127.0.0.1:8080".to_owned();
        self.read(key, allowed, show_plain, |raw| raw.text().and_then(|text| text.parse().ok()).ok_or(""))
    }

    /// A server's URL, or empty for the embedded part.
    pub(crate) fn backend(&mut self, key: &str, form: &UrlForm) -> Backend {
        self.read(key, form.allowed.to_owned(), show_url, |raw| match &*raw.text().ok_or("")? {
            "" => Ok(Backend::Embedded),
            text => server(text, form).map(Backend::Server),
        })
    }

    /// The URLs of a server's nodes, separated by commas; none for the embedded part.
    pub(crate) fn servers(&mut self, key: &str, form: &UrlForm) -> Vec<ServerUrl> {
        self.read(key, form.allowed.to_owned(), show_urls, |raw| match &*raw.text().ok_or("")? {
            "" => Ok(Vec::new()),
            text => text.split(',').map(|url| server(url.trim(), form)).collect(),
        })
    }

    /// Where something is sent by HTTP; `None` when it is empty.
    pub(crate) fn http_endpoint(&mut self, key: &str) -> Option<ServerUrl> {
        let allowed = "an `http://` URL such as `http://127.0.0.1:4318`, or empty".to_owned();
        self.read(key, allowed, show_url, |raw| {
            let text = raw.text().ok_or("")?;
            if text.is_empty() {
                return Ok(None);
            }
            let url = ServerUrl::parse(&text).ok_or("")?;
            match () {
                () if url.scheme == "https" => Err("without TLS: send to a collector beside this process"),
                () if url.scheme != "http" => Err(""),
                () if !url.user.is_empty() || url.password.is_some() => Err("without a user"),
                () if url.has_query => Err("without a query"),
                () => Ok(Some(url)),
            }
        })
    }

    /// A part of a whole; `None` for the word auto.
    pub(crate) fn ratio(&mut self, key: &str) -> Option<f64> {
        self.read(key, "auto, or 0 to 1".to_owned(), show_plain, |raw| {
            if raw.text().as_deref() == Some("auto") {
                return Ok(None);
            }
            raw.decimal().filter(|ratio| (0.0..=1.0).contains(ratio)).map(Some).ok_or("")
        })
    }

    pub(crate) fn address_blocks(&mut self, key: &str) -> Vec<AddressBlock> {
        let allowed = "a list of addresses and blocks, such as 10.0.0.0/8".to_owned();
        self.read(key, allowed, show_plain, |raw| {
            let words = raw.list().ok_or("")?;
            words.iter().map(|word| AddressBlock::parse(word)).collect::<Option<_>>().ok_or("")
        })
    }

    pub(crate) fn origins(&mut self, key: &str) -> Vec<String> {
        let allowed = "a list of origins such as `https://shop.example`, without a path".to_owned();
        self.read(key, allowed, show_plain, |raw| {
            raw.list().filter(|words| words.iter().all(|word| is_origin(word))).ok_or("")
        })
    }

    /// Hosts, each with a port.
    pub(crate) fn host_ports(&mut self, key: &str) -> Vec<(String, u16)> {
        self.read(key, "a list of `host:port`".to_owned(), show_plain, |raw| {
            let words = raw.list().ok_or("")?;
            let read = |word: &String| {
                let (host, port) = server_url::host_and_port(word)?;
                Some((host, port?))
            };
            words.iter().map(read).collect::<Option<_>>().ok_or("")
        })
    }

    /// Numbers that rise, `count` of them, each in `range`.
    pub(crate) fn rising(
        &mut self,
        key: &str,
        count: RangeInclusive<usize>,
        range: RangeInclusive<u64>,
    ) -> Vec<u64> {
        let allowed = format!(
            "{} to {} rising numbers, each {} to {}",
            count.start(),
            count.end(),
            range.start(),
            range.end()
        );
        self.read(key, allowed, show_plain, |raw| {
            let fits = |numbers: &Vec<u64>| {
                count.contains(&numbers.len())
                    && numbers.iter().all(|number| range.contains(number))
                    && numbers.is_sorted_by(|before, after| before < after)
            };
            raw.numbers().filter(fits).ok_or("")
        })
    }

    /// An e-mail address in lower case.
    pub(crate) fn email(&mut self, key: &str) -> Option<String> {
        self.read(key, "an e-mail address, or empty".to_owned(), show_plain, |raw| match raw.text() {
            Some(email) if email.is_empty() => Ok(None),
            Some(email) if is_email(&email) => Ok(Some(email.to_ascii_lowercase())),
            _ => Err(""),
        })
    }

    pub(crate) fn header(&mut self, key: &str) -> Option<String> {
        self.read(key, "a header name, or empty".to_owned(), show_plain, |raw| match raw.text() {
            Some(name) if name.is_empty() => Ok(None),
            Some(name) if is_header_name(&name) => Ok(Some(name.to_ascii_lowercase())),
            _ => Err(""),
        })
    }

    fn read<T>(
        &mut self,
        key: &str,
        allowed: String,
        show: fn(&Raw) -> String,
        parse: impl Fn(&Raw) -> Result<T, Hint>,
    ) -> T {
        self.reader.read(format!("{}.{key}", self.name), allowed, show, parse)
    }
}

/// The environment variable of `section.key`.
pub(crate) fn env_name(key: &str) -> String {
    format!("SPIKE_{}", key.replace('.', "_").to_ascii_uppercase())
}

const NOT_EMPTY: &str = "any text that is not empty";

fn server(text: &str, form: &UrlForm) -> Result<ServerUrl, Hint> {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let url = ServerUrl::parse(text).ok_or_else(|| match (form.hint)(scheme) {
        "" => "reserved characters in a user or a password must be percent-encoded",
        hint => hint,
    })?;
    if url.scheme != form.scheme {
        return Err((form.hint)(scheme));
    }
    (form.accepts)(&url).map(|()| url)
}

fn not_empty(raw: &Raw) -> Option<String> {
    raw.text().filter(|text| !text.trim().is_empty())
}

fn in_range<T: TryFrom<i128> + PartialOrd>(raw: &Raw, range: &RangeInclusive<T>) -> Option<T> {
    raw.integer().and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number))
}

fn is_origin(word: &str) -> bool {
    let rest = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://"));
    rest.is_some_and(|host| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
    })
}

/// Roughly: the control API knows exactly, and refuses at the start what it would refuse at a login.
fn is_email(word: &str) -> bool {
    let graphic = word.bytes().all(|b| b.is_ascii_graphic());
    graphic && word.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
}

fn is_header_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn show_plain(raw: &Raw) -> String {
    const SHOWN_CHARS_MAX: usize = 120;
    let text = raw.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn show_stars(_: &Raw) -> String {
    STARS.to_owned()
}

fn show_url(raw: &Raw) -> String {
    raw.text().map_or_else(|| STARS.to_owned(), |text| server_url::masked(&text))
}

fn show_urls(raw: &Raw) -> String {
    raw.text().map_or_else(|| STARS.to_owned(), |text| server_url::masked_list(&text))
}
