use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

use parking_lot::RwLock;

/// Values that the layers above keep in an endpoint, one per type.
#[derive(Default)]
pub(crate) struct Extensions(RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    pub(crate) fn insert<T: Send + Sync + 'static>(&self, value: T) {
        self.0.write().insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// Returns the value of a type; stores its default first if it is missing.
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let id = TypeId::of::<T>();
        let known = self.0.read().get(&id).cloned();
        let value = known.unwrap_or_else(|| {
            let mut all = self.0.write();
            all.entry(id)
                .or_insert_with(|| Arc::new(T::default()))
                .clone()
        });
        // Every value is stored under the id of its own type.
        value.downcast().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_value() {
        let extensions = Extensions::default();
        extensions.insert(7_u8);
        assert_eq!(*extensions.get::<u8>(), 7);
        assert!(Arc::ptr_eq(
            &extensions.get::<String>(),
            &extensions.get::<String>()
        ));
    }
}
