//! Values whose type is kept out of the compiler's sight.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A shared value of a type that is expensive to reason about.
///
/// Syntax trees and plans are hundreds of types that hold each other. Whoever keeps one in a type that
/// must be `Send` has the compiler walk all of them to prove it, anew for each future: that was
/// minutes of every build. Behind this the proof is made once, in [`Hidden::new`].
pub(crate) struct Hidden<T>(Arc<dyn Any + Send + Sync>, PhantomData<fn() -> T>);

impl<T: Send + Sync + 'static> Hidden<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(value), PhantomData)
    }

    /// The value. Don't hold the reference over an await of a future that must be `Send`.
    pub(crate) fn get(&self) -> &T {
        match self.0.downcast_ref() {
            Some(value) => value,
            None => unreachable!("it was made with a value of this type"),
        }
    }
}

impl<T> Clone for Hidden<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<T> fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}
