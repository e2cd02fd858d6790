//! The wire form of what has a text form: that text, in JSON as in every other format.

/// Gives types with `Display` and `FromStr` their text as serialized form; `via` names a method that has the text without formatting.
macro_rules! text_form {
    ($($type:ty $(, via $text:ident)?;)*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::text::text_form!(@write self serializer $($text)?)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
    (@write $self:ident $serializer:ident) => { $serializer.collect_str($self) };
    (@write $self:ident $serializer:ident $text:ident) => { $serializer.serialize_str($self.$text().as_ref()) };
}
pub(crate) use text_form;
