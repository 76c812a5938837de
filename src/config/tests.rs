//! The table of keys, and every source and error of a configuration.

use super::environment::variable;
use super::example::defaults;
use super::key::ValueKind;
use super::keys::{find, is_table};
use super::sources::Draft;
use super::*;
use crate::auth::Secret;
use crate::base::limits::{CONFIG_FAULTS_MAX, CONFIG_FILE_BYTES_MAX, SHORT_TEXT_BYTES_MAX};
use crate::hub::Scope;
use crate::store::Place;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

fn config(listen: &str) -> Config {
    Config::new(listen.parse().unwrap(), Place::Memory)
}

fn shown(config: &Config) -> Vec<String> {
    keys().iter().map(|key| key.shown(config)).collect()
}

#[test]
fn one_thread_serves_or_as_many_as_are_said_or_one_for_each_core() {
    let mut config = config("127.0.0.1:0");
    assert_eq!(config.thread_count(), 1);
    config.set("threads=3").unwrap();
    assert_eq!(config.thread_count(), 3);
    config.set("threads=0").unwrap();
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(config.thread_count(), cores.min(64));
    assert!(config.set("threads=65").is_err());
}

/// Loads a file, variables, and flags of `--set`. Errors have `FILE` in place of the file's name.
fn read(text: &str, variables: &[(&str, &str)], flags: &[&str]) -> Result<Loaded, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let sources = ConfigSources {
        default_data: "home".into(),
        file: Some(file.path().into()),
        variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        flags: flags
            .iter()
            .map(|text| Assignment {
                flag: format!("--set {text}"),
                key: None,
                value: RawValue::Text((*text).to_owned()),
            })
            .collect(),
        stands_alone: false,
    };
    let shown = file.path().display().to_string();
    sources.read().map_err(|faults| faults.to_string().replace(&shown, "FILE"))
}

fn read_file(text: &str) -> Result<Loaded, String> {
    read(text, &[], &[])
}

#[test]
fn every_key_sets_its_own_value_and_no_other() {
    for (place, key) in keys().iter().enumerate() {
        let mut config = defaults();
        let mut expected = shown(&config);
        let value = match &key.kind {
            ValueKind::Number { get, .. } => (get(&config) + 1).to_string(),
            ValueKind::Flag { get, .. } => (!get(&config)).to_string(),
            ValueKind::Text { .. } | ValueKind::List { .. } | ValueKind::Section(_) => match key.name {
                "listen" => "[::1]:1",
                "data" => ":memory:",
                "auth.url" => "https://a/b?c",
                "auth.url_headers" => "cookie,x-a",
                "http.allowed_origins" => "http://a,https://b:1",
                "presence.scope" => "rooms",
                "proxies.trusted" => "127.0.0.1,10.0.0.0/8,::1",
                "proxies.protocol" => "2001:db8::/32",
                "rooms.create" => "admin",
                "retention.default" => "10/all",
                "retention.rooms" => "a:b=10/all,tea=all/1",
                "streams" => {
                    "{ \"a\" = { keep = 7, publish = true, read = \"users\", \
                     priority = \"normal\", max_bytes = 9 } }"
                }
                "limits.users" => {
                    "{ \"ada\" = { burst = 9 }, \"bot\" = { requests_per_second = 7, rooms = 0 } }"
                }
                "limits.claims" => "{ burst = 99, messages_per_minute = 0 }",
                "handlers" => {
                    "[{ types = [\"a.*\"], url = \"http://a/\", rights = \"users\", \
                     timeout_ms = 5000, concurrency = 8, waiting = 256, waiting_ms = 2000, body_bytes = 65536 }]"
                }
                "process.user" => "nobody:adm",
                "process.umask" => "027",
                "listeners" => "[{ address = \"127.0.0.1:9\", serves = [\"metrics\"] }]",
                "tls.certificates" => "a.pem:a.key,b.pem:b.key",
                "log.level" => "warn,parlor::store=debug",
                "log.format" => "json",
                name if name.starts_with("auth.") || name.starts_with("tls.") => "a=b,./c=d",
                name => panic!("{name} has no other value in this test"),
            }
            .to_owned(),
        };
        config.set(&format!("{} = {value} ", key.name)).unwrap();
        expected[place] = value;
        assert_eq!(shown(&config), expected);
        let mut copy = defaults();
        key.copy(&config, &mut copy);
        assert_eq!(shown(&copy), expected);
    }
}

#[test]
fn tables_of_keys_lie_together_and_variables_are_different() {
    let tables: Vec<&str> = keys()
        .iter()
        .map(|key| match (&key.kind, key.name.rsplit_once('.')) {
            (_, Some((table, _))) => table,
            // The section is a table itself.
            (ValueKind::Section(_), None) => key.name,
            (_, None) => "",
        })
        .collect();
    let mut seen = tables.clone();
    seen.dedup();
    assert_eq!(seen.len(), tables.iter().collect::<BTreeSet<_>>().len(), "{seen:?}");
    let variables: BTreeSet<String> = keys().iter().map(|key| variable(key.name)).collect();
    assert_eq!(variables.len(), keys().len());
    assert!(variables.contains("PARLOR_LIMITS_BURST") && variables.contains("PARLOR_LISTEN"));
    assert!(is_table("limits") && !is_table("limit") && !is_table("limits.burst"));
}

#[test]
fn short_texts_are_as_long_as_a_sound_store_may_have_them_however_they_are_set() {
    let max = u64::from(SHORT_TEXT_BYTES_MAX);
    for name in ["limits.cid_bytes", "limits.emoji_bytes", "limits.title_bytes"] {
        let mut config = config("127.0.0.1:0");
        config.set(&format!("{name}={max}")).unwrap();
        assert!(config.check().is_ok());
        config.set(&format!("{name}={}", max + 1)).unwrap_err();
        let ValueKind::Number { set, .. } = find(name).unwrap().kind else { panic!("{name}") };
        set(&mut config, max + 1);
        let Err(ConfigError::BadValue { key, .. }) = config.check() else { panic!("{name}") };
        assert_eq!(key, name);
    }
}

#[test]
fn an_empty_text_takes_a_value_away() {
    let may_be_empty = |name: &str| name.starts_with("auth.") || name.starts_with("tls.");
    for key in keys().iter().filter(|key| may_be_empty(key.name)) {
        if !matches!(key.kind, ValueKind::Text { .. } | ValueKind::List { .. }) {
            continue;
        }
        let mut config = config("127.0.0.1:0");
        let value = match key.name {
            "auth.url" => "http://a/",
            "auth.url_headers" => "cookie",
            "tls.certificates" => "a.pem:a.key",
            _ => "a.pem",
        };
        config.set(&format!("{}={value}", key.name)).unwrap();
        assert_eq!(key.shown(&config), value);
        let ends_open_mode = ["auth.secret_file", "auth.key_files", "auth.url"];
        assert_eq!(config.is_open(), !ends_open_mode.contains(&key.name));
        config.set(&format!("{}=", key.name)).unwrap();
        assert_eq!(key.shown(&config), "");
        assert!(config.is_open());
    }
}

#[test]
fn a_wrong_value_says_what_is_wanted() {
    for (wrong, wanted) in [
        ("limits.burst=", "an integer from 1 to 4294967295 (requests); not \"\""),
        ("limits.burst=-1", "integer"),
        ("auth.url_headers=cookie,X-Forwarded-For", "none of those that parlor itself sends"),
        ("limits.burst=0", "from 1"),
        ("limits.burst=4294967296", "to 4294967295"),
        ("limits.message_bytes=0", "an integer from 1 on (bytes)"),
        ("compression.enabled=1", "compression.enabled is true or false; not \"1\""),
        ("compression.level=10", "from 0 to 9;"),
        ("presence.scope=nobody", "everyone, rooms or off"),
        ("rooms.create=owner", "anyone or admin"),
        ("retention.default=0/all", "ENTRIES/AGE_MS"),
        ("retention.rooms=a b=1/1", "ROOM=ENTRIES/AGE_MS"),
        ("streams={ s = { keeep = 7 } }", "stream \"s\": \"keeep\" is none of keep,"),
        ("streams={ s = { keeep = 7 } }", "did you mean keep?"),
        ("streams={ s = { webhook = { pth = \"/a\" } } }", "did you mean path?"),
        ("streams={ s = 7 }", "stream \"s\": a table is needed"),
        ("streams={ \"a b\" = {} }", "stream \"a b\": a stream's name is not made"),
        ("streams={} }", "this is not TOML: "),
        ("streams=7", "streams is a table of streams"),
        ("handlers=[{ type = [\"a\"] }]", "handlers: \"type\" is none of types, url"),
        ("handlers=[{ type = [\"a\"] }]", "did you mean types?"),
        ("handlers={}", "handlers is a list of tables"),
        ("limits.users={ bot = { brst = 1 } }", "limits of \"bot\": \"brst\" is none of"),
        ("limits.users={ bot = { brst = 1 } }", "did you mean burst?"),
        ("limits.users={ bot = 1 }", "limits of \"bot\": a table is needed"),
        ("limits.users={ \"a b\" = {} }", "limits of \"a b\": a user's id"),
        ("limits.claims={ brst = 1 }", "did you mean burst?"),
        ("limits.claims=7", "limits.claims is a table"),
        ("auth.key_files==a", "KID=FILE"),
        ("auth.key_files=a=", "KID=FILE"),
        ("auth.key_files=a,,b", "KID=FILE"),
        ("auth.key_files=,", "KID=FILE"),
        ("http.allowed_origins=*", "https://example.com"),
        ("http.allowed_origins=http://a/b", "https://example.com"),
        ("http.allowed_origins=https://u:PW@h", "https://example.com; not \"https://…@h\""),
        ("http.allowed_origins=https://h?x", "not \"https://h?…\""),
        ("http.allowed_origins=https://h#x", "https://example.com"),
        ("http.allowed_origins=https://*.h", "https://example.com"),
        ("listen=localhost", "127.0.0.1:8080"),
        ("listen=example.com:1", "127.0.0.1:8080"),
        ("listen=:", "127.0.0.1:8080"),
        ("listen=+1", "127.0.0.1:8080"),
        ("listen=65536", "127.0.0.1:8080"),
        ("listen=::1", "127.0.0.1:8080"),
        ("log.level=loud", "trace"),
        ("log.level=info,parlor=loud", "trace"),
        ("log.format=xml", "text or json"),
        ("limits.burst", "is not of the form KEY=VALUE"),
        ("limits.bursts=1", "\"limits.bursts\": did you mean limits.burst?"),
        ("unheard.of=1", "`parlor config` lists all keys"),
    ] {
        let mut config = config("127.0.0.1:0");
        let error = config.set(wrong).unwrap_err().to_string();
        assert!(error.contains(wanted), "{wrong}: {error}");
        assert_eq!(
            shown(&config),
            shown(&crate::config::tests::config("127.0.0.1:0")),
            "nothing has changed"
        );
    }
}

#[test]
fn a_port_alone_is_one_of_this_machine() {
    for (text, address) in [
        ("8080", "127.0.0.1:8080"),
        (":8080", "127.0.0.1:8080"),
        ("localhost:8080", "127.0.0.1:8080"),
        ("0", "127.0.0.1:0"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("[::1]:80", "[::1]:80"),
    ] {
        let mut config = config("127.0.0.1:1");
        config.set(&format!("listen={text}")).unwrap();
        assert_eq!(config.listen, address.parse().unwrap(), "{text}");
    }
}

#[test]
fn open_mode_is_for_this_machine_alone() {
    for good in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1"] {
        assert!(config(good).check().is_ok(), "{good}");
    }
    for bad in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
        let mut config = config(bad);
        assert!(config.check().unwrap_err().to_string().contains("--secret-file"), "{bad}");
        config.secret = Some(Secret::new(&[b'x'; 32]).unwrap());
        assert!(config.check().is_ok());
        config.is_open_asked = true;
        assert!(matches!(config.check(), Err(ConfigError::OpenWithKeys)));
        config.secret_file = Some("secret".into());
        assert_eq!(config.contradictions().len(), 2, "all that is wrong is told");
    }
}

#[test]
fn the_example_without_its_comment_signs_is_the_defaults() {
    let text = example();
    let is_key = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
    let plain: Vec<&str> =
        text.lines().map(|line| if is_key(line) { &line[1..] } else { line }).collect();
    let count = text.lines().filter(|line| is_key(line)).count();
    let sections = keys().iter().filter(|key| matches!(key.kind, ValueKind::Section(_))).count();
    assert_eq!(count + sections, keys().len());
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    for example in [plain.join("\n"), text.clone()] {
        let loaded = read_file(&example).unwrap();
        let mut expected = defaults();
        expected.data = Place::Directory("home".into());
        assert_eq!(shown(&loaded.config), shown(&expected));
        assert!(
            loaded.differences().all(|(key, _)| key.name == "data"),
            "decided by whoever reads"
        );
    }
    for key in keys() {
        assert!(plain.iter().any(|line| line.contains(&variable(key.name))), "{}", key.name);
    }
}

#[test]
fn the_example_with_all_that_it_shows_is_a_configuration_and_every_member_is_documented() {
    let text = example();
    let uncommented = |line: &str| match line.strip_prefix("#   ") {
        Some(line) => line.to_owned(),
        None => {
            line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line).to_owned()
        }
    };
    let all: Vec<String> = text.lines().map(uncommented).collect();
    let loaded = read_file(&all.join("\n")).unwrap();
    let changed: Vec<&str> = loaded.differences().map(|(key, _)| key.name).collect();
    let is_section =
        |key: &&ConfigKey| key.name == "data" || matches!(key.kind, ValueKind::Section(_));
    let sections: Vec<&str> = keys().iter().filter(is_section).map(|key| key.name).collect();
    assert_eq!(changed, sections, "each section has an example, and it is taken");
    assert!(loaded.config.streams.len() > 2 && loaded.config.handlers.len() == 1);
    for key in keys() {
        let ValueKind::Section(section) = &key.kind else { continue };
        for (name, _) in (section.members)() {
            assert!(text.contains(&format!("\n# - {name}: ")), "{name}");
            assert!(name.contains('.') || key.wants().contains(&name), "{} {name}", key.name);
        }
    }
}

#[test]
fn what_is_shown_is_read_back() {
    let values = [
        "listen=[::1]:1",
        "auth.audience=\"a\\b\u{7}é\"",
        "retention.rooms=a:b=10/all,tea=all/1",
        "handlers=[{ types = [\"a\"], url = \"http://a/\" }, { types = [\"b\"], url = \"http://b/\" }]",
        "streams={ s = { url = \"http://a/\", every_ms = 10, pointer = \"/a\" } }",
        "http.allowed_origins=http://a,https://b:1",
        "log.level=warn",
    ];
    let loaded = read("", &[], &values).unwrap();
    let again = read_file(&loaded.to_toml()).unwrap();
    assert_eq!(shown(&loaded.config), shown(&again.config));
    assert!(loaded.to_toml().contains("level = \"warn\"  # --set log.level=warn\n"));
}

#[test]
fn what_a_url_may_hide_is_told_nowhere() {
    let url = "http://h.example/x?token=hush";
    let streams = format!("streams={{ s = {{ url = \"{url}\", every_ms = 10 }} }}");
    let handlers = format!("handlers=[{{ types = [\"a\"], url = \"{url}\" }}]");
    let auth = format!("auth.url={url}");
    let loaded = read("", &[], &[&streams, &handlers, &auth]).unwrap();
    assert_eq!(loaded.config.auth_url.as_deref(), Some(url), "it takes effect");
    let shown = loaded.to_toml();
    assert_eq!(shown.matches("http://h.example/x?…\"").count(), 3, "{shown}");
    assert!(!shown.contains("hush"), "{shown}");
    for (key, origin) in loaded.differences() {
        let told = format!("{} ({origin})", key.redacted(&loaded.config));
        assert!(!told.contains("hush"), "{told}");
    }
    // Nor when the value is refused.
    for wrong in [
        "streams={ s = { url = \"http://u:hush@h/\", every_ms = 10 } }",
        "streams={ s = { url = \"ftp://h/?hush\", every_ms = 10 } }",
        "streams={ s = { command = \"curl hush\", every_ms = 10 } }",
        "streams=\"http://h/?hush\"",
        "streams={ s = { url = \"http://h/?hush\" } }",
        "handlers=[{ types = [\"a\"], url = \"http://u:hush@h/\" }]",
        "auth.url=http://u:hush@h/?hush",
        "auth.urls=http://h/?hush",
    ] {
        let error = read("", &[], &[wrong]).unwrap_err();
        assert!(!error.contains("hush") && !error.is_empty(), "{error}");
        let (key, value) = wrong.split_once('=').unwrap();
        let value = if key.starts_with("auth") { format!("\"{value}\"") } else { value.to_owned() };
        let error = read_file(&format!("{key} = {value}")).unwrap_err();
        assert!(!error.contains("hush") && !error.is_empty(), "{error}");
    }
}

#[test]
fn each_source_goes_before_the_ones_below_it() {
    let file = "[limits]\nburst = 2\nrooms = 2\npage = 2\n[retention.rooms]\na = \"1/1\"\n";
    let variables = [("PARLOR_LIMITS_ROOMS", "3"), ("PARLOR_LIMITS_PAGE", " 3 "), ("HOME", "x")];
    let loaded = read(file, &variables, &["limits.page=4", "limits.page=5"]).unwrap();
    let limits = &loaded.config.limits;
    assert_eq!((limits.burst, limits.rooms, limits.page, limits.invites), (2, 3, 5, 100));
    let origins: Vec<String> = loaded
        .differences()
        .map(|(key, origin)| {
            let line = origin.to_string();
            let line = line.rsplit_once('/').map_or(line.as_str(), |(_, name)| name);
            format!("{} {}", key.name(), line.split_once(':').map_or(line, |(_, place)| place))
        })
        .collect();
    assert_eq!(
        origins,
        [
            "limits.burst 2:1",
            "limits.rooms PARLOR_LIMITS_ROOMS",
            "limits.page --set limits.page=5",
            "retention.rooms 1"
        ]
        .map(|line| line.replace("retention.rooms 1", "retention.rooms 5:12"))
    );
    let replaced = read(file, &[("PARLOR_RETENTION_ROOMS", "b=all/2")], &[]).unwrap();
    assert_eq!(find("retention.rooms").unwrap().shown(&replaced.config), "b=all/2");
}

#[test]
fn a_low_mark_is_below_its_limit_in_whichever_order_they_are_set() {
    let loaded = read(
        "[limits]\noutbox_low_bytes = 4096\noutbox_bytes = 2048\n",
        &[("PARLOR_LIMITS_OUTBOX_BYTES", "10000")],
        &[],
    );
    assert_eq!(loaded.unwrap().config.limits.outbox_low_bytes, 4_096);
    let loaded = read_file("[limits]\noutbox_low_bytes = 4096\noutbox_bytes = 2048\n");
    assert_eq!(loaded.unwrap().config.limits.outbox_low_bytes, 1_024);
}

#[test]
fn a_file_has_numbers_flags_texts_lists_and_tables() {
    let text = r#"
        listen = "127.0.0.1:1"
        data = ":memory:"
        limits.burst = 1_0
        limits.rooms = 0x10
        compression = { enabled = true, level = 1 }
        [http]
        allowed_origins = ["https://a", "http://b:1"]
        [presence]
        scope = "off"
        [retention]
        default = "10/all"
        [retention.rooms]
        tea = { entries = 10 }
        "a:b" = { age_ms = 1_000, entries = "all" }
        "c" = "1/2"
    "#;
    let config = read_file(text).unwrap().config;
    assert_eq!((config.limits.burst, config.limits.rooms), (10, 16));
    assert!(config.compression.enabled && config.compression.codecs.level == 1);
    assert_eq!(config.allowed_origins, ["https://a", "http://b:1"]);
    assert_eq!((config.presence, config.data), (Scope::Off, Place::Memory));
    assert_eq!(config.listen.port(), 1);
    let rooms = find("retention.rooms").unwrap();
    let mut expected = defaults();
    expected.set("retention.rooms=a:b=all/1000,c=1/2,tea=10/all").unwrap();
    let config = read_file(text).unwrap().config;
    assert_eq!(rooms.shown(&config), rooms.shown(&expected));
}

#[test]
fn all_that_is_wrong_in_a_file_is_told_with_its_place() {
    for (text, said) in [
        ("burst = 1", "FILE:1:1: no key is called \"burst\": did you mean limits.burst?"),
        (
            "[limits]\n bursts = 1",
            "FILE:2:2: no key is called \"limits.bursts\": did you mean limits.burst?",
        ),
        ("[limit]\nburst = 1", "FILE:1:2: no key is called \"limit\": did you mean limits?"),
        ("[[sockets]]\nurl = 1", "FILE:1:3: no key is called \"sockets\""),
        ("limits = 1", "FILE:1:1: no key is called \"limits\""),
        ("\"limits.burst\" = 1", "did you mean limits.burst?"),
        (
            "[limits.burst]\nx = 1",
            "FILE:1:1: limits.burst is an integer from 1 to 4294967295 (requests); not a table",
        ),
        ("limits.burst = \"1\"", "not \"1\""),
        ("limits.burst = 1.5", "not a number with a fraction"),
        ("limits.burst = -1", "not -1"),
        ("limits.burst = 99999999999", "not 99999999999"),
        ("limits.burst = true", "not true"),
        ("limits.burst = 2026-01-01", "not a date"),
        ("compression.enabled = 1", "FILE:1:23: compression.enabled is true or false; not 1"),
        ("log.level = 3", "not 3"),
        ("auth.key_files = \"a.pem\"", "auth.key_files is a list of files"),
        ("auth.key_files = [\"a.pem\", 3]", "not [\"a.pem\", 3]"),
        ("retention.rooms = 3", "retention.rooms is a table of rooms"),
        (
            "[retention.rooms]\n\"a b\" = \"1/1\"",
            "FILE:2:1: retention.rooms: \"a b\": a room's name is needed",
        ),
        (
            "[retention.rooms]\na = { entrys = 1 }",
            "FILE:2:7: retention.rooms: \"a\": \"entrys\" is none of entries, age_ms; did you mean entries?",
        ),
        ("[retention.rooms]\na = { entries = 0 }", "age_ms = … } is needed"),
        ("[retention.rooms]\na = {}", "age_ms = … } is needed"),
        ("[retention.rooms]\na = 1", "age_ms = … } is needed"),
        ("limits.burst = ", "FILE:1:16: this is not TOML: "),
        ("limits.burst = 1\nlimits.burst = 2", "FILE:2:8: this is not TOML: "),
        ("auth.secret_file = \"nowhere/secret\"", "nowhere/secret: cannot be read"),
        ("listen = \"0.0.0.0:1\"", "FILE:1:1: refusing to listen on 0.0.0.0:1 without a secret"),
        (
            "auth.open = true\nlisten = \"0.0.0.0:1\"",
            "FILE:1:6: open mode is asked for (auth.open, --open), which is for a loopback",
        ),
    ] {
        let error = read_file(text).unwrap_err();
        assert!(error.contains(said), "{text}\n{error}\n{said}");
    }
    let error = read("a = 1\nlisten = 2\n", &[("PARLOR_X", "1")], &["b=1", "listen"]).unwrap_err();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 5, "{error}");
    assert!(lines[0].starts_with("FILE:1:1: ") && lines[1].starts_with("FILE:2:10: listen is "));
    assert!(lines[2].starts_with("PARLOR_X: no key has this variable"));
    assert!(lines[3].starts_with("--set b=1: ") && lines[4].starts_with("--set listen: "));
}

#[test]
fn a_file_that_cannot_be_read_or_is_none_is_an_error() {
    let bytes = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let sources = ConfigSources { file: Some(file.path().into()), ..ConfigSources::default() };
        sources.read().unwrap_err().to_string()
    };
    assert!(bytes(b"listen = \"a\"\n  \xff").contains(":2:3: this is not TOML: it is not UTF-8"));
    let large = vec![b'#'; CONFIG_FILE_BYTES_MAX as usize + 1];
    assert!(bytes(&large).contains("has more than 262144 bytes"));
    for path in ["/nowhere/parlor.toml", "/dev/null", "/"] {
        let sources =
            ConfigSources { file: Some(Path::new(path).into()), ..ConfigSources::default() };
        let error = sources.read().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{path}: cannot be read: ")), "{error}");
    }
    let many: String =
        (0..CONFIG_FAULTS_MAX + 7).map(|number| format!("x{number} = 1\n")).collect();
    let error = read_file(&many).unwrap_err();
    assert_eq!(error.lines().count(), CONFIG_FAULTS_MAX + 1);
    assert!(error.ends_with("… and 7 more"));
}

#[test]
fn what_only_an_embedding_program_could_feed_needs_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |text: &str, stands_alone| {
        std::fs::write(file.path(), text).unwrap();
        let default_data = "home".into();
        let file = Some(file.path().into());
        let sources =
            ConfigSources { default_data, file, stands_alone, ..ConfigSources::default() };
        sources.read().map_err(|faults| faults.to_string())
    };
    let lonely = "[streams]\na = { program = true }\n\"b:{id}\" = { program = true }\n";
    assert!(read(lonely, false).is_ok());
    let error = read(lonely, true).unwrap_err();
    assert_eq!(error.lines().count(), 2, "{error}");
    assert!(
        error.contains("stream \"a\": nothing can feed it: program = true is for a program that")
    );
    for other in [
        "publish = true",
        "url = \"http://a/\", every_ms = 10",
        "webhook = { path = \"/a\", secret_env = \"HOME\" }",
    ] {
        let text = format!("[streams]\na = {{ program = true, {other} }}\n");
        let error = read(&text, true).err().unwrap_or_default();
        assert!(!error.contains("nothing can feed it"), "{error}");
    }
}

#[test]
fn a_variable_is_a_key_or_an_error_that_names_the_nearest() {
    let secret = "a secret of more than thirty-two bytes";
    let loaded = read("", &[("PARLOR_SECRET", secret), ("PARLOR_CONFIG", "x")], &[]).unwrap();
    assert!(loaded.config.secret.is_some() && loaded.keys.to_string().starts_with("1: HS256"));
    for of_a_service in ["PARLOR_SERVICE_HOST", "PARLOR_PORT", "PARLOR_PORT_8080_TCP", "PARLORS"] {
        assert!(read("", &[(of_a_service, "tcp://10.0.0.1:8080")], &[]).is_ok(), "{of_a_service}");
    }
    for (name, value, said) in [
        (
            "PARLOR_LIMIT_BURST",
            "1",
            "PARLOR_LIMIT_BURST: no key has this variable: did you mean PARLOR_LIMITS_BURST?",
        ),
        ("PARLOR_SECRETS", "1", "did you mean PARLOR_SECRET?"),
        ("PARLOR_UNHEARD_OF", "1", "`parlor config` lists all keys"),
        ("PARLOR_LIMITS_BURST", "many", "PARLOR_LIMITS_BURST: limits.burst is an integer"),
        ("PARLOR_SECRET", "", "PARLOR_SECRET: the secret has 0 bytes, and needs at least 32"),
    ] {
        let error = read("", &[(name, value)], &[]).unwrap_err();
        assert!(error.contains(said), "{error}");
    }
    use std::os::unix::ffi::OsStringExt;
    let bytes = std::ffi::OsString::from_vec(b"\xff".to_vec());
    let sources = ConfigSources {
        variables: vec![("PARLOR_AUTH_ISSUER".into(), bytes)],
        ..ConfigSources::default()
    };
    assert!(sources.read().unwrap_err().to_string().contains("its value is not UTF-8"));
}

#[test]
fn where_no_place_for_the_data_is_known_one_must_be_named() {
    let error = ConfigSources::default().read().unwrap_err().to_string();
    assert!(error.contains("--data"), "{error}");
    let variables = vec![("PARLOR_DATA".into(), "here".into())];
    let loaded = ConfigSources { variables, ..ConfigSources::default() }.read().unwrap();
    assert_eq!(loaded.config.data, Place::Directory("here".into()));
}

#[test]
fn the_example_of_the_documents_is_a_configuration() {
    let document = include_str!("../../docs/configuration.md");
    let block = document.split("```").find_map(|block| block.strip_prefix("toml\n")).unwrap();
    let path: Arc<Path> = Path::new("parlor.toml").into();
    let mut draft = Draft::new();
    file::read_text(&path, block, &mut draft);
    let Draft { config, origins, faults } = draft;
    assert_eq!(faults.to_string(), "");
    let given = block.lines().filter(|line| line.contains('=')).count();
    assert_eq!(origins.len(), given - 1, "of the rooms there are two");
    assert!(config.check().is_ok());
}

/// A row for each key, as in `docs/configuration.md`.
fn reference() -> String {
    let defaults = defaults();
    let row = |key: &ConfigKey| {
        let default = key.shown(&defaults);
        let default = if default.is_empty() { default } else { format!("`{default}`") };
        format!(
            "| `{}` | {default} | {} | {} | {} |\n",
            key.name(),
            key.wants().replace("an integer from ", ""),
            key.effect(),
            key.about()
        )
    };
    keys().iter().map(row).collect()
}

#[test]
fn the_reference_has_every_key_as_the_table_does() {
    let rows = reference();
    let file = include_str!("../../docs/configuration.md");
    let of_file: String = file
        .lines()
        .skip_while(|line| !line.starts_with("| key |"))
        .filter(|line| line.starts_with("| `"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(of_file, rows, "the table of docs/configuration.md is to be:\n{rows}");
}
