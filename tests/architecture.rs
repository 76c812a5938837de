//! Who may use whom, and words with one home: the table of `ARCHITECTURE.md`, held.

use std::fs;
use std::path::{Path, PathBuf};

/// A layer and what it may use beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("protocol", &["base"]),
    ("hub", &["base"]),
    ("store", &["base"]),
    ("reactor", &["base"]),
    ("server", &["base", "protocol", "hub", "store", "reactor"]),
    ("client", &["base", "protocol", "reactor"]),
    ("cli", &["base", "protocol", "hub", "store", "reactor", "server"]),
];

/// A word, and the only places below `src/` in which it may stand.
const HOMES: &[(&str, &[&str])] = &[
    ("mio::", &["reactor/"]),
    ("socket2::", &["reactor/"]),
    ("TcpStream", &["reactor/"]),
    ("TcpListener", &["reactor/"]),
    ("Instant::now", &["reactor/clock.rs"]),
    ("Instant", &["reactor/clock.rs"]),
    ("SystemTime", &["reactor/clock.rs"]),
    ("rusqlite", &["store/"]),
    ("httparse", &["protocol/handshake/"]),
    ("jsonwebtoken", &["server/auth/"]),
    // In the client as the provider of TLS.
    ("aws_lc_rs", &["server/auth/", "server/backend/client.rs"]),
    ("serde_json", &["server/", "store/data/lines.rs"]),
    // A ticket is a secret, and nobody's seed repeats it.
    (
        "getrandom",
        &[
            "cli/data.rs",
            "cli/token.rs",
            "client/",
            "server/auth/cookie_secret.rs",
            "server/events/begin.rs",
            "server/server.rs",
            "server/web/mod.rs",
        ],
    ),
    ("clap", &["cli/"]),
    ("env_logger", &["cli/"]),
    ("toml::", &["server/config/"]),
    ("prometheus_client", &["server/metrics/"]),
    ("println!", &["cli/"]),
    ("ureq", &["server/backend/client.rs"]),
    ("rustls", &["server/backend/client.rs"]),
    // In the pool, as a function of the embedding program may panic there.
    (
        "catch_unwind",
        &[
            "protocol/deflate/codecs.rs",
            "reactor/reactor.rs",
            "server/dispatch.rs",
            "server/paths/serve.rs",
            "server/backend/pool.rs",
            "server/dispatch.rs",
        ],
    ),
    ("unsafe ", &[]),
    ("todo!", &[]),
    ("unimplemented!", &[]),
    ("dbg!", &[]),
    ("RandomState", &[]),
];

fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push((name, code(&fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(found.len() > 50, "the sources are looked for in the wrong place");
    found
}

/// A source without its comments and its tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_layer_uses_only_those_below_it() {
    let mut faults = Vec::new();
    for (file, code) in sources() {
        let Some((layer, _)) = file.split_once('/') else { continue };
        let Some((_, may_use)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            panic!("src/{layer} is a layer that the table does not have");
        };
        for (other, _) in LAYERS.iter().filter(|(other, _)| *other != layer) {
            let uses = code.contains(&format!("crate::{other}::"))
                || code.contains(&format!("crate::{other};"));
            if uses && !may_use.contains(other) {
                faults.push(format!("src/{file} uses {other}"));
            }
        }
        // Other layers are named by their whole path, so that the search above finds them.
        let climbs = code.lines().any(|line| line.contains("super::super::super"));
        if climbs {
            faults.push(format!("src/{file} climbs instead of naming a layer"));
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn a_word_has_one_home() {
    let sources = sources();
    let mut faults = Vec::new();
    for (word, homes) in HOMES {
        for (file, code) in &sources {
            if code.contains(word) && !homes.iter().any(|home| file.starts_with(home)) {
                faults.push(format!("src/{file} has {word}"));
            }
        }
        let is_used = homes.is_empty()
            || sources.iter().any(|(file, code)| {
                code.contains(word) && homes.iter().any(|home| file.starts_with(home))
            });
        if !is_used {
            faults.push(format!("{word} is nowhere: its row means nothing"));
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn the_product_has_no_async_runtime() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"mio") && names.contains(&"rusqlite"), "{names:?}");
    for runtime in [
        "tokio",
        "async-std",
        "smol",
        "async-executor",
        "futures-executor",
        "glommio",
        "monoio",
        "actix-rt",
    ] {
        assert!(!names.contains(&runtime), "{runtime} is in the product's tree");
    }
    for other in ["tungstenite", "miniz_oxide"] {
        assert!(!names.contains(&other), "{other} is for tests, and in the product's tree");
    }
}

#[test]
fn no_source_is_larger_than_a_reader_can_hold() {
    /// Lines without tests and comments.
    const LINES_MAX: usize = 400;
    let large: Vec<String> = sources()
        .into_iter()
        .map(|(file, code)| (file, code.lines().filter(|line| !line.trim().is_empty()).count()))
        .filter(|(file, lines)| *lines > LINES_MAX && !file.ends_with("tests.rs"))
        .map(|(file, lines)| format!("src/{file}: {lines} lines"))
        .collect();
    assert_eq!(large, [""; 0]);
}

#[test]
fn the_protocol_names_keys_that_there_are_and_their_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let known: Vec<String> = parlor::server::config::keys_and_defaults()
        .lines()
        .filter_map(|line| line.trim().split_once('='))
        .map(|(key, default)| format!("| `{key}` | {default} |"))
        .collect();
    let text = fs::read_to_string(path).unwrap();
    let tables: Vec<&str> = known.iter().filter_map(|row| row.split(['`', '.']).nth(1)).collect();
    let is_key = |row: &&str| {
        let name = row.strip_prefix("| `").and_then(|rest| rest.split_once("` |"));
        let table = name.and_then(|(name, _)| name.split_once('.')).map(|(table, _)| table);
        table.is_some_and(|table| tables.contains(&table))
    };
    let rows: Vec<&str> = text.lines().filter(is_key).collect();
    assert!(rows.len() > 40, "{rows:?}");
    let wrong: Vec<&&str> =
        rows.iter().filter(|row| !known.iter().any(|known| row.starts_with(known))).collect();
    assert_eq!(wrong, [&""; 0]);
}

#[test]
fn the_repository_names_no_machine() {
    let tracked = std::process::Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git lists the repository's files");
    let words = [["/wo", "rk/"].concat(), ["/ro", "ot/"].concat(), ["/home/", "user"].concat()];
    let mut faults = Vec::new();
    for name in
        String::from_utf8(tracked.stdout).unwrap().split('\0').filter(|name| !name.is_empty())
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let Ok(text) = fs::read_to_string(path) else { continue };
        for word in words.iter().filter(|word| text.contains(*word)) {
            faults.push(format!("{name} has {word}"));
        }
    }
    assert_eq!(faults, [""; 0]);
}

/// `make sim-mutants` takes long: here it is seen that each bug could still be put in.
#[test]
fn every_mutant_of_the_simulator_fits_the_sources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root.join("tests/simulation/mutants")).unwrap() {
        let patch = entry.unwrap().path();
        let text = fs::read_to_string(&patch).unwrap();
        let (mut source, mut before) = (String::new(), Vec::new());
        for line in text.lines().chain(["@@"]) {
            if let Some(file) = line.strip_prefix("+++ b/") {
                source = fs::read_to_string(root.join(file)).unwrap();
            } else if line.starts_with("@@") || line.starts_with("diff ") {
                let lines = format!("\n{}\n", before.join("\n"));
                if !before.is_empty() && !source.contains(&lines) {
                    faults.push(patch.file_name().unwrap().display().to_string());
                }
                before.clear();
            } else if let Some(old) =
                line.strip_prefix([' ', '-']).filter(|_| !line.starts_with("---"))
            {
                before.push(old);
            }
        }
        count += 1;
    }
    assert!(count > 10 && faults.is_empty(), "of {count}: {faults:?}");
}
