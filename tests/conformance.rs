//! Checks `docs/conformance.md`: for each duty of RFC 6455 and RFC 7692 it names functions that
//! keep it and tests that prove it. They exist, no duty is missing, and the counts are right.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const RFCS: [&str; 2] = ["RFC 6455", "RFC 7692"];
const KEYWORDS: &[&str] =
    &["MUST", "MUST NOT", "REQUIRED", "SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "RECOMMENDED"];
const ENDS: &[&str] = &["client", "server", "both"];

/// How a duty begins that no function keeps, and the row of the summary that counts it.
const UNKEPT: [(&str, &str); 3] = [
    ("left to the program: ", "left to the program"),
    ("not kept: ", "not kept"),
    ("does not apply: ", "does not apply"),
];

/// Where functions are looked for, and tests.
const CODE: &[&str] = &["src", "web", "clients/js/src", "examples"];
const TESTS: &[&str] = &["src", "tests"];

/// A row of one of the tables of duties: one number, or several that are alike.
struct Row {
    rfc: usize,
    section: String,
    first: usize,
    last: usize,
    keywords: Vec<String>,
    /// The rest of its cells: who, what, kept by, proved by; or one that says whose it is.
    cells: Vec<String>,
    line: usize,
}

impl Row {
    fn place(&self) -> String {
        let Row { rfc, section, first, line, .. } = self;
        format!("docs/conformance.md:{line}: {} {section}-{first}", RFCS[*rfc])
    }

    fn count(&self) -> usize {
        (self.last + 1).saturating_sub(self.first)
    }

    fn is_of_an_endpoint(&self) -> bool {
        self.cells.len() == 4
    }

    /// The row of the summary that it counts for.
    fn kind(&self) -> &'static str {
        if !self.is_of_an_endpoint() {
            return "duties of others";
        }
        let unkept = UNKEPT.iter().find(|(begin, _)| self.cells[2].starts_with(begin));
        unkept.map_or("kept", |(_, kind)| kind)
    }
}

/// The tables of duties, and the summary: what is counted → how many for each RFC.
#[derive(Default)]
struct Document {
    rows: Vec<Row>,
    summary: BTreeMap<String, Vec<usize>>,
    faults: Vec<String>,
}

impl Document {
    fn parse(text: &str) -> Document {
        let mut document = Document::default();
        let mut rfc = None;
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                rfc = RFCS.iter().position(|name| line.trim_start_matches('#').trim() == *name);
            }
            let Some(inner) = line.strip_prefix("| ").and_then(|rest| rest.strip_suffix(" |"))
            else {
                continue;
            };
            let cells: Vec<String> = inner.split('|').map(|cell| cell.trim().to_owned()).collect();
            match rfc {
                Some(rfc) => document.duty(rfc, &cells, index + 1),
                None => document.sum(&cells),
            }
        }
        document
    }

    /// A row of a table of duties; not its head.
    fn duty(&mut self, rfc: usize, cells: &[String], line: usize) {
        let [numbers, keywords, rest @ ..] = cells else { return };
        if numbers.starts_with("no.") || numbers.starts_with("--") {
            return;
        }
        let (first, last) = numbers.split_once(" … ").unwrap_or((numbers, numbers));
        let parsed = |number: &str| {
            let (section, number) = number.rsplit_once('-')?;
            Some((section.to_owned(), number.parse().ok()?))
        };
        match (parsed(first), parsed(last)) {
            (Some((section, first)), Some((same, last))) if section == same => {
                let keywords = keywords.split(", ").map(str::to_owned).collect();
                let cells = rest.to_vec();
                self.rows.push(Row { rfc, section, first, last, keywords, cells, line });
            }
            _ => self.faults.push(format!("docs/conformance.md:{line}: no number: {numbers}")),
        }
    }

    /// A row of the summary, which is recognised by its two numbers.
    fn sum(&mut self, cells: &[String]) {
        let counts: Vec<usize> =
            cells.iter().skip(1).filter_map(|cell| cell.parse().ok()).collect();
        if let ([what, _, _], [_, _]) = (cells, &counts[..]) {
            self.summary.insert(what.clone(), counts);
        }
    }

    /// The numbers of each section are 1, 2, 3 … and each stands once.
    fn judge_numbers(&mut self) {
        let mut numbers: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
        for row in &self.rows {
            let of_section = numbers.entry((row.rfc, &row.section)).or_default();
            of_section.extend(row.first..=row.last);
        }
        for ((rfc, section), mut numbers) in numbers {
            numbers.sort_unstable();
            let place = numbers.iter().zip(1..).position(|(number, expected)| *number != expected);
            if let Some(place) = place {
                self.faults.push(format!(
                    "{} §{section}: {} stands where {} is expected",
                    RFCS[rfc],
                    numbers[place],
                    place + 1
                ));
            }
        }
    }

    /// Each row has words that are allowed, and a cell for everything.
    fn judge_words(&mut self) {
        for row in &self.rows {
            let place = row.place();
            let mut fault = |what: &str| self.faults.push(format!("{place}: {what}"));
            if row.keywords.len() != 1 && row.keywords.len() != row.count() {
                fault("there is neither one keyword nor one for each number");
            }
            for keyword in &row.keywords {
                if !KEYWORDS.contains(&keyword.as_str()) {
                    fault(&format!("{keyword:?} is no keyword"));
                }
            }
            match &row.cells[..] {
                [why] if !why.is_empty() => {}
                [who, what, kept, proved] => {
                    if !ENDS.contains(&who.as_str()) {
                        fault(&format!("{who:?} is no end"));
                    }
                    if what.is_empty() {
                        fault("the duty is missing");
                    }
                    let has_names = [kept, proved].map(|cell| !names(cell).is_empty());
                    match (row.kind(), has_names) {
                        ("kept", [true, true]) => {}
                        ("kept", [false, _]) => {
                            fault("no function keeps it, and no reason is given")
                        }
                        ("kept", [true, false]) => fault("no test of ours proves it"),
                        (_, [_, true]) => fault("a duty that is not kept has no test"),
                        (_, [_, false]) => {}
                    }
                }
                _ => fault("it has another number of cells than its table"),
            }
        }
    }

    /// The summary says what the tables have.
    fn judge_counts(&mut self) {
        let mut counted: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
        for row in &self.rows {
            let sums = if row.is_of_an_endpoint() { "duties of an endpoint" } else { "" };
            for what in ["all", sums, row.kind()].into_iter().filter(|what| !what.is_empty()) {
                counted.entry(what).or_default()[row.rfc] += row.count();
            }
        }
        for (what, counts) in counted {
            let said = self.summary.get(what);
            if said.is_none_or(|said| said[..] != counts) {
                self.faults.push(format!("{what}: the tables have {counts:?}, not {said:?}"));
            }
        }
    }

    /// Every function and every test is in the file that is named.
    fn judge_names(&mut self, code: &Sources, tests: &Sources) {
        for row in self.rows.iter().filter(|row| row.is_of_an_endpoint()) {
            for (sources, cell, is_there) in [
                (code, &row.cells[2], has_function as fn(&str, &str, &str) -> bool),
                (tests, &row.cells[3], has_test),
            ] {
                for (file, name) in names(cell) {
                    let fault = match sources.get(&file) {
                        Ok(text) if is_there(&file, text, &name) => continue,
                        Ok(_) => format!("{name} is not in {file}"),
                        Err(why) => why,
                    };
                    self.faults.push(format!("{}: {fault}", row.place()));
                }
            }
        }
    }
}

/// The names between backticks, each with the file that was named before it.
fn names(cell: &str) -> Vec<(String, String)> {
    let (mut file, mut found) = (String::new(), Vec::new());
    for word in cell.split('`').skip(1).step_by(2) {
        if [".rs", ".js", ".py", ".mjs"].iter().any(|end| word.ends_with(end)) {
            word.clone_into(&mut file);
        } else {
            found.push((file.clone(), word.to_owned()));
        }
    }
    found
}

/// Files and their texts, by their paths from the root of the repository.
struct Sources(Vec<(String, String)>);

impl Sources {
    fn below(folders: &[&str]) -> Sources {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut waiting: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
        let mut found = Vec::new();
        while let Some(folder) = waiting.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("node_modules") {
                    waiting.push(path);
                } else if let Ok(text) = fs::read_to_string(&path) {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    found.push((name.replace('\\', "/"), text));
                }
            }
        }
        assert!(found.len() > 10, "nothing is found below {folders:?}");
        Sources(found)
    }

    /// The file whose path ends so: there must be one.
    fn get(&self, end: &str) -> Result<&str, String> {
        let is_it = |name: &str| name == end || name.ends_with(&format!("/{end}"));
        let mut found = self.0.iter().filter(|(name, _)| is_it(name));
        match (found.next(), found.next()) {
            (Some((_, text)), None) => Ok(text),
            (None, _) => Err(format!("there is no file {end:?}")),
            (Some((one, _)), Some((other, _))) => Err(format!("{end} is {one} or {other}")),
        }
    }
}

/// Whether a function, or a method as `Type::method`, is in a file and is no test.
fn has_function(file: &str, text: &str, name: &str) -> bool {
    if file.ends_with(".js") {
        let is_it = |line: &str| {
            let line = line.trim_start();
            let line = line.strip_prefix("export ").unwrap_or(line);
            line.strip_prefix("function ").unwrap_or(line).starts_with(&format!("{name}("))
                || line.starts_with(&format!("const {name} = ("))
        };
        return text.lines().any(is_it);
    }
    let code = &text[..text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len())];
    match name.split_once("::") {
        None => declares(code, name),
        Some((of, name)) => blocks(code, of).iter().any(|block| declares(block, name)),
    }
}

fn declares(code: &str, name: &str) -> bool {
    ['(', '<'].iter().any(|next| code.contains(&format!("fn {name}{next}")))
}

/// What `impl` and `trait` have for a type.
fn blocks(code: &str, of: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let begin = line.trim_start();
        let indent = &line[..line.len() - begin.len()];
        let begins = ["impl", "trait ", "pub trait "].iter().any(|word| begin.starts_with(word));
        let mut words = begin.split(|c: char| !c.is_alphanumeric() && c != '_');
        if begins && words.any(|word| word == of) {
            let end = format!("{indent}}}");
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            found.push(block.join("\n"));
        }
    }
    found
}

/// Whether a test is in a file: a function of Rust's or Python's, or a title of Node's.
fn has_test(file: &str, text: &str, name: &str) -> bool {
    if file.ends_with(".py") {
        let defined = format!("def {name}(");
        return name.starts_with("test_")
            && text.lines().any(|line| line.trim_start().starts_with(&defined));
    }
    if file.ends_with(".mjs") {
        return text.contains(&format!("('{name}'"));
    }
    let declared = format!("fn {name}(");
    let mut is_marked = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with(&declared) && is_marked {
            return true;
        }
        let stays_marked = line.starts_with("#[") || line.starts_with("//");
        is_marked = line == "#[test]" || (is_marked && stays_marked);
    }
    false
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conformance.md");
    fs::read_to_string(path).unwrap()
}

fn faults(text: &str) -> Vec<String> {
    let mut document = Document::parse(text);
    document.judge_numbers();
    document.judge_words();
    document.judge_counts();
    document.judge_names(&Sources::below(CODE), &Sources::below(TESTS));
    document.faults
}

#[test]
fn every_duty_is_there_with_a_function_and_a_test_that_are_there() {
    let text = document();
    let count: usize = Document::parse(&text).rows.iter().map(Row::count).sum();
    assert!(count > 200, "only {count} duties are found");
    let faults = faults(&text);
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A check that cannot fail proves nothing.
#[test]
fn what_is_gone_or_miscounted_is_told() {
    let text = document();
    for (right, wrong, told) in [
        ("`FrameHeader::decode`", "`FrameHeader::gone`", "FrameHeader::gone is not in"),
        ("`FrameHeader::decode`", "`Opcode::decode`", "Opcode::decode is not in"),
        ("`frame_header.rs`", "`frame_footer.rs`", "there is no file"),
        ("`endpoint/send.rs`: `", "`send.rs`: `", "send.rs is "),
        (
            "`server_fails_the_connection_on_an_unmasked_frame`",
            "`assert_fails`",
            "assert_fails is not in endpoint/tests.rs",
        ),
        ("`test_nothing_behind_a_broken_frame_is_looked_at`", "`test_gone`", "test_gone is not in"),
        ("| 5.1-2 |", "| 5.1-3 |", "§5.1: 3 stands where 2 is expected"),
        ("| 5.1-1 |", "| 5.1 |", "no number: 5.1"),
        ("| 5.1-4 | MUST |", "| 5.1-4 | OUGHT |", "\"OUGHT\" is no keyword"),
        ("| left to the program: ", "| ", "no function keeps it"),
        ("| all | 1", "| all | 9", "all: the tables have"),
        ("| duties of others | 1", "| duties of others | 9", "duties of others: the tables have"),
    ] {
        assert!(text.contains(right), "{right}");
        let faults = faults(&text.replacen(right, wrong, 1));
        assert!(faults.iter().any(|fault| fault.contains(told)), "{told}: {faults:#?}");
    }
}
