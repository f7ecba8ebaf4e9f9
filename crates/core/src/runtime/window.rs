//! A limit of how often something is done within a minute.

/// The length of a slot, in milliseconds.
const SLOT: u64 = 10_000;
/// The slots of a minute, and the one that has begun: no minute is longer than they are together.
const SLOTS: usize = 7;

/// Counts in slots of ten seconds. No minute, wherever it begins, has more than the limit.
#[derive(Debug, Default, Clone)]
pub struct Window {
    /// The number of each slot, and how often it was done in it.
    slots: [(u64, u32); SLOTS],
}

impl Window {
    /// Takes up to `wanted` permits. Returns how many there were, or else for how many milliseconds there is none.
    pub fn take(&mut self, now_millis: u64, wanted: u32, limit: u32) -> Result<u32, u64> {
        let present = now_millis / SLOT;
        let is_counted = |slot: u64| slot <= present && present - slot < SLOTS as u64;
        let used: u32 = self.slots.iter().filter(|(slot, _)| is_counted(*slot)).map(|(_, count)| count).sum();
        let granted = wanted.min(limit.saturating_sub(used));
        if granted == 0 {
            let oldest =
                self.slots.iter().filter(|(slot, count)| is_counted(*slot) && *count > 0).map(|(slot, _)| slot);
            let ends = oldest.min().map_or(present + 1, |slot| slot + SLOTS as u64) * SLOT;
            return Err(ends - now_millis);
        }
        let index = usize::try_from(present % SLOTS as u64).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(index) {
            let before = if slot.0 == present { slot.1 } else { 0 };
            *slot = (present, before + granted);
        }
        Ok(granted)
    }

    /// Until when the permits count that are taken now, in milliseconds of Unix time.
    #[must_use]
    pub fn slot_ends(now_millis: u64) -> u64 {
        (now_millis / SLOT + 1) * SLOT
    }
}

#[cfg(test)]
mod tests;
