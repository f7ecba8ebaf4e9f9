use super::{gzipped, without_names};

/// Magic number, a type section, a custom section, a code section of 200 bytes, the custom section `name`.
fn module(custom: &[u8]) -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0\x01\x01\0\0".to_vec();
    module.push(u8::try_from(custom.len() + 2).expect("short"));
    module.push(u8::try_from(custom.len()).expect("short"));
    module.extend_from_slice(custom);
    module.push(b'!');
    module.extend_from_slice(&[10, 0xc8, 0x01]);
    module.extend_from_slice(&[7; 200]);
    module
}

#[test]
fn names_are_removed_and_the_rest_is_unchanged() {
    let with = [module(b"target_features"), vec![0, 6, 4, b'n', b'a', b'm', b'e', 9]].concat();
    assert_eq!(without_names(&with).expect("wasm"), module(b"target_features"));
    assert_eq!(without_names(&module(b"producers")).expect("wasm").len(), module(b"").len() - 4);
}

#[test]
fn a_file_that_is_not_wasm_is_refused() {
    assert!(without_names(b"\0asm").is_err());
    assert!(without_names(b"GIF89a: a picture").is_err());
    let whole = module(b"x");
    assert!(without_names(&whole[..whole.len() - 1]).is_err());
    assert!(without_names(&[b"\0asm\x01\0\0\0".as_slice(), &[1, 0x80, 0x80, 0x80, 0x80, 0x80, 1]].concat()).is_err());
}

#[test]
fn repetition_compresses() {
    assert!(gzipped(&[7; 10_000]).expect("in memory") < 100);
}
