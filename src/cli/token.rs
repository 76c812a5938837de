//! `parlor token`.

use super::{CommandFailure, SECRET_VARIABLE, print_out, secret_of_environment};
use crate::auth::{Claims, SigningKey};
use crate::base::limits::{JTI_BYTES_MAX, KID_BYTES_MAX};
use crate::base::pattern::Pattern;
use crate::base::user_limits::NotALimit;
use crate::base::{Limits, UserId, UserLimit, UserLimits};
use crate::reactor::Clock;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `parlor token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The user's id: 1 to 64 of A-Z a-z 0-9 _ . @ -
    #[arg(long, value_name = "ID")]
    user: String,

    /// How long it is valid, as 90s, 15m, 1h, 7d; a number alone means seconds. With --url: how long the user stays signed in
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    ttl: Duration,

    /// Display name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Let the user do what admins may
    #[arg(long)]
    admin: bool,

    /// Let the user publish to streams of this pattern, as `state` or `sensor:*` (may be repeated)
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    publish: Vec<String>,

    /// Let the user watch only streams of this pattern (may be repeated)
    #[arg(long, value_name = "PATTERN", value_parser = parse_pattern)]
    subscribe: Vec<String>,

    /// Set a limit for this user, as `burst=100`: lower than for others, or higher if the
    /// server's limits.claims allows it (may be repeated)
    #[arg(long = "limit", value_name = "NAME=NUMBER", value_parser = parse_limit)]
    limits: Vec<(String, u32)>,

    /// Print a link that signs in one browser, once, at the server with this address, or at
    /// http://127.0.0.1:8080/
    #[arg(long, value_name = "URL", num_args = 0..=1, default_missing_value = "http://127.0.0.1:8080/")]
    url: Option<String>,

    /// With --url: how long the link can be opened
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_time, requires = "url")]
    open_within: Duration,

    /// A file with the secret; or give it in the environment variable PARLOR_SECRET
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// In place of a secret: a PEM file with a private key; it signs with RS256, ES256 or
    /// EdDSA, by the kind of key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// The key's name (kid), by which the server finds its public key
    #[arg(long, value_name = "KID")]
    kid: Option<String>,

    /// The token's audience (may be repeated)
    #[arg(long, value_name = "AUDIENCE")]
    aud: Vec<String>,

    /// The token's issuer
    #[arg(long, value_name = "ISSUER")]
    iss: Option<String>,

    /// The token's id, by which it can be revoked
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
}

pub(super) fn run(args: &TokenArgs) -> Result<(), CommandFailure> {
    let key = key(args)?;
    let user = UserId::parse(&args.user)
        .map_err(|error| CommandFailure::usage(format!("--user {:?} {error}", args.user)))?;
    let name_max = Limits::default().title_bytes as usize;
    if args.name.as_ref().is_some_and(|name| name.len() > name_max) {
        return Err(CommandFailure::usage(format!("--name has at most {name_max} bytes")));
    }
    let is_kid = |kid: &String| (1..=KID_BYTES_MAX).contains(&kid.len());
    if args.kid.as_ref().is_some_and(|kid| !is_kid(kid)) {
        return Err(CommandFailure::usage(format!("--kid has 1 to {KID_BYTES_MAX} bytes")));
    }
    if args.jti.as_ref().is_some_and(|jti| jti.len() > JTI_BYTES_MAX) {
        return Err(CommandFailure::usage(format!("--jti has at most {JTI_BYTES_MAX} bytes")));
    }
    let is_url = |url: &String| {
        let host = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        host.is_some_and(|host| !host.is_empty()) && !url.contains('#')
    };
    if args.url.as_ref().is_some_and(|url| !is_url(url)) {
        return Err(CommandFailure::usage(
            "--url is a server's address, such as http://127.0.0.1:8080/",
        ));
    }
    let now = Clock::timestamp().seconds();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    // A link contains a code, valid for one exchange; a token is valid until it expires.
    let (good_for, sign_in) = match args.url {
        Some(_) => (seconds(args.open_within), Some(seconds(args.ttl).into())),
        None => (seconds(args.ttl), None),
    };
    let jti = match (&args.jti, &args.url) {
        (None, Some(_)) => Some(made_id()?),
        (jti, _) => jti.clone(),
    };
    let claims = Claims {
        sub: user.as_str().into(),
        exp: Some(now.saturating_add(good_for).into()),
        nbf: None,
        iat: Some(now.into()),
        aud: match args.aud.as_slice() {
            [] => None,
            [one] => Some(one.as_str().into()),
            several => Some(several.into()),
        },
        iss: args.iss.clone(),
        jti,
        sign_in,
        name: args.name.clone(),
        admin: args.admin,
        publish: (!args.publish.is_empty()).then(|| args.publish.clone()),
        subscribe: (!args.subscribe.is_empty()).then(|| args.subscribe.clone()),
        limits: (!args.limits.is_empty()).then(|| {
            let named = args.limits.iter().map(|(name, value)| (name.clone(), (*value).into()));
            named.collect()
        }),
    };
    let token = key.sign(&claims, args.kid.as_deref()).map_err(CommandFailure::new)?;
    match &args.url {
        // In the fragment, which is neither sent to the server nor logged.
        Some(url) => print_out(&format!("{}/#code={token}\n", url.trim_end_matches('/'))),
        None => print_out(&format!("{token}\n")),
    }
}

/// A unique id for a code.
fn made_id() -> Result<String, CommandFailure> {
    random::<16>()
}

/// A secret for tokens, or a token of admins.
pub(super) fn made_secret() -> Result<String, CommandFailure> {
    random::<32>()
}

/// So many random bytes, in hexadecimal digits.
fn random<const N: usize>() -> Result<String, CommandFailure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(CommandFailure::new)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A link by which the user `admin` signs in to the page at `url`, as an administrator: once, within
/// a day, for a week.
pub(super) fn first_admin(key: &SigningKey, url: &str) -> Result<String, CommandFailure> {
    const DAY: i64 = 24 * 60 * 60;
    let now = Clock::timestamp().seconds();
    let claims = Claims {
        sub: "admin".into(),
        exp: Some(now.saturating_add(DAY).into()),
        iat: Some(now.into()),
        jti: Some(made_id()?),
        sign_in: Some((7 * DAY).into()),
        admin: true,
        ..Claims::default()
    };
    let token = key.sign(&claims, None).map_err(CommandFailure::new)?;
    Ok(format!("{}/#code={token}", url.trim_end_matches('/')))
}

fn parse_pattern(text: &str) -> Result<String, String> {
    Pattern::parse(text).map(|_| text.to_owned()).map_err(|error| format!("a pattern {error}"))
}

fn parse_limit(text: &str) -> Result<(String, u32), String> {
    let known = || UserLimit::ALL.iter().map(UserLimit::name).collect::<Vec<_>>().join(", ");
    let (name, value) = text.split_once('=').ok_or("this is NAME=NUMBER, such as burst=100")?;
    let value: u32 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
    UserLimits::default().set(name, value).map_err(|error| match error {
        NotALimit::Unknown => format!("{name:?} is none of {}", known()),
        NotALimit::Below(min) => format!("{name} is at least {min}"),
    })?;
    Ok((name.to_owned(), value))
}

/// The signing key: a private key, a secret from a file, or the secret from the environment.
fn key(args: &TokenArgs) -> Result<SigningKey, CommandFailure> {
    let variable = secret_of_environment()?;
    let key = match (&args.key, &args.secret_file, &variable) {
        (Some(path), None, None) => SigningKey::from_file(path),
        (None, Some(path), None) => SigningKey::from_secret_file(path),
        (None, None, Some(secret)) => Ok(SigningKey::from_secret(secret)),
        (None, None, None) => {
            return Err(CommandFailure::usage(format!(
                "a token is signed with the server's secret, or with a private key: give \
                 --secret-file, {SECRET_VARIABLE} or --key"
            )));
        }
        _ => {
            return Err(CommandFailure::usage(format!(
                "of --key, --secret-file and {SECRET_VARIABLE} several are given: give one"
            )));
        }
    };
    key.map_err(CommandFailure::usage)
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len());
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(format!("{unit:?} is no unit: s, m, h or d")),
    };
    let number: u64 =
        number.parse().map_err(|_| "a time is a number and a unit, such as 1h".to_owned())?;
    match number.checked_mul(seconds) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err("a time is at least 1s, and not longer than can be counted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(parse_time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_time("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(parse_time("7d"), Ok(Duration::from_secs(7 * 86_400)));
        for wrong in
            ["", "h", "1w", "-1h", "0s", "1.5h", "99999999999999999999d", "999999999999999999d"]
        {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
