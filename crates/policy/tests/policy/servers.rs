//! Schemas generated from the tools of real servers, as their own processes list them: the MCP project's filesystem, git, memory,
//! everything and github, installed by `ci/deps`. Of each argument a rule of its own type validates, and rules that cannot mean it do not.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bailiwick_core::Code;
use bailiwick_core::decision::Outcome;
use bailiwick_policy::{Bundle, Flaw, FlawCode, Registry};
use serde_json::{Value, json};

use crate::world::{Given, VERSION, bundle, registry};

/// A server that speaks on its standard streams; killed when dropped.
struct Listed(Child);

impl Drop for Listed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn installed(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join(".deps").join(path);
    assert!(
        path.exists(),
        "{} is missing; run ci/deps and try again",
        path.display()
    );
    path
}

fn of_node(server: &str) -> Command {
    let program = installed(&format!(
        "node/node_modules/@modelcontextprotocol/server-{server}/dist/index.js"
    ));
    let mut command = Command::new(installed("node/bin/node"));
    command.arg(program);
    command
}

/// What a server answers to `tools/list`.
fn tools(mut command: Command) -> Vec<Value> {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut server = Listed(child.unwrap());
    let mut out = server.0.stdin.take().unwrap();
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let opening = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    writeln!(
        out,
        "{}",
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening})
    )
    .unwrap();
    let mut answer = |id: u64| -> Value {
        lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .find(|message| message["id"] == id)
            .unwrap_or_else(|| panic!("{command:?} ended without an answer"))
    };
    answer(1);
    writeln!(
        out,
        "{}",
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
    )
    .unwrap();
    writeln!(
        out,
        "{}",
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
    )
    .unwrap();
    answer(2)["result"]["tools"].as_array().unwrap().clone()
}

/// Everything of one server, all reviewed as reads.
fn registered(server: &str, tools: &[Value]) -> Registry {
    let declared: Vec<String> = tools
        .iter()
        .map(|tool| {
            let name = tool["name"].as_str().unwrap();
            format!("[[tool]]\ntool = \"{server}/{name}\"\neffect = \"read\"\n")
        })
        .collect();
    let mut registry = registry(&format!(
        "[[agent]]\nname = \"a\"\nowner = \"team\"\n{}",
        declared.concat()
    ));
    for tool in &mut registry.tools {
        let listed = tools
            .iter()
            .find(|listed| listed["name"] == tool.tool.tool.as_str());
        tool.definition = listed.unwrap().to_string();
    }
    registry
}

/// How a rule speaks of an argument of this JSON Schema; none where this test does not know.
fn said(schema: &Value, argument: &str) -> Option<(String, String)> {
    let schema = match schema.get("anyOf").and_then(Value::as_array) {
        Some(choices) => {
            let mut real = choices.iter().filter(|choice| choice["type"] != "null");
            real.next().filter(|_| real.next().is_none())?
        }
        None => schema,
    };
    let (right, wrong) = match (schema["type"].as_str()?, schema["items"]["type"].as_str()) {
        ("string", _) => (" like \"a*\"", " > 1"),
        ("integer", _) => (" > 1", " == \"1\""),
        ("number", _) => (".lessThan(decimal(\"1.5\"))", " > 1"),
        ("boolean", _) => (" == true", " == \"true\""),
        ("array", Some("string")) => (".contains(\"a\")", ".contains(1)"),
        _ => return None,
    };
    Some((format!("{argument}{right}"), format!("{argument}{wrong}")))
}

/// Rules about each argument of each tool, by what must become of them.
#[derive(Default)]
struct Rules {
    right: String,
    wrong: String,
    unguarded: String,
    arguments: usize,
    wrongs: usize,
    optional: usize,
}

fn rules(server: &str, tools: &[Value]) -> Rules {
    let mut rules = Rules::default();
    let mut number = 0;
    let mut rule = |text: &mut String, tool: &str, condition: &str| {
        number += 1;
        writeln!(
            text,
            "@id(\"r{number}\") @reason(\"r\") permit (principal, action == Bailiwick::Action::\"{server}/{tool}\", resource) when {{ {condition} }};"
        )
        .unwrap();
    };
    for tool in tools {
        let name = tool["name"].as_str().unwrap();
        let schema = &tool["inputSchema"];
        for (argument, of) in schema["properties"].as_object().into_iter().flatten() {
            let Some((right, wrong)) = said(of, &format!("context.input[\"{argument}\"]")) else {
                continue;
            };
            rules.arguments += 1;
            let guard = format!("context.input has \"{argument}\" && ");
            rule(&mut rules.right, name, &format!("{guard}{right}"));
            rule(&mut rules.wrong, name, &format!("{guard}{wrong}"));
            rules.wrongs += 1;
            let required = schema["required"]
                .as_array()
                .is_some_and(|required| required.contains(&json!(argument)));
            let nullable = of.get("anyOf").is_some();
            if required && !nullable {
                rule(&mut rules.right, name, &right);
            } else {
                rule(&mut rules.unguarded, name, &right);
                rules.optional += 1;
            }
        }
        rule(
            &mut rules.wrong,
            name,
            "context.input.no_such_argument == 1",
        );
        rules.wrongs += 1;
    }
    rules
}

fn refused(registry: &Registry, policies: &str) -> Vec<Flaw> {
    match Bundle::compile(&bundle(policies), VERSION, registry) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.flaws,
    }
}

fn holds(server: &str, command: Command, least: usize) {
    let tools = tools(command);
    assert!(tools.len() >= least, "{server} lists {} tools", tools.len());
    let registry = registered(server, &tools);
    let schema = Bundle::schema_json(&registry, &bundle(""));
    cedar_policy::Schema::from_json_value(schema).unwrap();
    let rules = rules(server, &tools);
    assert!(
        rules.arguments >= least,
        "{server}: {} arguments are typed",
        rules.arguments
    );

    let right = refused(&registry, &rules.right);
    assert!(right.is_empty(), "{server}: {right:?}");
    let wrong = refused(&registry, &rules.wrong);
    assert_eq!(wrong.len(), rules.wrongs, "{server}: {wrong:?}");
    let known = [FlawCode::Type, FlawCode::UnknownAttribute];
    assert!(
        wrong.iter().all(|flaw| known.contains(&flaw.code)),
        "{server}: {wrong:?}"
    );
    let unguarded = refused(&registry, &rules.unguarded);
    assert_eq!(unguarded.len(), rules.optional, "{server}: {unguarded:?}");
    assert!(
        unguarded
            .iter()
            .all(|flaw| flaw.code == FlawCode::OptionalAttribute),
        "{server}: {unguarded:?}"
    );

    // Each tool is called with what its schema asks for, and with one argument more.
    let all = "@id(\"all\") @reason(\"r\") permit (principal, action in Bailiwick::Action::\"read\", resource);";
    let bundle = Bundle::compile(&bundle(all), VERSION, &registry).unwrap();
    for tool in &tools {
        let name = format!("{server}/{}", tool["name"].as_str().unwrap());
        let smallest = example(&tool["inputSchema"]);
        let decide = |arguments: &Value| {
            let given = Given::on(&registry, "a", &name, &arguments.to_string());
            given.decide(&bundle)
        };
        let decision = decide(&smallest);
        assert_eq!(
            decision.outcome,
            Outcome::Allow,
            "{name} {smallest}: {decision:?}"
        );
        let mut more = smallest;
        more["no_such_argument"] = json!(1);
        assert_eq!(decide(&more).code, Some(Code::ArgumentsInvalid), "{name}");
    }
}

/// A value of this JSON Schema, as small as it may be.
fn example(schema: &Value) -> Value {
    if let Some(value) = schema.get("enum").and_then(|values| values.get(0)) {
        return value.clone();
    }
    match schema["type"].as_str() {
        Some("string") => json!("a"),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let members = required.map(|name| {
                let name = name.as_str().unwrap().to_owned();
                let value = example(&schema["properties"][&name]);
                (name, value)
            });
            Value::Object(members.collect())
        }
        _ => Value::Null,
    }
}

#[test]
fn schemas_of_real_servers_the_file_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = of_node("filesystem");
    command.arg(directory.path());
    holds("filesystem", command, 10);
}

#[test]
fn schemas_of_real_servers_git() {
    let mut command = Command::new(installed("python/bin/python"));
    command.args(["-m", "mcp_server_git"]);
    holds("git", command, 10);
}

#[test]
fn schemas_of_real_servers_memory() {
    // Most of its arguments are lists of objects, which have no operators but those of sets.
    let directory = tempfile::tempdir().unwrap();
    let mut command = of_node("memory");
    command.env("MEMORY_FILE_PATH", directory.path().join("memory.jsonl"));
    holds("memory", command, 3);
}

#[test]
fn schemas_of_real_servers_everything() {
    holds("everything", of_node("everything"), 5);
}

#[test]
fn schemas_of_real_servers_github() {
    holds("github", of_node("github"), 20);
}
