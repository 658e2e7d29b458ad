//! Where the demo's servers are: in `SPIKE_*`, or in the file that `make up` writes.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;

use crate::outcome::Misuse;

/// The three addresses, and the folder of `make up` unless another is named.
pub const VARIABLES: [&str; 3] = ["SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL"];
const STACK: &str = ".spike/stack";

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// The addresses, in the order of [`VARIABLES`].
    pub urls: [String; 3],
    /// Where they stand, for people.
    pub origin: String,
    /// The stack's folder, if they are those of `make up`.
    pub stack: Option<String>,
}

/// Finds them in `env`, or else in the folder that SPIKE_STACK or the default names.
///
/// # Errors
/// [`Misuse`] when they are in neither.
pub fn find(env: &BTreeMap<String, String>) -> anyhow::Result<Servers> {
    let folder = env.get("SPIKE_STACK").map_or(STACK, String::as_str);
    let file = Path::new(folder).join("env");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("read {}", file.display())),
    };
    choose(env, folder, text.as_deref()).map_err(anyhow::Error::from)
}

/// All three of the environment, or all three of the stack's file; never some of each, which would be two systems.
fn choose(env: &BTreeMap<String, String>, folder: &str, file: Option<&str>) -> Result<Servers, Misuse> {
    let of_env = VARIABLES.map(|name| env.get(name).filter(|url| !url.is_empty()).cloned());
    let of_file = VARIABLES.map(|name| {
        let mut pairs = file?.lines().filter_map(|line| line.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, url)| url.to_owned())
    });
    // `make demo` passes the stack's own addresses on in the environment.
    let is_stack = of_env == of_file || of_env.iter().all(Option::is_none);
    let urls = if is_stack { of_file } else { of_env.clone() };
    if let [Some(redis), Some(amqp), Some(database)] = urls {
        let origin =
            if is_stack { format!("of `make up` in {folder}") } else { format!("of {}", words(&VARIABLES)) };
        let stack = is_stack.then(|| folder.to_owned());
        return Ok(Servers { urls: [redis, amqp, database], origin, stack });
    }
    let missing: Vec<&str> =
        VARIABLES.iter().zip(&of_env).filter(|(_, url)| url.is_none()).map(|(name, _)| *name).collect();
    let all = words(&VARIABLES);
    Err(Misuse(if missing.len() < VARIABLES.len() {
        format!("{} not set: set all of {all}, or none to use the servers of `make up`", words(&missing))
    } else {
        format!("no servers: start them with `make up` (none run in {folder}), or set {all}")
    }))
}

/// `a, b and c`.
fn words(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "SPIKE_REDIS_URL=redis://f\nSPIKE_AMQP_URL=amqp://f\nSPIKE_DATABASE_URL=mysql://f?a=b\n";

    fn check(env: &[&str], file: Option<&str>) -> Result<Servers, String> {
        let env = env.iter().map(|name| ((*name).to_owned(), "of-env".to_owned())).collect();
        choose(&env, "stack", file).map_err(|misuse| misuse.0)
    }

    #[test]
    fn the_environment_wins_whole_or_not_at_all() {
        assert_eq!(check(&VARIABLES, Some(FILE)).unwrap().urls, ["of-env"; 3]);
        assert_eq!(check(&VARIABLES, Some(FILE)).unwrap().stack, None);
        let of_file = check(&[], Some(FILE)).unwrap();
        assert_eq!(of_file.urls, ["redis://f", "amqp://f", "mysql://f?a=b"]);
        assert_eq!(of_file.stack.as_deref(), Some("stack"));
        let passed_on = VARIABLES.into_iter().map(str::to_owned).zip(of_file.urls.clone()).collect();
        assert_eq!(choose(&passed_on, "stack", Some(FILE)).unwrap(), of_file, "as `make demo` does");
        let partly = check(&VARIABLES[..2], Some(FILE)).unwrap_err();
        assert!(partly.starts_with("SPIKE_DATABASE_URL not set"), "{partly}");
    }

    #[test]
    fn without_servers_both_ways_are_named() {
        for file in [None, Some(""), Some("SPIKE_REDIS_URL=redis://f\n")] {
            let message = check(&[], file).unwrap_err();
            for part in ["make up", "SPIKE_REDIS_URL", "SPIKE_AMQP_URL", "SPIKE_DATABASE_URL", "stack"] {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }
}
