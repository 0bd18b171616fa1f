//! A `leadloop dev` of its own for a test, and the compiled `leadloop` against it.

#![allow(dead_code, reason = "each test program uses some of it")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Where the repository is.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A running `leadloop dev`, in a folder of its own.
pub(crate) struct Dev {
    process: Child,
    /// Its data and the files of the test.
    pub(crate) folder: PathBuf,
    /// Its address.
    pub(crate) url: String,
}

impl Dev {
    /// Starts it with the starter playbook.
    pub(crate) fn start(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _fresh = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_leadloop"))
            .args(["dev", "--port", "0", "--data-dir"])
            .arg(&folder)
            .args(["--template", &format!("{ROOT}/template.yaml")])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut dev = Self { process, folder, url: String::new() };
        let started = Instant::now();
        while dev.url.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(60), "leadloop dev did not start");
            assert!(dev.process.try_wait().unwrap().is_none(), "leadloop dev ended");
            std::thread::sleep(Duration::from_millis(50));
            let text = std::fs::read_to_string(dev.folder.join("endpoints.json")).unwrap_or_default();
            let endpoints: Value = serde_json::from_str(&text).unwrap_or_default();
            dev.url = endpoints["api"].as_str().unwrap_or_default().to_owned();
        }
        dev
    }

    /// Runs a command against it; gives whether it succeeded, and what it printed and complained.
    pub(crate) fn run(&self, words: &[&str]) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leadloop"));
        command.args(words).current_dir(&self.folder).env_remove("LEADLOOP_TOKEN");
        if !matches!(words, ["playbook", "validate" | "schema", ..]) {
            command.args(["--url", &self.url, "--data-dir", "."]);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }

    /// Runs a command that has to succeed; gives what it printed.
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let (done, out, error) = self.run(words);
        assert!(done, "{words:?}: {error}");
        out
    }

    /// Runs a command that has to fail; gives its one line.
    pub(crate) fn refuses(&self, words: &[&str]) -> String {
        let (done, out, error) = self.run(words);
        assert!(!done, "{words:?}: {out}");
        error
    }

    /// Writes a file beside its data.
    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
