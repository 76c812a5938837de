//! Checks which layer may use which, and the words that belong to one module. `ARCHITECTURE.md` has the same table
//! of layers for readers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A layer, which is a folder of `src/` or a part of the server, and what it may use beside itself. Each uses only
/// those above it in this table.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("http1", &["base"]),
    ("protocol", &["base", "http1"]),
    ("hub", &["base"]),
    ("store", &["base"]),
    ("reactor", &["base"]),
    ("tls", &["base", "protocol", "reactor"]),
    ("wire", &["base"]),
    ("decode", &["protocol", "wire"]),
    ("web", &["base", "http1", "protocol", "reactor"]),
    ("routes", &["base", "http1"]),
    ("auth", &["base", "http1", "wire"]),
    ("backend", &["base", "reactor", "wire"]),
    (
        "config",
        &["base", "http1", "protocol", "hub", "store", "tls", "wire", "web", "routes", "auth"],
    ),
    ("server/events", &["base", "auth"]),
    ("server/sources", &["base", "http1", "wire", "routes", "auth", "backend", "config"]),
    ("server/remote", &["base", "wire", "backend", "config"]),
    (
        "server/embed",
        &[
            "base",
            "http1",
            "protocol",
            "hub",
            "reactor",
            "tls",
            "wire",
            "web",
            "routes",
            "auth",
            "backend",
            "config",
            "server/sources",
        ],
    ),
    (
        "server/http",
        &[
            "base",
            "http1",
            "protocol",
            "hub",
            "tls",
            "wire",
            "routes",
            "auth",
            "config",
            "server/events",
            "server/sources",
            "server/embed",
        ],
    ),
    ("server/proof", &["base", "http1", "web", "auth", "backend", "server/http"]),
    (
        "server/metrics",
        &["base", "http1", "hub", "store", "wire", "web", "server/sources", "server/remote"],
    ),
    (
        "server/chat",
        &[
            "base",
            "http1",
            "protocol",
            "hub",
            "store",
            "reactor",
            "wire",
            "web",
            "routes",
            "auth",
            "backend",
            "config",
            "server/events",
            "server/sources",
            "server/remote",
            "server/embed",
            "server/http",
            "server/proof",
            "server/metrics",
        ],
    ),
    (
        "server",
        &[
            "base",
            "store",
            "reactor",
            "tls",
            "web",
            "auth",
            "config",
            "server/embed",
            "server/chat",
        ],
    ),
    ("client", &["base", "http1", "protocol", "reactor", "web", "wire"]),
    (
        "cli",
        &[
            "base",
            "http1",
            "protocol",
            "store",
            "reactor",
            "tls",
            "wire",
            "decode",
            "auth",
            "config",
            "server",
            "server/embed",
            "client",
        ],
    ),
];

/// A word, and the only places below `src/` in which it may stand.
const HOMES: &[(&str, &[&str])] = &[
    // Of a program that is run, the pipe is waited for, with a time.
    ("mio::", &["reactor/", "backend/child.rs"]),
    ("socket2::", &["reactor/"]),
    ("TcpStream", &["client/blocking/", "reactor/"]),
    ("TcpListener", &["cli/check/", "reactor/"]),
    ("Instant::now", &["reactor/clock.rs"]),
    ("Instant", &["reactor/clock.rs"]),
    ("SystemTime", &["reactor/clock.rs"]),
    ("rusqlite", &["store/"]),
    ("httparse", &["http1/", "protocol/handshake/"]),
    ("jsonwebtoken", &["auth/"]),
    // In the client as the provider of TLS.
    ("aws_lc_rs", &["auth/", "backend/client.rs", "cli/server_link.rs", "lib.rs", "tls/"]),
    (
        "serde_json",
        &[
            "wire/",
            "auth/",
            "server/",
            "store/data/lines.rs",
            "store/journal.rs",
            "cli/admin.rs",
            "cli/check/chat/",
            "cli/server_link.rs",
        ],
    ),
    // A ticket is a secret, and nobody's seed repeats it.
    (
        "getrandom",
        &[
            "cli/data.rs",
            "cli/token.rs",
            "auth/cookie_secret.rs",
            "server/chat/events.rs",
            "server/server.rs",
            "web/chance.rs",
            "web/mod.rs",
        ],
    ),
    ("clap", &["cli/"]),
    (" nix::", &["cli/process.rs", "server/owner.rs"]),
    ("listenfd", &["cli/systemd.rs"]),
    ("sd_notify", &["cli/systemd.rs"]),
    ("systemd_journal_logger", &["cli/log.rs"]),
    ("rustix::net", &["cli/handover.rs", "cli/server_link.rs", "client/blocking/halves.rs"]),
    ("env_logger", &["cli/"]),
    ("toml::", &["config/"]),
    ("prometheus_client", &["server/metrics/"]),
    ("println!", &["cli/"]),
    ("ureq", &["backend/client.rs", "cli/held_connections.rs", "cli/server_link.rs"]),
    ("indicatif", &["cli/progress.rs"]),
    ("ratatui", &["cli/client/chat/"]),
    ("tui_input", &["cli/client/chat/"]),
    ("unicode_segmentation", &["cli/client/chat/"]),
    ("unicode_width", &["cli/client/chat/"]),
    ("jiff", &["cli/client/chat/times.rs"]),
    // In the log as the name of what writes lines.
    (
        "rustls",
        &["backend/client.rs", "cli/log.rs", "cli/server_link.rs", "client/", "lib.rs", "tls/"],
    ),
    ("x509_cert", &["tls/"]),
    // In the pool, as a function of the embedding program may panic there.
    (
        "catch_unwind",
        &[
            "protocol/deflate/codecs.rs",
            "reactor/reactor.rs",
            "server/chat/dispatch.rs",
            "server/chat/paths.rs",
            "server/embed/ticket.rs",
            "backend/pool.rs",
            // As `on_event` is the program's.
            "client/thread/network.rs",
        ],
    ),
    // A feature has whole layers.
    ("feature = ", &["lib.rs"]),
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
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end].lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The path of a module, as `["hub", "streams"]`.
type Module = Vec<String>;

/// Which modules import which others; what a module re-exports counts as the module that has it.
struct Imports {
    /// By module its file.
    files: BTreeMap<Module, String>,
    arrows: BTreeSet<(Module, Module)>,
}

impl Imports {
    fn read() -> Imports {
        let mut files = BTreeMap::new();
        let mut paths: BTreeMap<Module, Vec<ImportPath>> = BTreeMap::new();
        let is_test = |file: &str| file.ends_with("tests.rs");
        for (file, code) in sources().into_iter().filter(|(file, _)| !is_test(file)) {
            let parts = file.trim_end_matches(".rs").split('/');
            let is_name = |part: &&str| !["mod", "lib", "main"].contains(part);
            let module: Module = parts.filter(is_name).map(str::to_owned).collect();
            paths.insert(module.clone(), import_paths(&code));
            files.insert(module, file);
        }
        let mut exported: BTreeMap<(Module, String), Module> = BTreeMap::new();
        let mut absolute: Vec<(Module, Module, bool)> = Vec::new();
        for (module, paths) in &paths {
            for path in paths {
                let Some(whole) = whole_path(module, &path.segments, &files) else { continue };
                if path.is_public {
                    exported.insert((module.clone(), path.name.clone()), whole.clone());
                }
                absolute.push((module.clone(), whole, path.is_public));
            }
        }
        let mut arrows = BTreeSet::new();
        for (module, whole, is_public) in absolute {
            let to = module_of(&whole, &files, &exported);
            // A folder's own `mod.rs` shows what its files have: that is no use of them.
            let is_shown = is_public && to.starts_with(&module);
            if to != module && !is_shown {
                arrows.insert((module, to));
            }
        }
        Imports { files, arrows }
    }

    /// The arrows between groups of modules, by a name of each group.
    fn between(&self, group: impl Fn(&str) -> Option<String>) -> BTreeSet<(String, String)> {
        let of = |module: &Module| group(&self.files[module]);
        let named = self.arrows.iter().filter_map(|(from, to)| Some((of(from)?, of(to)?)));
        named.filter(|(from, to)| from != to).collect()
    }
}

/// A path that a module imports or names.
struct ImportPath {
    segments: Vec<String>,
    /// By which name it is known from there on.
    name: String,
    is_public: bool,
}

/// All paths in `use` declarations, and those elsewhere that begin with `crate`, `self` or `super`.
fn import_paths(code: &str) -> Vec<ImportPath> {
    let tokens = tokens(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_public = at > 0 && ["pub", ")"].contains(&tokens[at - 1]);
        if tokens[at] == "use" {
            at = leaves(&tokens, at + 1, &[], is_public, &mut paths);
        } else if ["crate", "self", "super"].contains(&tokens[at])
            && tokens.get(at + 1) == Some(&"::")
            && (at == 0 || !["in", "::"].contains(&tokens[at - 1]))
        {
            let mut segments = vec![tokens[at].to_owned()];
            while tokens.get(at + 1) == Some(&"::")
                && tokens.get(at + 2).is_some_and(|next| is_word(next))
            {
                segments.push(tokens[at + 2].to_owned());
                at += 2;
            }
            let name = String::new();
            paths.push(ImportPath { segments, name, is_public: false });
        }
        at += 1;
    }
    paths
}

fn is_word(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if first.is_alphanumeric() || first == '_' {
            rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

/// Reads one branch of a `use` tree from `at` on, and says where it ends.
fn leaves(
    tokens: &[&str],
    mut at: usize,
    before: &[String],
    is_public: bool,
    paths: &mut Vec<ImportPath>,
) -> usize {
    let mut segments = before.to_vec();
    loop {
        if tokens[at] == "{" {
            while tokens[at] != "}" {
                at = leaves(tokens, at + 1, &segments, is_public, paths);
            }
            return at + 1;
        }
        if tokens[at] == "}" {
            return at;
        }
        segments.push(tokens[at].to_owned());
        at += 1;
        if tokens[at] != "::" {
            break;
        }
        at += 1;
    }
    let mut name = segments.last().cloned().unwrap_or_default();
    if tokens[at] == "as" {
        name = tokens[at + 1].to_owned();
        at += 2;
    }
    if segments.len() > 1 && name == "self" {
        segments.pop();
        name = segments.last().cloned().unwrap_or_default();
    }
    paths.push(ImportPath { segments, name, is_public });
    at
}

/// A path from the crate's root on; `None` for what is of another crate.
fn whole_path(
    module: &Module,
    segments: &[String],
    files: &BTreeMap<Module, String>,
) -> Option<Module> {
    let mut base = module.clone();
    let mut rest = segments;
    match segments[0].as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" | "super" => {
            while let Some((first, after)) = rest.split_first()
                && ["self", "super"].contains(&first.as_str())
            {
                if first == "super" {
                    base.pop();
                }
                rest = after;
            }
        }
        child => {
            base.push(child.to_owned());
            rest = &rest[1..];
            files.get(&base)?;
        }
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// The module that has what a path names.
fn module_of(
    whole: &Module,
    files: &BTreeMap<Module, String>,
    exported: &BTreeMap<(Module, String), Module>,
) -> Module {
    let mut whole = whole.clone();
    loop {
        let len =
            (0..=whole.len()).rev().find(|len| files.contains_key(&whole[..*len])).unwrap_or(0);
        let (module, rest) = whole.split_at(len);
        let shown = rest.first().and_then(|name| exported.get(&(module.to_vec(), name.clone())));
        match shown {
            Some(path) if *path != whole => whole = [path, &rest[1..]].concat(),
            _ => return module.to_vec(),
        }
    }
}

/// The layer that a file is of.
fn layer(file: &str) -> Option<String> {
    let parts: Vec<&str> = file.split('/').collect();
    match parts[..] {
        [_] => None,
        ["server", part, _, ..] => Some(format!("server/{part}")),
        [layer, ..] => Some(layer.to_owned()),
        [] => None,
    }
}

/// Those that can be come back to by following arrows.
fn in_circles(arrows: &BTreeSet<(String, String)>) -> Vec<String> {
    let mut left = arrows.clone();
    loop {
        let begin: BTreeSet<String> = left.iter().map(|(from, _)| from.clone()).collect();
        let end: BTreeSet<String> = left.iter().map(|(_, to)| to.clone()).collect();
        let count = left.len();
        left.retain(|(from, to)| end.contains(from) && begin.contains(to));
        if left.len() == count {
            return left.into_iter().map(|(from, to)| format!("{from} uses {to}")).collect();
        }
    }
}

#[test]
fn a_layer_uses_only_those_below_it() {
    let imports = Imports::read();
    let place = |name: &str| LAYERS.iter().position(|(layer, _)| *layer == name);
    let mut faults = Vec::new();
    for (number, (name, may_use)) in LAYERS.iter().enumerate() {
        for other in *may_use {
            if place(other).is_none_or(|other| other >= number) {
                faults.push(format!("the table lets {name} use {other}, which is not below it"));
            }
        }
    }
    for (from, to) in imports.between(layer) {
        let Some((_, may_use)) = LAYERS.iter().find(|(name, _)| *name == from) else {
            panic!("src/{from} is a layer that the table does not have");
        };
        if !may_use.contains(&to.as_str()) {
            faults.push(format!("src/{from} uses {to}"));
        }
    }
    assert_eq!(faults, [""; 0]);
}

#[test]
fn the_table_of_layers_allows_nothing_that_is_not_used() {
    let arrows = Imports::read().between(layer);
    assert!(arrows.len() > 50, "{arrows:?}");
    let mut idle = Vec::new();
    for (name, may_use) in LAYERS {
        for other in *may_use {
            if !arrows.contains(&((*name).to_owned(), (*other).to_owned())) {
                idle.push(format!("{name} may use {other}"));
            }
        }
    }
    assert_eq!(idle, [""; 0]);
}

#[test]
fn readers_are_told_the_same_of_the_layers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("\n## The layers\n").nth(1).unwrap().split("\n## ").next().unwrap();
    // The parts of the server are one layer for readers.
    let layer_of = |name: &'static str| name.split('/').next().unwrap();
    let mut above = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (name, uses) = (cells[1].trim_matches('`'), cells[3]);
        let named: BTreeSet<&str> = uses.split('`').skip(1).step_by(2).collect();
        let told = if uses.starts_with("those above") { &above - &named } else { named };
        let parts = LAYERS.iter().filter(|(part, _)| layer_of(part) == name);
        let used = parts.flat_map(|(_, used)| used.iter().map(|used| layer_of(used)));
        assert_eq!(told, used.filter(|used| *used != name).collect(), "{name}");
        above.insert(name);
    }
    assert_eq!(above, LAYERS.iter().map(|(part, _)| layer_of(part)).collect());
}

#[test]
fn nothing_imports_in_a_circle() {
    let imports = Imports::read();
    let folder =
        |file: &str| Some(file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned());
    assert_eq!(in_circles(&imports.between(folder)), [""; 0]);
    let of_server = |file: &str| {
        let part = file.strip_prefix("server/")?.split('/').next()?;
        (part != "mod.rs").then(|| part.to_owned())
    };
    assert_eq!(in_circles(&imports.between(of_server)), [""; 0]);
}

#[test]
fn a_circle_is_found() {
    let arrows = |text: &str| -> BTreeSet<(String, String)> {
        let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('>'));
        pairs.map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
    };
    assert_eq!(in_circles(&arrows("a>b b>c a>c")), [""; 0]);
    assert_eq!(in_circles(&arrows("a>b b>c c>b d>a")), ["b uses c", "c uses b"]);
    let code =
        "pub(crate) use a::{b, c::{self, D as E}};\npub(in crate::x) fn f() { super::g::h() }";
    let found: Vec<String> = import_paths(code)
        .iter()
        .map(|path| format!("{} {} {}", path.segments.join("::"), path.name, path.is_public))
        .collect();
    assert_eq!(found, ["a::b b true", "a::c c true", "a::c::D E true", "super::g::h  false"]);
}

#[test]
fn a_word_has_one_home() {
    let sources = sources();
    let mut faults = Vec::new();
    for (word, homes) in HOMES {
        for (file, code) in &sources {
            let is_home = homes.iter().any(|home| file.starts_with(home));
            if code.contains(word) && !is_home && !file.ends_with("tests.rs") {
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

/// The names of the packages of which a build with these features consists.
fn tree(features: &[&str]) -> Vec<String> {
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
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// A program that takes the client takes no database, no HTTP client, no command line; and what its TLS computes with is
/// its own choice.
#[test]
fn a_client_brings_nothing_of_the_server() {
    const PROVIDERS: [&str; 2] = ["aws-lc-rs", "ring"];
    for (features, providers) in [
        (&["--no-default-features", "--features", "client"][..], [false, false]),
        (&["--no-default-features", "--features", "client,ring"], [false, true]),
        (&["--no-default-features", "--features", "client,aws-lc"], [true, false]),
        (&[], [true, false]),
    ] {
        let names = tree(features);
        let has = |name: &str| names.iter().any(|one| one == name);
        assert!(has("mio") && has("serde_json") && has("rustls"), "{names:?}");
        assert_eq!(PROVIDERS.map(has), providers, "{features:?}");
        for of_server in ["rusqlite", "ureq", "jsonwebtoken", "clap"] {
            assert_eq!(has(of_server), features.is_empty(), "{of_server} with {features:?}");
        }
    }
}

#[test]
fn the_product_has_no_async_runtime() {
    let names = tree(&[]);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
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
fn no_function_is_longer_than_a_reader_can_hold() {
    /// Lines without comments.
    const LINES_MAX: usize = 80;
    let mut long = Vec::new();
    let mut count = 0;
    for (file, code) in sources() {
        let lines: Vec<&str> = code.lines().filter(|line| !line.trim().is_empty()).collect();
        for (at, line) in lines.iter().enumerate() {
            let head = line.trim_start();
            let words = ["fn ", "pub fn ", "const fn ", "pub const fn "];
            let is_scoped = head.starts_with("pub(") && head.contains(" fn ");
            if !is_scoped && !words.iter().any(|word| head.starts_with(word)) {
                continue;
            }
            let end = format!("{}}}", &line[..line.len() - head.len()]);
            let Some(len) = lines[at..].iter().position(|line| *line == end) else { continue };
            count += 1;
            if len + 1 > LINES_MAX {
                long.push(format!("src/{file}: {head} {} lines", len + 1));
            }
        }
    }
    assert!(count > 1_000, "{count}");
    assert_eq!(long, [""; 0]);
}

/// The types that a source declares; those that belong to a trait are not its own.
fn types(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let is_inner = line.starts_with(' ');
        let words = line.split(|next: char| !next.is_alphanumeric() && next != '_');
        let mut words = words.filter(|word| !["", "pub", "crate", "super", "in"].contains(word));
        let kind = words.find(|word| !["server", "unsafe"].contains(word))?;
        let is_type =
            ["struct", "enum", "trait", "union"].contains(&kind) || (kind == "type" && !is_inner);
        words.next().filter(|_| is_type)
    })
}

/// One thing for one word: who reads a name need not look at where it comes from. A client and a server may both have
/// one of a name, as both have rooms; what both stand on has names of its own.
#[test]
fn no_two_types_have_one_name() {
    const BELOW_BOTH: &[&str] = &["base/", "http1/", "protocol/", "reactor/", "tls/", "wire/"];
    let sources = sources();
    let mut files: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for (file, code) in &sources {
        let is_below = BELOW_BOTH.iter().any(|layer| file.starts_with(layer));
        let is_clients = file.starts_with("client/");
        for side in [true, false].into_iter().filter(|side| is_below || *side == is_clients) {
            types(code).for_each(|name| files.entry((name, side)).or_default().push(file));
        }
    }
    assert!(files.len() > 500, "{}", files.len());
    files.retain(|_, files| files.len() > 1);
    assert_eq!(files, BTreeMap::new());
}

#[test]
fn types_are_found() {
    let code = "pub(in crate::server) struct A<T> {\n    type B = u8;\n}\ntype C = A<u8>;\n    enum D {}\n\
                pub(crate) trait E: F {}\nfn type_of() {}\nlet kind = \"enum G\";";
    assert_eq!(types(code).collect::<Vec<_>>(), ["A", "C", "D", "E"]);
}

#[test]
fn the_protocol_names_keys_that_there_are_and_their_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let known: Vec<String> = parlor::config::keys_and_defaults()
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

#[test]
fn the_documents_name_files_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::process::Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git lists the repository's files");
    let listed = String::from_utf8(listed.stdout).unwrap();
    let files: Vec<String> = listed.lines().map(|file| format!("/{file}")).collect();
    let (mut count, mut faults) = (0, Vec::new());
    for document in files.iter().filter(|file| file.ends_with(".md") && !file.contains("CHANGELOG"))
    {
        let text = fs::read_to_string(root.join(&document[1..])).unwrap();
        for word in
            text.split('`').skip(1).step_by(2).filter(|word| !word.contains(char::is_whitespace))
        {
            if word.ends_with(".rs") && !word.contains('*') {
                count += 1;
                if !files.iter().any(|file| file.ends_with(&format!("/{word}"))) {
                    faults.push(format!("{} names {word}", &document[1..]));
                }
            } else if word.starts_with("src/") && word.ends_with('/') && !root.join(word).is_dir() {
                faults.push(format!("{} names {word}", &document[1..]));
            }
        }
    }
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.lines().count() <= 150, "the README is no way in any more, but a reference");
    assert!(count > 300, "{count}");
    assert_eq!(faults, [""; 0]);
}

#[test]
fn each_type_in_the_glossary_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let words =
        text.split("\n## Words\n").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<&str> = words.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 25, "{}", rows.len());
    let sources = sources();
    let types: BTreeSet<&str> = sources.iter().flat_map(|(_, code)| types(code)).collect();
    let named = rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2));
    let named = named.filter(|word| word.starts_with(|first: char| first.is_uppercase()));
    let missing: Vec<&str> =
        named.filter(|name| *name != "EventSource" && !types.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

/// A walk's line: a file below `src/`, the functions that do the work, and what happens, in a few words.
#[test]
fn the_walks_name_each_file_once_and_functions_that_it_has() {
    const WORDS_MAX: usize = 8;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("\n## Four walks\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let sources: BTreeMap<String, String> = sources().into_iter().collect();
    let is_function = |code: &str, name: &str| {
        let head = format!("fn {name}");
        code.split(head.as_str()).skip(1).any(|rest| rest.starts_with(['(', '<']))
    };
    let (mut walks, mut faults) = (0, Vec::new());
    for walk in section.split("\n### ").skip(1) {
        let (title, walk) = walk.split_once('\n').unwrap();
        let Some((_, head)) = title.split_once(": ") else { continue };
        walks += 1;
        let lines = walk.lines().filter_map(|line| line.split_once(". `"));
        let lines: Vec<_> = lines.filter(|(number, _)| number.parse::<usize>().is_ok()).collect();
        if head != format!("{} files", lines.len()) {
            faults.push(format!("{title}, and it has {}", lines.len()));
        }
        let mut seen = BTreeSet::new();
        for (place, (number, line)) in lines.into_iter().enumerate() {
            if number != (place + 1).to_string() {
                faults.push(format!("{title}: {number} stands in place {}", place + 1));
            }
            let mut parts = line.split('`');
            let file = parts.next().unwrap();
            if !seen.insert(file) {
                faults.push(format!("{title}: {file} is there twice"));
            }
            let Some(code) = sources.get(file) else {
                faults.push(format!("{title}: there is no src/{file}"));
                continue;
            };
            let functions: Vec<&str> = parts.clone().skip(1).step_by(2).collect();
            for function in &functions {
                let (of, name) = function.rsplit_once("::").unwrap_or(("", function));
                if !is_function(code, name) || !code.contains(of) {
                    faults.push(format!("{title}: src/{file} has no {function}"));
                }
            }
            let words = parts.next_back().unwrap_or_default().split_whitespace().count();
            if functions.is_empty() || !(1..=WORDS_MAX).contains(&words) {
                faults.push(format!("{title}: {file} has {words} words"));
            }
        }
    }
    assert_eq!(walks, 4);
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
