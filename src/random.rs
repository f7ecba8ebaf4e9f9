//! Random bytes from the runtime, fetched in blocks. A byte is used once, and erased when it is used.

use std::cell::RefCell;

/// The size of a block in bytes. A request needs 16 or 32 bytes.
const BLOCK: usize = 1024;

thread_local! {
    static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    if bytes.len() > BLOCK {
        return getrandom::fill(bytes);
    }
    UNUSED.with_borrow_mut(|unused| {
        if unused.len() < bytes.len() {
            unused.resize(BLOCK, 0);
            if let Err(error) = getrandom::fill(unused) {
                unused.clear();
                return Err(error);
            }
        }
        let rest = unused.len() - bytes.len();
        bytes.copy_from_slice(unused.get(rest..).unwrap_or_default());
        if let Some(used) = unused.get_mut(rest..) {
            used.fill(0);
        }
        unused.truncate(rest);
        Ok(())
    })
}
