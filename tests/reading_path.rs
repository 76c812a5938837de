//! Every output in `docs/reading-path.md` is that of `parlor decode`.
//!
//! With `PARLOR_WRITE_OUTPUTS=1` in the environment, the outputs are written into the document.

use std::path::Path;
use std::process::Command;

/// What a shell command prints, with the program on its path.
fn output(command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_parlor"));
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let done = Command::new("bash").args(["-c", command]).env("PATH", path).output();
    let done = done.expect("bash runs the commands of the document");
    assert!(done.status.success() && done.stderr.is_empty(), "{command}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// The document with the outputs of now, and how many commands there are.
fn with_outputs(document: &str) -> (String, usize) {
    let (mut text, mut count, mut is_console) = (String::new(), 0, false);
    for line in document.lines() {
        if is_console && line != "```" {
            if let Some(command) = line.strip_prefix("$ ") {
                count += 1;
                text += &format!("$ {command}\n{}", output(command));
            }
            continue;
        }
        is_console = line == "```console";
        text += &format!("{line}\n");
    }
    (text, count)
}

#[test]
fn every_output_of_the_reading_path_is_what_decode_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reading-path.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (now, count) = with_outputs(&document);
    assert!(count >= 20, "only {count} commands are found");
    if std::env::var_os("PARLOR_WRITE_OUTPUTS").is_some() {
        std::fs::write(&path, now).unwrap();
        return;
    }
    for (written, said) in document.lines().zip(now.lines()) {
        assert_eq!(written, said, "in docs/reading-path.md");
    }
    assert_eq!(document.lines().count(), now.lines().count());
}

#[test]
fn every_file_and_test_that_it_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(root.join("docs/reading-path.md")).unwrap();
    let sources = sources(&root.join("src/protocol"));
    let mut count = 0;
    // Every other part between fences is prose.
    let prose: String = document.split("```").step_by(2).collect();
    for word in prose.split('`').skip(1).step_by(2) {
        if word.ends_with(".rs") || word.ends_with(".md") {
            // It was said where: below src/protocol, or it is a path of its own.
            let is_there =
                root.join(word).exists() || sources.iter().any(|(name, _)| name.ends_with(word));
            assert!(is_there, "{word}");
            count += 1;
        } else if word.contains('_') && !word.contains([' ', '/', '-']) {
            assert!(sources.iter().any(|(_, text)| text.contains(&format!("fn {word}"))), "{word}");
            count += 1;
        }
    }
    assert!(count > 15);
}

fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.display().to_string(), text));
        }
    }
    found
}
