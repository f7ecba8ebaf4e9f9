//! Rows: the projection of an instance, with the facts it was folded from and the fields of a newer version.

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::value::RawValue;

use super::fact::{fields_of, text_of};
use super::fold::fold;
use super::{Fact, Instance};
use crate::values::InstanceId;
use crate::values::json::Fields;

/// An instance with the facts it was folded from, the latest of each kind.
#[derive(Debug, Clone)]
pub struct Row {
    /// The instance.
    pub instance: Instance,
    /// The facts.
    pub facts: Vec<Fact>,
    /// The fields that a newer version wrote: unknown ones, and known ones whose value differs from this version's fold.
    foreign: Fields,
}

impl Row {
    /// Folds facts into a new row; `None` without facts.
    #[must_use]
    pub fn fold(id: &InstanceId, facts: Vec<Fact>) -> Option<Self> {
        Some(Self { instance: fold(id, &facts)?, facts, foreign: Fields::new() })
    }

    /// Reads a row, and preserves the parts that this version does not know. If the instance cannot be read, it is folded
    /// again from the facts; `None` if that fails too.
    #[must_use]
    pub fn read(id: &InstanceId, text: &str) -> Option<Self> {
        let mut fields: Fields = serde_json::from_slice(text.as_bytes()).ok()?;
        let facts = fields.remove("facts").map(|facts| serde_json::from_slice(facts.get().as_bytes()));
        let facts: Vec<Box<RawValue>> = facts.and_then(Result::ok).unwrap_or_default();
        let facts: Vec<Fact> = facts.iter().filter_map(|fact| Fact::from_json(fact.get())).collect();
        let read = serde_json::from_slice::<Instance>(text.as_bytes()).ok();
        let instance = read.filter(|instance| instance.instance_id == *id).or_else(|| fold(id, &facts))?;
        let known = fields_of(&instance);
        let is_newer = fields.iter().any(|(name, value)| text_of(&known, name) != Some(value.get()));
        let foreign = if is_newer || facts.iter().any(Fact::is_foreign) {
            let ours = fold(id, &facts).map(|instance| fields_of(&instance)).unwrap_or_default();
            fields.retain(|name, value| text_of(&ours, name) != Some(value.get()));
            fields
        } else {
            Fields::new()
        };
        Some(Self { instance, facts, foreign })
    }

    /// Replaces the facts. Fields of a newer version stay, except those that the new facts change.
    #[must_use]
    pub fn with(self, id: &InstanceId, facts: Vec<Fact>) -> Option<Self> {
        let instance = fold(id, &facts)?;
        let mut foreign = self.foreign;
        if foreign.is_empty() {
            return Some(Self { instance, facts, foreign });
        }
        let before = fold(id, &self.facts).map(|instance| fields_of(&instance)).unwrap_or_default();
        let mut whole = fields_of(&instance);
        foreign.retain(|name, _| text_of(&before, name) == text_of(&whole, name));
        whole.extend(foreign.clone());
        let text = serde_json::to_string(&whole).ok()?;
        let shown = serde_json::from_slice(text.as_bytes()).unwrap_or(instance);
        Some(Self { instance: shown, facts, foreign })
    }

    /// The metadata of the key, which listings return: the instance, and as many fields of a newer version as fit.
    pub fn metadata(&self) -> Result<String, serde_json::Error> {
        let listed = self.instance.clone().listed();
        let mut text = serde_json::to_string(&listed)?;
        let mut fields = fields_of(&listed);
        for (name, value) in &self.foreign {
            if value.get().starts_with(['{', '[']) {
                continue;
            }
            let before = fields.insert(name.clone(), value.clone());
            let longer = serde_json::to_string(&fields)?;
            if longer.len() <= METADATA_LIMIT {
                text = longer;
            } else if let Some(before) = before {
                fields.insert(name.clone(), before);
            } else {
                fields.remove(name);
            }
        }
        Ok(text)
    }
}

/// The largest metadata that KV stores, in bytes.
const METADATA_LIMIT: usize = 1024;

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Stored<'a> {
            #[serde(flatten)]
            instance: Fields,
            facts: &'a [Fact],
        }
        let mut instance = fields_of(&self.instance);
        instance.extend(self.foreign.clone());
        Stored { instance, facts: &self.facts }.serialize(serializer)
    }
}
