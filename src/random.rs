//! Random bytes of the runtime's, asked for many at a time. None is given out twice, nor kept once it is given out.

use std::cell::RefCell;

/// Bytes asked for at once: a request needs 16 or 32.
const SUPPLY: usize = 1024;

thread_local! {
    static LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub fn fill(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    if bytes.len() > SUPPLY {
        return getrandom::fill(bytes);
    }
    LEFT.with_borrow_mut(|left| {
        if left.len() < bytes.len() {
            left.resize(SUPPLY, 0);
            if let Err(error) = getrandom::fill(left) {
                left.clear();
                return Err(error);
            }
        }
        let rest = left.len() - bytes.len();
        bytes.copy_from_slice(left.get(rest..).unwrap_or_default());
        if let Some(given) = left.get_mut(rest..) {
            given.fill(0);
        }
        left.truncate(rest);
        Ok(())
    })
}
