//! How core types become JSON and back: a trait, and two macros that write both directions from one list of fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A type of the versioned schema that stands for a core type.
pub(super) trait Wire: Sized {
    /// The core type.
    type Core;
    /// What is written for it.
    fn from_core(core: &Self::Core) -> Self;
    /// What is read back.
    fn into_core(self) -> Self::Core;
}

/// A number. JSON has no NaN and no infinity: both become `null`, which reads as NaN.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Number(Option<f64>);

impl Wire for Number {
    type Core = f64;

    fn from_core(core: &f64) -> Self {
        Self(core.is_finite().then_some(*core))
    }

    fn into_core(self) -> f64 {
        self.0.unwrap_or(f64::NAN)
    }
}

/// The same in single precision.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Single(Option<f32>);

impl Wire for Single {
    type Core = f32;

    fn from_core(core: &f32) -> Self {
        Self(core.is_finite().then_some(*core))
    }

    fn into_core(self) -> f32 {
        self.0.unwrap_or(f32::NAN)
    }
}

/// An end of an interval: null where nothing bounds it.
macro_rules! end {
    ($(#[$meta:meta])* $name:ident, $open:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub(super) struct $name(Option<f64>);

        impl Wire for $name {
            type Core = f64;

            fn from_core(core: &f64) -> Self {
                Self(core.is_finite().then_some(*core))
            }

            fn into_core(self) -> f64 {
                self.0.unwrap_or($open)
            }
        }
    };
}
end! {
    /// The lower end.
    Low, f64::NEG_INFINITY
}
end! {
    /// The upper end.
    High, f64::INFINITY
}

impl<T: Wire> Wire for Vec<T> {
    type Core = Vec<T::Core>;

    fn from_core(core: &Self::Core) -> Self {
        core.iter().map(T::from_core).collect()
    }

    fn into_core(self) -> Self::Core {
        self.into_iter().map(T::into_core).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    type Core = Option<T::Core>;

    fn from_core(core: &Self::Core) -> Self {
        core.as_ref().map(T::from_core)
    }

    fn into_core(self) -> Self::Core {
        self.map(T::into_core)
    }
}

/// Types that stand for themselves.
macro_rules! itself {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            type Core = Self;

            fn from_core(core: &Self) -> Self {
                core.clone()
            }

            fn into_core(self) -> Self {
                self
            }
        }
    )*};
}
itself!(String, bool, usize, u64);

/// A struct of the schema with the fields of a core struct, in the order in which they are written.
macro_rules! object {
    ($(#[$meta:meta])* $name:ident for $core:ident {
        $($(#[$field_meta:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        pub(super) struct $name {
            $($(#[$field_meta])* $field: $type,)*
        }

        impl Wire for $name {
            type Core = $core;

            fn from_core(core: &$core) -> Self {
                Self { $($field: Wire::from_core(&core.$field),)* }
            }

            fn into_core(self) -> $core {
                $core { $($field: Wire::into_core(self.$field),)* }
            }
        }
    };
}

/// A list of names of the schema for a core enum, in kebab-case.
macro_rules! name {
    ($(#[$meta:meta])* $name:ident for $core:ident { $($variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub(super) enum $name {
            $($variant,)*
        }

        impl Wire for $name {
            type Core = $core;

            fn from_core(core: &$core) -> Self {
                match core {
                    $($core::$variant => Self::$variant,)*
                }
            }

            fn into_core(self) -> $core {
                match self {
                    $(Self::$variant => $core::$variant,)*
                }
            }
        }
    };
}

pub(super) use {name, object};
