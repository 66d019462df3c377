//! `unseen config`: the resolved recipe and the schema.

use std::io::Write;

use super::args::ConfigCommand;
use super::write_out;
use crate::error::Result;
use crate::recipe::json_schema;

/// Carries out `unseen config`, printing to `out`.
///
/// # Errors
/// `InvalidRecipe` if the recipe is wrong; `Unavailable` if `out` takes no more.
pub fn config(command: &ConfigCommand, out: &mut dyn Write) -> Result<()> {
    let text = match command {
        ConfigCommand::Show { on, json: false } => on.load()?.to_toml()?,
        ConfigCommand::Show { on, json: true } => {
            format!("{}\n", serde_json::to_string_pretty(&on.load()?)?)
        }
        ConfigCommand::Schema => format!("{}\n", serde_json::to_string_pretty(&json_schema())?),
    };
    write_out(out, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Args, Command};
    use crate::recipe::{Recipe, parse};
    use clap::Parser;

    fn printed(line: &[&str]) -> Result<String> {
        let Command::Config(command) = Args::try_parse_from(line).unwrap().command else {
            panic!("not config")
        };
        let mut out = Vec::new();
        config(&command, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn show_prints_a_recipe_that_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.toml");
        let text = "data = {uri = 'a', image = 'i'}\nselect.keep = 0.5\noutput.uri = 'b'";
        std::fs::write(&path, text).unwrap();
        let mut line = vec!["unseen", "config", "show", path.to_str().unwrap(), "--set", "seed=9"];
        let toml = printed(&line).unwrap();
        let recipe = parse(&toml, "shown", &[]).unwrap();
        assert_eq!((recipe.seed, recipe.folds.k), (9, 5));
        line.push("--json");
        let on_device = |device| printed(&[&line[..], &["--device", device]].concat());
        let json = on_device("cuda:0,1").unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap().device, "cuda:0,1");
        assert!(on_device("gpu").unwrap_err().to_string().contains("`gpu` is not a device"));
        let json = printed(&line).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
        line[5] = "sed=9";
        let error = printed(&line).unwrap_err().to_string();
        assert_eq!(error, "--set sed=9: unknown key `sed`; did you mean `seed`?");
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        config(&ConfigCommand::Schema, &mut Closed).unwrap();
    }

    #[test]
    fn schema_prints_json() {
        let text = printed(&["unseen", "config", "schema"]).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(schema["title"], "unseen recipe");
    }

    #[test]
    fn a_recipe_that_is_not_there_is_the_users_mistake() {
        let error = printed(&["unseen", "config", "show", "no/such.toml"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
