//! The seeded driver: every checked-in seed, and mutations of the seeds that are the same in every run.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use tmcp_fuzz_targets::{Mutator, TARGETS};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = fuzz().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = entries.map(|entry| entry.unwrap().path());
    let mut seeds: Vec<_> =
        files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())).collect();
    seeds.sort();
    seeds
}

/// The words of a libFuzzer dictionary: one per line, in double quotes, with `\xAB`, `\\` and `\"`.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz().join("dict").join(format!("{target}.dict"))).unwrap_or_default();
    let quoted = |line: &str| Some(line.trim().strip_prefix('"')?.strip_suffix('"')?.to_owned());
    text.lines().filter_map(quoted).map(|word| unescaped(&word)).collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), word.as_bytes());
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'\\', [b'x', a, b, ..]) => {
                let digits = [*a, *b];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).expect("two hexadecimal digits"));
                rest = &tail[3..];
            }
            (b'\\', [next, ..]) => {
                bytes.push(*next);
                rest = &tail[1..];
            }
            _ => bytes.push(*first),
        }
    }
    bytes
}

/// Runs one target over its corpus and so many mutations of it.
fn drive(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let (seeds, words) = (corpus(name), words(name));
    assert!(seeds.len() >= 4, "fuzz/corpus/{name} has {} seeds", seeds.len());
    let attempt = |what: &str, data: &[u8]| {
        assert!(catch_unwind(|| (target.run)(data)).is_ok(), "{name}: {what}: {:?}", String::from_utf8_lossy(data));
    };
    for (file, data) in &seeds {
        attempt(file, data);
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, data)| data).collect();
    let mut mutator = Mutator::new(0x746d_6370);
    for n in 0..target.mutations {
        attempt(&format!("mutation {n}"), &mutator.mutate(&seeds, &words));
    }
}

#[test]
fn token() {
    drive("token");
}

#[test]
fn storage_key() {
    drive("storage_key");
}

#[test]
fn storage_body() {
    drive("storage_body");
}

#[test]
fn oauth_form() {
    drive("oauth_form");
}

#[test]
fn authorize() {
    drive("authorize");
}

#[test]
fn wire() {
    drive("wire");
}

#[test]
fn guard() {
    drive("guard");
}

/// Each target has its test above, its binary and its corpus: one that is forgotten somewhere is not run.
#[test]
fn every_target_is_wired() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let this = include_str!("replay.rs");
    for target in TARGETS {
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "fuzz/Cargo.toml lacks {}", target.name);
        assert!(this.contains(&format!("drive(\"{}\")", target.name)), "replay.rs lacks {}", target.name);
    }
}

#[test]
fn dictionaries_are_read_as_libfuzzer_reads_them() {
    assert_eq!(unescaped(r#"a\x00\"b\\"#), b"a\0\"b\\");
}
