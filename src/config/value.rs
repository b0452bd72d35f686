//! What came of reading one key.

use std::ops::Deref;

use super::problem::Span;

/// A value with its place in the file.
#[derive(Debug, Clone)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Span,
}

impl<T> Deref for At<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// One key of a section.
#[derive(Debug, Clone)]
pub(super) enum Value<T> {
    /// Not in the file: the default holds.
    Absent,
    /// In the file and reported as wrong: nothing that depends on it can be judged.
    Broken,
    /// In the file and good.
    Given(At<T>),
}

impl<T> Value<T> {
    /// The value; `default` if it is absent, or broken and therefore never used.
    pub(super) fn or(self, default: T) -> T {
        self.option().unwrap_or(default)
    }

    /// The value if it is in the file and good.
    pub(super) fn option(self) -> Option<T> {
        match self {
            Self::Given(at) => Some(at.value),
            Self::Absent | Self::Broken => None,
        }
    }

    /// The same with its place.
    pub(super) fn given(&self) -> Option<&At<T>> {
        match self {
            Self::Given(at) => Some(at),
            Self::Absent | Self::Broken => None,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Its place, or else `section`, for a problem that the default is part of.
    pub(super) fn span_or(&self, section: &Span) -> Span {
        self.given().map_or(section, |at| &at.span).clone()
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Value<U> {
        match self {
            Self::Absent => Value::Absent,
            Self::Broken => Value::Broken,
            Self::Given(At { value, span }) => Value::Given(At {
                value: f(value),
                span,
            }),
        }
    }

    /// Goes on reading: `f` gets the place too and has reported what is wrong when it returns
    /// `None`.
    pub(super) fn and_then<U>(self, f: impl FnOnce(T, &Span) -> Option<U>) -> Value<U> {
        match self {
            Self::Absent => Value::Absent,
            Self::Broken => Value::Broken,
            Self::Given(At { value, span }) => match f(value, &span) {
                Some(value) => Value::Given(At { value, span }),
                None => Value::Broken,
            },
        }
    }
}

impl<T: Copy> Value<T> {
    /// What holds; `None` if broken.
    pub(super) fn known(&self, default: T) -> Option<T> {
        match self {
            Self::Absent => Some(default),
            Self::Broken => None,
            Self::Given(at) => Some(at.value),
        }
    }
}
