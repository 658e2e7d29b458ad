//! `spike admin`: the first administrator of an installation, whom no API can create; closing an account while no gateway
//! serves; and what load scripts need.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use spike_gateway::control::{check_new_password, hash_now, normalise_email};
use spike_store::{Conflict, NewAudit, NewUser, StoreError, UserChange};
use tokio::runtime::Builder;

use crate::outcome::Misuse;
use crate::settings;

mod load_users;

/// What to do.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create an account; its id is the only line of standard output.
    CreateUser(NewAccount),
    /// Disable an account: it logs in no more, and all its sessions end. The last active administrator stays.
    DisableUser {
        /// With which it logs in; compared in lower case.
        #[arg(long)]
        email: String,
    },
    /// Make what load scripts need of a running shop, in one JSON file: accounts with tokens, products, an open sale.
    LoadUsers(load_users::Args),
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("secret").required(true))]
struct NewAccount {
    /// With which it logs in; compared in lower case.
    #[arg(long)]
    email: String,
    /// What it may do.
    #[arg(long, value_enum, default_value_t = Rights::User)]
    role: Rights,
    /// Shown to its owner; the part before the @ unless given.
    #[arg(long)]
    name: Option<String>,
    /// 8 to 128 characters. Others on this machine can read it while the command runs: prefer --password-stdin.
    #[arg(long, group = "secret")]
    password: Option<String>,
    /// Read the password from standard input; one line end after it does not count.
    #[arg(long, group = "secret")]
    password_stdin: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rights {
    User,
    Admin,
}

impl From<Rights> for spike_domain::Role {
    fn from(rights: Rights) -> Self {
        match rights {
            Rights::User => Self::User,
            Rights::Admin => Self::Admin,
        }
    }
}

/// Does it.
pub fn run(file: Option<&Path>, args: Args) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::CreateUser(account) => create_user(file, account),
        Action::DisableUser { email } => disable_user(file, &email),
        Action::LoadUsers(args) => load_users::run(file, &args),
    }
}

fn create_user(file: Option<&Path>, account: NewAccount) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    // The form in which a login looks it up: an account of any other could never log in.
    let Some(email) = normalise_email(&account.email) else {
        return Err(Misuse(format!("--email is {:?}; allowed: an e-mail address", account.email)).into());
    };
    let name = account.name.unwrap_or_else(|| email.split('@').next().unwrap_or_default().to_owned());
    let password = match account.password {
        Some(password) => password,
        None => read_password()?,
    };
    check_new_password(&password, &email).map_err(|weak| Misuse(format!("the password {weak}")))?;
    let password_hash = hash_now(&config.auth, &password)?;
    let user = NewUser { email: email.clone(), name, password_hash, role: account.role.into() };
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let database = settings::database(&config).await?;
        let store = &database.store;
        if config.database.url.is_embedded() {
            // Nobody else would: `spike serve` does the same.
            store.migrate().await?;
        }
        let created = store.create_recorded_user(user, &NewAudit::default()).await;
        store.close().await;
        match created {
            Ok(id) => println!("{id}"),
            Err(StoreError::Conflict { what: Conflict::Email }) => {
                anyhow::bail!("an account of {email} exists already")
            }
            Err(error) => return Err(error).context("the account was not created"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn disable_user(file: Option<&Path>, email: &str) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let database = settings::database(&config).await?;
        let store = &database.store;
        if config.database.url.is_embedded() {
            store.migrate().await?;
        }
        let Some(account) = store.user_by_email(email).await? else {
            anyhow::bail!("there is no account of {email}")
        };
        let change = UserChange { disabled: Some(true), ..UserChange::default() };
        let token_life_ms = config.auth.token_life_ms();
        let changed = store.change_user(account.id, change, token_life_ms, &NewAudit::default()).await;
        store.close().await;
        match changed {
            Ok(_) => Ok(ExitCode::SUCCESS),
            Err(StoreError::Conflict { what: Conflict::LastAdministrator }) => {
                anyhow::bail!("{email} is the last active administrator: make another one first")
            }
            Err(error) => Err(error).context("the account was not disabled"),
        }
    })
}

fn read_password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("standard input")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
