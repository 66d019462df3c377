//! `${NAME}` in addresses: the one way a recipe depends on the machine.

/// Looks up an environment variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces every `${NAME}` in `text`; a value is taken as it is, not expanded again.
///
/// # Errors
/// The rest of a sentence that begins with the key.
pub(super) fn expand(text: &str, env: Lookup) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').ok_or("has a `${` without its `}`")?;
        if !is_name(name) {
            return Err(format!("has `${{{name}}}`, which names no environment variable"));
        }
        let value = env(name).ok_or_else(|| {
            format!("needs the environment variable {name}: run `export {name}=...` first")
        })?;
        done.push_str(before);
        done.push_str(&value);
        rest = after;
    }
    done.push_str(rest);
    Ok(done)
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_names_once_and_says_what_is_missing() {
        let env = |name: &str| (name == "D").then(|| "/d/${D}".to_owned());
        assert_eq!(expand("${D}/a-${D}", &env).unwrap(), "/d/${D}/a-/d/${D}");
        assert_eq!(expand("$D/{x}", &env).unwrap(), "$D/{x}");
        assert!(expand("${E}/a", &env).unwrap_err().contains("export E="));
        assert!(expand("${D", &env).unwrap_err().contains("without its"));
        assert!(expand("${1 x}", &env).unwrap_err().contains("names no environment variable"));
    }
}
