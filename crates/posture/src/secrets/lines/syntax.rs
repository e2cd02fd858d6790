//! Which notation a file is written in, by its name.

/// What unquoted text means in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::secrets) enum Syntax {
    /// A language: an expression.
    Code,
    /// Settings: the value itself.
    Settings,
    /// Not known: by the notation.
    #[default]
    Text,
}

impl Syntax {
    /// By the ending of a file's name.
    pub(in crate::secrets) fn of(path: &str) -> Self {
        const CODE: [&str; 34] = [
            "rs", "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "tsx", "go", "java", "kt", "kts",
            "scala", "c", "h", "cc", "cpp", "hpp", "cs", "rb", "php", "pl", "pm", "swift", "m",
            "mm", "lua", "ex", "exs", "erl", "hs", "svelte", "vue",
        ];
        const SETTINGS: [&str; 18] = [
            "env",
            "ini",
            "cfg",
            "conf",
            "config",
            "properties",
            "toml",
            "yml",
            "yaml",
            "json",
            "json5",
            "tfvars",
            "cnf",
            "npmrc",
            "pypirc",
            "netrc",
            "credentials",
            "plist",
        ];
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let ending = name.rsplit('.').next().unwrap_or_default();
        if CODE.contains(&ending) {
            Self::Code
        } else if SETTINGS.contains(&ending) || name.starts_with(".env") {
            Self::Settings
        } else {
            Self::Text
        }
    }
}
