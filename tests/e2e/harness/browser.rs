//! A browser as far as signing in needs one: it keeps cookies by host and path, follows redirects while it is told to, and sends forms.

use super::http::{self, Place};

/// A browser with its own cookies.
#[derive(Default)]
pub(crate) struct Browser {
    cookies: Vec<Cookie>,
}

struct Cookie {
    host: String,
    path: String,
    name: String,
    value: String,
}

/// What a browser shows.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it is.
    pub(crate) url: String,
    /// Its status.
    pub(crate) status: u16,
    /// Where it sends the browser, if it does.
    pub(crate) location: Option<String>,
    /// Its headers that matter to browsers: name and value.
    pub(crate) policy: Vec<(String, String)>,
    /// Its text.
    pub(crate) html: String,
}

/// Redirects that are followed in a row.
const MAX_REDIRECTS: usize = 12;
/// Headers of a page that are kept.
const POLICY: [&str; 4] = [
    "content-security-policy",
    "x-frame-options",
    "referrer-policy",
    "cache-control",
];

impl Browser {
    /// One request with this browser's cookies; no redirect is followed.
    pub(crate) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        form: Option<&str>,
    ) -> Page {
        let (host, path) = split(url);
        let bare = path.split('?').next().unwrap();
        let kept = self.cookies.iter();
        let kept = kept.filter(|cookie| cookie.host == host && bare.starts_with(&cookie.path));
        let cookies: Vec<String> = kept
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        if form.is_some() {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        let response = http::send(
            &Place::of(url),
            method,
            path,
            &headers,
            form.map(str::as_bytes),
        );
        let response = response.unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        for line in response.each("set-cookie") {
            self.keep(&host, &line);
        }
        Page {
            url: url.to_owned(),
            status: response.status,
            location: response.header("location").map(|to| absolute(url, to)),
            policy: POLICY
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), response.header(name)?.to_owned())))
                .collect(),
            html: response.text(),
        }
    }

    /// Goes to `url` and wherever that leads, until a page, or until a redirect leads to something that starts with `stop`.
    pub(crate) fn go(&mut self, url: &str, stop: &str) -> Page {
        let page = self.send("GET", url, &[], None);
        self.follow(page, stop)
    }

    /// Sends the form of a page, with `fields` besides its hidden ones, and goes where that leads.
    pub(crate) fn submit(&mut self, page: &Page, fields: &[(&str, &str)], stop: &str) -> Page {
        let (action, mut all) = page.form();
        all.extend(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let body: Vec<String> = all
            .iter()
            .map(|(name, value)| format!("{name}={}", super::agent::escape(value)))
            .collect();
        let origin = format!("http://{}", split(&action).0);
        let page = self.send(
            "POST",
            &action,
            &[("Origin", &origin)],
            Some(&body.join("&")),
        );
        self.follow(page, stop)
    }

    fn follow(&mut self, mut page: Page, stop: &str) -> Page {
        for _ in 0..MAX_REDIRECTS {
            let Some(next) = page.location.clone().filter(|next| !next.starts_with(stop)) else {
                return page;
            };
            page = self.send("GET", &next, &[], None);
        }
        panic!("redirected for ever: {page:?}");
    }

    fn keep(&mut self, host: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        let attributes: Vec<(String, &str)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let find = |wanted: &str| {
            attributes
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| *value)
        };
        let path = find("path").unwrap_or("/").to_owned();
        self.cookies.retain(|known| {
            (known.host.as_str(), known.name.as_str(), &known.path) != (host, name, &path)
        });
        let gone = value.is_empty()
            || find("max-age") == Some("0")
            || find("expires").is_some_and(|at| at.contains("1970"));
        if !gone {
            self.cookies.push(Cookie {
                host: host.to_owned(),
                path,
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
}

impl Page {
    /// A header that was kept.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.policy.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// A parameter of the URL that it sends the browser to.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let location = self.location.as_ref()?;
        let query = location.split_once('?')?.1;
        let pair = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        pair.map(unescape)
    }

    /// Where its form goes, and the form's hidden fields.
    pub(crate) fn form(&self) -> (String, Vec<(String, String)>) {
        let form = self
            .html
            .split_once("<form")
            .unwrap_or_else(|| panic!("no form: {self:?}"))
            .1;
        let (head, rest) = form.split_once('>').unwrap();
        let action = attribute(head, "action")
            .map_or_else(|| self.url.clone(), |to| absolute(&self.url, &to));
        let inputs = rest
            .split("<input")
            .skip(1)
            .map(|input| input.split('>').next().unwrap());
        let hidden = inputs.filter(|input| attribute(input, "type").as_deref() == Some("hidden"));
        let fields = hidden.map(|input| {
            (
                attribute(input, "name").unwrap(),
                attribute(input, "value").unwrap_or_default(),
            )
        });
        (action, fields.collect())
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = tag.split_once(&format!("{name}=\""))?.1;
    Some(rest.split('"').next()?.replace("&amp;", "&"))
}

fn split(url: &str) -> (String, &str) {
    let rest = url
        .strip_prefix("http://")
        .unwrap_or_else(|| panic!("not http: {url}"));
    let end = rest.find('/').unwrap_or(rest.len());
    let path = if end == rest.len() { "/" } else { &rest[end..] };
    (rest[..end].to_owned(), path)
}

fn absolute(base: &str, to: &str) -> String {
    if to.starts_with('/') {
        format!("http://{}{to}", split(base).0)
    } else {
        to.to_owned()
    }
}

/// Out of a form's encoding.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                let digits = std::str::from_utf8(&digits).unwrap().to_owned();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}
