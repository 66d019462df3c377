//! Secrets on every way that a run can take, with everything logged (`RUST_LOG=trace`): none of them
//! is in any byte that is printed, nor in any file that is written.

use std::process::Output;

use crate::server::{Bucket, script};
use crate::support::{Place, Toy, dir, skipped, toy_recipe, unseen};

/// A secret that no server knows, in the form of a real one.
const CANARY: &str = "cAnArY7fQ2xXbT9mLzW4rK8sVd1hGp6nEu3jYo5i";

/// Commands under watch: what they may never print, and where what they write may never hold it.
struct Watch {
    place: Place,
    bucket: Bucket,
    secrets: Vec<String>,
}

type Variables<'a> = &'a [(&'a str, &'a str)];

impl Watch {
    fn new(test: &str) -> Option<Self> {
        let bucket = Bucket::open(test)?;
        let place = Place::new();
        Toy::new(300, 3).write(&place.path("toy.parquet"));
        let toy = std::fs::read(place.path("toy.parquet")).unwrap();
        dir(&bucket.uri("")).create("toy.parquet", toy).unwrap();
        let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap();
        Some(Self { place, bucket, secrets: vec![secret, CANARY.to_owned()] })
    }

    /// A recipe that reads and writes in the bucket, with `more` at its end.
    fn recipe(&self, name: &str, more: &str) -> String {
        let text = toy_recipe(&self.bucket.uri("toy.parquet"), &self.bucket.uri(name), more);
        self.place.recipe(&format!("{name}.toml"), &text)
    }

    /// Runs a command with everything logged, and searches what it printed. An empty value takes a
    /// variable away.
    fn run(&self, args: &[&str], variables: Variables) -> Output {
        let mut command = unseen(args);
        command.env("RUST_LOG", "trace");
        for (name, value) in variables {
            match *value {
                "" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        let output = command.output().unwrap();
        self.search(&output.stdout, &format!("what {args:?} printed"));
        self.search(&output.stderr, &format!("what {args:?} logged"));
        output
    }

    fn succeeds(&self, args: &[&str], variables: Variables) {
        let output = self.run(args, variables);
        assert!(output.status.success(), "{args:?}: {}", last_lines(&output.stderr));
        let logged = String::from_utf8_lossy(&output.stderr);
        assert!(logged.contains("TRACE"), "{args:?} logged too little to prove anything");
    }

    /// The command fails with one clear error that says `says`.
    fn fails(&self, args: &[&str], variables: Variables, says: &str) {
        let output = self.run(args, variables);
        let said = last_lines(&output.stderr);
        assert!(!output.status.success(), "{args:?} must fail");
        assert!(!said.contains("panicked"), "{args:?}: {said}");
        let error = said.lines().rev().find(|line| line.starts_with("error: ")).unwrap_or("");
        assert!(error.contains(says), "{args:?} does not say `{says}`: {said}");
    }

    fn search(&self, bytes: &[u8], place: &str) {
        let text = String::from_utf8_lossy(bytes);
        for secret in &self.secrets {
            for form in [secret.clone(), percent_encoded(secret)] {
                if let Some(at) = text.find(&form) {
                    let line = text[..at].lines().count();
                    panic!("{place}: a secret in line {line}, after `{}`", tail(&text[..at]));
                }
            }
        }
    }

    /// Searches everything in the bucket and in the folder of the test, but for files that the test
    /// itself has put a secret into.
    fn search_all(&self, own: &[&str]) {
        let mut objects = 0;
        for place in [self.bucket.uri("").as_str(), &self.place.text("")] {
            let dir = dir(place.trim_end_matches('/'));
            for path in dir.list("").unwrap() {
                if !own.iter().any(|name| path.ends_with(name)) {
                    self.search(&dir.read(&path).unwrap(), &path);
                    objects += 1;
                }
            }
        }
        assert!(objects > 1, "only {objects} objects were searched");
    }
}

fn tail(text: &str) -> String {
    let start = text.char_indices().rev().nth(60).map_or(0, |(at, _)| at);
    text[start..].replace('\n', " ")
}

fn last_lines(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

fn percent_encoded(text: &str) -> String {
    text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
}

/// A budget with which a failure does not take minutes.
const SHORT: &str = "[storage]\nretries = 1\nretry_seconds = 1\n";

#[test]
fn secrets_that_work_stay_hidden() {
    let Some(watch) = Watch::new("secrets") else { return };
    let recipe = watch.recipe("key", "");
    let run = watch.bucket.uri("key");
    watch.succeeds(&["plan", &recipe], &[]);
    watch.succeeds(&["run", &recipe], &[]);
    watch.succeeds(&["status", &run], &[]);
    watch.succeeds(&["verify", &run, "--json"], &[]);
    watch.run(&["config", "show", &recipe], &[]);
    watch.succeeds(&["evaluate", &run, "--seeds", "1"], &[]);
    watch.succeeds(&["stability", &run], &[]);
    watch.succeeds(&["report", &run], &[]);
    watch.succeeds(&["records", &run], &[]);
    let plot = watch.place.text("evaluation.png");
    watch.succeeds(&["plot", &run, "--what", "evaluation", "--out", &plot], &[]);
    let sweep = watch.recipe("sweep", "[sweep]\nkeep = [0.3, 0.5]\n[evaluate]\nseeds = 1\n");
    watch.succeeds(&["sweep", &sweep], &[]);
    let plot = watch.bucket.uri("plots/sweep.svg");
    watch.succeeds(&["plot", &watch.bucket.uri("sweep"), "--out", &plot], &[]);

    // The same key from a profile, and nothing in the environment.
    let (access, secret) = (
        std::env::var("AWS_ACCESS_KEY_ID").unwrap(),
        std::env::var("AWS_SECRET_ACCESS_KEY").unwrap(),
    );
    let keys = format!("aws_access_key_id = {access}\naws_secret_access_key = {secret}\n");
    let file = watch.place.recipe("credentials", &format!("[tests]\n{keys}"));
    let profile = [
        ("AWS_PROFILE", "tests"),
        ("AWS_SHARED_CREDENTIALS_FILE", &file),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
    ];
    watch.succeeds(&["run", &watch.recipe("profile", "")], &profile);
    watch.search_all(&["credentials"]);
}

#[test]
fn a_session_token_works_and_stays_hidden() {
    let Some(mut watch) = Watch::new("token") else { return };
    if std::env::var("UNSEEN_S3_HOME").is_err() {
        return skipped("token: this S3 server is not one of scripts/s3");
    }
    let token = exported(&script("token"));
    let value = |name: &str| token.iter().find(|(n, _)| n == name).unwrap().1.clone();
    watch.secrets.extend([value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN")]);
    let variables: Vec<(&str, &str)> =
        token.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let recipe = watch.recipe("token", "");
    watch.succeeds(&["run", &recipe], &variables);
    watch.succeeds(&["verify", &watch.bucket.uri("token")], &variables);
    watch.search_all(&[]);

    // A token that is not the server's.
    let wrong = [&variables[..2], &[("AWS_SESSION_TOKEN", CANARY)]].concat();
    watch.fails(&["run", &watch.recipe("wrong-token", SHORT)], &wrong, "cannot");
}

/// The variables that `scripts/s3` exports.
fn exported(script: &str) -> Vec<(String, String)> {
    let pairs = script.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    // The shell's quoting of `+` and `=`.
    pairs.map(|(name, value)| (name.to_owned(), value.replace('\\', ""))).collect()
}

#[test]
fn secrets_stay_hidden_when_the_server_says_no() {
    let Some(watch) = Watch::new("refusals") else { return };
    let wrong_key = [("AWS_SECRET_ACCESS_KEY", CANARY)];
    let recipe = watch.recipe("refused", SHORT);
    for verb in ["plan", "run"] {
        watch.fails(&[verb, &recipe], &wrong_key, "toy.parquet");
    }
    for verb in ["status", "verify", "evaluate", "stability", "records"] {
        watch.fails(&[verb, &watch.bucket.uri("refused")], &wrong_key, "run.json");
    }
    let (refused, page) = (watch.bucket.uri("refused"), watch.place.text("page.html"));
    watch.fails(&["report", &refused, "--out", &page], &wrong_key, "run.json");
    let picture = watch.place.text("picture.svg");
    watch.fails(&["plot", &refused, "--out", &picture], &wrong_key, "sweep.parquet");
    watch.fails(&["sweep", &recipe, "--set", "sweep.keep=[0.5]"], &wrong_key, "toy.parquet");
    // Input on this machine, so that the first refusal is one of a write.
    let text = toy_recipe(&watch.place.text("toy.parquet"), &watch.bucket.uri("refused"), SHORT);
    let writes = watch.place.recipe("writes.toml", &text);
    watch.fails(&["run", &writes], &wrong_key, "refused");

    let text = text.replace(&watch.bucket.uri("refused"), "s3://no-such-bucket/run");
    let nowhere = watch.place.recipe("nowhere.toml", &text);
    watch.fails(&["run", &nowhere], &[], "s3://no-such-bucket/run");
    let nobody = [("AWS_ENDPOINT_URL", "http://127.0.0.1:1")];
    watch.fails(&["run", &writes], &nobody, "refused");
    watch.search_all(&[]);
}

#[test]
fn secrets_stay_hidden_in_addresses_and_settings_that_should_not_hold_them() {
    let Some(watch) = Watch::new("misplaced") else { return };
    let recipe = watch.recipe("misplaced", SHORT);
    let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap();
    let with_user = endpoint.replace("://", &format!("://someone:{CANARY}@"));
    let closed = format!("http://someone:{CANARY}@127.0.0.1:1");
    for endpoint in [&with_user, &closed] {
        watch.fails(&["run", &recipe], &[("AWS_ENDPOINT_URL", endpoint)], "holds a user");
    }
    let proxy = [("HTTP_PROXY", closed.as_str()), ("http_proxy", &closed), ("NO_PROXY", "")];
    watch.fails(&["run", &recipe], &proxy, "cannot");

    let set = |setting: &str| format!("{setting}{CANARY}");
    for setting in [
        format!("storage.endpoint={with_user}"),
        format!("storage.options=proxy_url={closed}"),
        format!("data.uri=s3://someone:{CANARY}@bucket/toy.parquet"),
        format!("output.uri=s3://someone:{CANARY}@bucket/run"),
        format!("output.uri=https://someone:{CANARY}@host/run"),
        set("data.uri=s3://bucket/toy.parquet?X-Amz-Signature="),
        set("storage.options=aws_secret_access_key="),
        set("storage.options=aws_session_token="),
    ] {
        watch.fails(&["run", &recipe, "--set", &setting], &[], "");
    }
    for setting in ["secret_access_key", "options=aws_secret_access_key"] {
        let setting = format!("{setting}={CANARY}");
        watch.fails(&["status", &watch.bucket.uri("x"), "--storage", &setting], &[], "");
    }
    watch.fails(&["status", &format!("s3://someone:{CANARY}@bucket/run")], &[], "");
    watch.search_all(&[]);
}
