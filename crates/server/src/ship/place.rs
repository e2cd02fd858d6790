//! A place outside the node where files of a log lie: a prefix in an S3 bucket, a directory, or an HTTP server that can only be read.
//! Credentials for S3 come from the environment that the AWS tools read; nothing of them is kept or logged.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::tls::{BadAuthorities, client_of};
use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path as Key;
use object_store::{
    Error as StoreFailure, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig,
};
use tokio::task::spawn_blocking;

/// Most times that a request to a bucket is tried again.
const RETRIES: usize = 3;
/// No request to a bucket is tried again after this time.
const RETRY_FOR: Duration = Duration::from_secs(20);
/// Time for one request over HTTP.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Longest file that is read from anywhere: four times a full bundle of the largest leaves.
const MAX_FILE: usize = 256 << 20;

/// A place.
#[derive(Clone)]
pub struct Place {
    url: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Bucket {
        store: Arc<AmazonS3>,
        prefix: String,
    },
    Directory(PathBuf),
    Http {
        client: reqwest::Client,
        bearer: Option<Secret<String>>,
    },
}

/// Where a URL points, by its form alone.
enum Form<'a> {
    Bucket { bucket: &'a str, prefix: &'a str },
    Directory(&'a str),
    Http,
}

/// Whether something of that name was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is there now.
    New,
    /// It was there before, and was left as it is.
    Already,
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Not a URL of a kind that is known.
    #[error("`{url}` is not a place that can be used")]
    Url {
        /// The URL.
        url: String,
    },
    /// Its certificate cannot be verified by what was named.
    #[error(transparent)]
    Authorities(#[from] BadAuthorities),
    /// The bucket's client cannot be made.
    #[error("{place} cannot be used")]
    Bucket {
        /// The place.
        place: String,
        /// Why.
        source: Box<StoreFailure>,
    },
    /// The system refuses.
    #[error("{file} at {place} cannot be read or written")]
    Io {
        /// The place.
        place: String,
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// The server answers with something else.
    #[error("{file} at {place}: the server answered {status}")]
    Status {
        /// The place.
        place: String,
        /// The file.
        file: String,
        /// Its status.
        status: u16,
    },
    /// The server does not answer.
    #[error("{file} at {place} cannot be fetched")]
    Http {
        /// The place.
        place: String,
        /// The file.
        file: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It is over its bound.
    #[error("{file} at {place} is over {} MiB", MAX_FILE >> 20)]
    TooLarge {
        /// The place.
        place: String,
        /// The file.
        file: String,
    },
}

impl Fault for PlaceError {
    fn code(&self) -> Code {
        match self {
            Self::Url { .. } => Code::InvalidInput,
            Self::Authorities(_) => Code::ConfigInvalid,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::Status { status: 401, .. } => Code::NotSignedIn,
            Self::Status { status: 403, .. } => Code::NotPermitted,
            _ => Code::LogUnverifiable,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Url { .. } => "Write s3://bucket/prefix, file:///directory, or for reading http(s)://host/path.".into(),
            Self::Authorities(_) => "Name a file of PEM certificates with --ca or BAILIWICK_CA.".into(),
            Self::Bucket { .. } => "Credentials are read from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the other variables of the AWS tools.".into(),
            Self::Status { .. } => "A node shows its tiles to viewers: give an account's token in BAILIWICK_TOKEN, and the node's URL in BAILIWICK_NODE.".into(),
            _ => "Check the place, its credentials and the network, then try again.".into(),
        }
    }
}

impl Place {
    /// Whether a text is a URL rather than a path.
    pub fn is_url(text: &str) -> bool {
        text.contains("://")
    }

    /// Whether something can be written there, by the form of its URL.
    pub fn takes_files(url: &str) -> bool {
        matches!(form(url), Some(Form::Bucket { .. } | Form::Directory(_)))
    }

    /// A place. `bearer` goes to HTTP servers only.
    pub fn open(
        url: &str,
        client: &reqwest::Client,
        bearer: Option<Secret<String>>,
    ) -> Result<Self, PlaceError> {
        let kind = match form(url) {
            None => {
                return Err(PlaceError::Url {
                    url: url.to_owned(),
                });
            }
            Some(Form::Directory(path)) => Kind::Directory(PathBuf::from(path)),
            Some(Form::Http) => Kind::Http {
                client: client.clone(),
                bearer,
            },
            Some(Form::Bucket { bucket, prefix }) => {
                let retry = RetryConfig {
                    max_retries: RETRIES,
                    retry_timeout: RETRY_FOR,
                    ..RetryConfig::default()
                };
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_conditional_put(S3ConditionalPut::ETagMatch)
                    .with_retry(retry)
                    .build();
                let failed = |source| PlaceError::Bucket {
                    place: url.to_owned(),
                    source: Box::new(source),
                };
                Kind::Bucket {
                    store: Arc::new(store.map_err(failed)?),
                    prefix: prefix.trim_matches('/').to_owned(),
                }
            }
        };
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            kind,
        })
    }

    /// A place to read from, for a program that has no client of its own. Authorities of a server are these (PEM), or those of the
    /// system.
    pub fn open_to_read(
        url: &str,
        bearer: Option<Secret<String>>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, PlaceError> {
        bailiwick_crypto::tls::install_default_provider();
        let mut client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        if let Some(pem) = authorities {
            client = client.tls_backend_preconfigured(client_of(pem)?);
        }
        let client = client.build().map_err(|source| PlaceError::Http {
            place: url.to_owned(),
            file: "a client".to_owned(),
            source,
        })?;
        Self::open(url, &client, bearer)
    }

    /// Bytes of a file, or `None` if there is none of that name.
    pub async fn read(&self, file: &Path) -> Result<Option<Bytes>, PlaceError> {
        let name = file.display().to_string();
        match &self.kind {
            Kind::Bucket { store, prefix } => match store.get(&key(prefix, &name)).await {
                Err(StoreFailure::NotFound { .. }) => Ok(None),
                Err(error) => Err(self.bucket(error)),
                Ok(found) if found.meta.size > MAX_FILE as u64 => Err(self.too_large(name)),
                Ok(found) => found
                    .bytes()
                    .await
                    .map(Some)
                    .map_err(|error| self.bucket(error)),
            },
            Kind::Directory(dir) => {
                let path = dir.join(file);
                let read = blocking(move || match fs::read(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    read => read.map(|bytes| Some(Bytes::from(bytes))),
                });
                read.await.map_err(|source| self.io(name, source))
            }
            Kind::Http { client, bearer } => self.fetch(client, bearer.as_ref(), name).await,
        }
    }

    /// Stores a file unless there is one of that name.
    pub async fn create(&self, file: &Path, bytes: Bytes) -> Result<Stored, PlaceError> {
        self.write(file, bytes, true).await
    }

    /// Stores a file, in the place of another if there is one.
    pub async fn replace(&self, file: &Path, bytes: Bytes) -> Result<(), PlaceError> {
        self.write(file, bytes, false).await.map(drop)
    }

    /// Removes a file; that there is none is no failure.
    pub async fn remove(&self, file: &Path) -> Result<(), PlaceError> {
        let name = file.display().to_string();
        match &self.kind {
            Kind::Bucket { store, prefix } => match store.delete(&key(prefix, &name)).await {
                Ok(()) | Err(StoreFailure::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.bucket(error)),
            },
            Kind::Directory(dir) => match fs::remove_file(dir.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.io(name, error)),
                _ => Ok(()),
            },
            Kind::Http { .. } => Err(PlaceError::Url {
                url: self.url.clone(),
            }),
        }
    }

    async fn write(&self, file: &Path, bytes: Bytes, new: bool) -> Result<Stored, PlaceError> {
        let name = file.display().to_string();
        match &self.kind {
            Kind::Bucket { store, prefix } => {
                let mode = if new {
                    PutMode::Create
                } else {
                    PutMode::Overwrite
                };
                let options = PutOptions::from(mode);
                let key = key(prefix, &name);
                let put = store.put_opts(&key, PutPayload::from(bytes), options);
                match put.await {
                    Ok(_) => Ok(Stored::New),
                    Err(StoreFailure::AlreadyExists { .. }) => Ok(Stored::Already),
                    Err(error) => Err(self.bucket(error)),
                }
            }
            Kind::Directory(dir) => {
                let path = dir.join(file);
                let written = blocking(move || store_file(&path, &bytes, new));
                written.await.map_err(|source| self.io(name, source))
            }
            Kind::Http { .. } => Err(PlaceError::Url {
                url: self.url.clone(),
            }),
        }
    }

    async fn fetch(
        &self,
        client: &reqwest::Client,
        bearer: Option<&Secret<String>>,
        file: String,
    ) -> Result<Option<Bytes>, PlaceError> {
        let failed = |source| PlaceError::Http {
            place: self.url.clone(),
            file: file.clone(),
            source,
        };
        let mut request = client
            .get(format!("{}/{file}", self.url))
            .timeout(ANSWER_WITHIN);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer.expose());
        }
        let mut answer = request.send().await.map_err(failed)?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(PlaceError::Status {
                place: self.url.clone(),
                status: answer.status().as_u16(),
                file,
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > MAX_FILE {
                return Err(self.too_large(file));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes.into()))
    }

    fn bucket(&self, error: StoreFailure) -> PlaceError {
        PlaceError::Bucket {
            place: self.url.clone(),
            source: Box::new(error),
        }
    }

    fn io(&self, file: String, source: io::Error) -> PlaceError {
        PlaceError::Io {
            place: self.url.clone(),
            file,
            source,
        }
    }

    fn too_large(&self, file: String) -> PlaceError {
        PlaceError::TooLarge {
            place: self.url.clone(),
            file,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn form(url: &str) -> Option<Form<'_>> {
    if let Some(rest) = url.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        return (!bucket.is_empty()).then_some(Form::Bucket { bucket, prefix });
    }
    if let Some(path) = url.strip_prefix("file://") {
        return path.starts_with('/').then_some(Form::Directory(path));
    }
    (url.starts_with("http://") || url.starts_with("https://")).then_some(Form::Http)
}

fn key(prefix: &str, name: &str) -> Key {
    Key::from(format!("{prefix}/{name}"))
}

/// Writes under another name, syncs, and gives the file its name; the directory is synced too.
fn store_file(path: &Path, bytes: &[u8], new: bool) -> io::Result<Stored> {
    if new && path.exists() {
        return Ok(Stored::Already);
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".tmp");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    File::open(parent)?.sync_all()?;
    Ok(Stored::New)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}
