//! Values that must not be printed, compared, logged or serialised.

use secrecy::{ExposeSecret, SecretBox};
use zeroize::Zeroize;

/// A secret. It has no `Debug` of its content, no `Display`, `Serialize` or `PartialEq`, and is wiped when dropped.
pub struct Secret<T: Zeroize>(SecretBox<T>);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value; the caller should hold no other copy.
    pub fn new(value: T) -> Self {
        Self(SecretBox::new(Box::new(value)))
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        self.0.expose_secret()
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self::new(self.expose().clone())
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}
