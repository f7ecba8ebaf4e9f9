use super::*;
use crate::testing::jws::{GENUINE_KEY, INVENTED_KEY, PUBLIC_KEY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const EC: &str = include_str!("../../../testdata/ec.pub.pem");
const RSA_1024: &str = include_str!("../../../testdata/rsa1024.pub.pem");
const RSA_PSS: &str = include_str!("../../../testdata/rsa_pss.pub.pem");
const PRIVATE: &str = include_str!("../../../testdata/webhook_key.pem");

/// The base64 between BEGIN and END, with its line breaks.
fn base64_of(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n")
}

fn one(text: &str) -> PublicKey {
    let keys = PublicKey::parse_all(text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
    assert_eq!(keys.len(), 1, "{text}");
    keys[0].clone()
}

fn expected(pem: &str) -> Vec<u8> {
    STANDARD.decode(base64_of(pem).replace('\n', "")).unwrap()
}

#[test]
fn a_key_is_read_in_every_pasted_form() {
    for pem in [GENUINE_KEY, INVENTED_KEY, PUBLIC_KEY] {
        let bare = base64_of(pem);
        let one_line = pem.trim().replace('\n', "\\n");
        let pastes = [
            pem.to_owned(),
            pem.trim().to_owned(),
            format!("\n\n  {pem}\n "),
            pem.replace('\n', "\r\n"),
            pem.lines().flat_map(|line| ["    ", line, "  \n"]).collect(),
            one_line.clone(),
            format!("{one_line}\\n"),
            pem.trim().replace('\n', "\\r\\n"),
            format!("\"{one_line}\""),
            format!("'{one_line}'"),
            format!("\"{pem}\""),
            format!(" \"{one_line}\" \n"),
            pem.trim().replace('\n', " "),
            STANDARD.encode(pem),
            STANDARD.encode(pem.replace('\n', "\r\n")),
            STANDARD
                .encode(pem)
                .as_bytes()
                .chunks(76)
                .flat_map(|line| {
                    [
                        str::from_utf8(line).unwrap(),
                        "
",
                    ]
                })
                .collect(),
            format!("\"{}\"", STANDARD.encode(pem)),
            bare.clone(),
            bare.replace('\n', ""),
            bare.replace('\n', "\r\n"),
            bare.replace('\n', "\\n"),
            // Escaped twice, as in JSON within JSON.
            pem.trim().replace('\n', "\\\\n"),
            pem.trim().replace('\n', "\\\\r\\\\n"),
            bare.replace('\n', "").trim_end_matches('=').to_owned(),
            bare.replace('\n', "").replace('+', "-").replace('/', "_"),
            STANDARD.encode(pem).trim_end_matches('=').to_owned(),
            format!("{},", bare.replace('\n', "")),
        ];
        for paste in pastes {
            assert_eq!(one(&paste).der(), expected(pem), "{paste}");
        }
    }
}

#[test]
fn several_keys_are_read_in_their_order() {
    let bare = |pem: &str| base64_of(pem).replace('\n', "");
    let one_line = |pem: &str| pem.trim().replace('\n', "\\n");
    for text in [
        format!("{GENUINE_KEY}{INVENTED_KEY}"),
        format!("{GENUINE_KEY}\n\n{INVENTED_KEY}\n"),
        format!("{}{}", GENUINE_KEY.trim(), INVENTED_KEY.trim()),
        format!("{GENUINE_KEY},{INVENTED_KEY}"),
        format!("{},{}", one_line(GENUINE_KEY), one_line(INVENTED_KEY)),
        format!("\"{}\", \"{}\"", one_line(GENUINE_KEY), one_line(INVENTED_KEY)),
        format!("{},\n{},", bare(GENUINE_KEY), bare(INVENTED_KEY)),
        format!("{},{}", STANDARD.encode(GENUINE_KEY), bare(INVENTED_KEY)),
        STANDARD.encode(format!("{GENUINE_KEY}{INVENTED_KEY}")),
    ] {
        let keys = PublicKey::parse_all(&text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
        let ders: Vec<&[u8]> = keys.iter().map(PublicKey::der).collect();
        assert_eq!(ders, [expected(GENUINE_KEY), expected(INVENTED_KEY)], "{text}");
    }
}

#[test]
fn an_unusable_key_is_refused_without_quoting_it() {
    let lines: Vec<&str> = PUBLIC_KEY.lines().collect();
    let bare = base64_of(PUBLIC_KEY).replace('\n', "");
    let without_a_line = format!("{}\n{}\n{}\n", lines[0], lines[2..7].join("\n"), lines[8]);
    let altered = PUBLIC_KEY.replacen("MIIB", "AAAA", 1);
    for (text, reason) in [
        (PRIVATE.to_owned(), "private"),
        (STANDARD.encode(PRIVATE), "private"),
        (PRIVATE.replace("PRIVATE", "RSA PRIVATE"), "private"),
        (format!("{PUBLIC_KEY}{PRIVATE}"), "private"),
        (EC.to_owned(), "must be an RSA key"),
        (base64_of(EC), "must be an RSA key"),
        (RSA_PSS.to_owned(), "must be an RSA key"),
        (RSA_1024.to_owned(), "2048"),
        (base64_of(RSA_1024), "2048"),
        (format!("{PUBLIC_KEY},{RSA_1024}"), "2048"),
        (without_a_line, "altered or cut off"),
        (altered, "altered or cut off"),
        (lines[..5].join("\n"), "END line is missing"),
        ("-----BEGIN PUBLIC KEY".to_owned(), "BEGIN line is cut off"),
        (PUBLIC_KEY.replace("PUBLIC KEY", "CERTIFICATE"), "first line"),
        (PUBLIC_KEY.replace("PUBLIC KEY", "RSA PUBLIC KEY"), "first line"),
        (bare[..bare.len() - 5].to_owned(), "altered or cut off"),
        (bare[..bare.len() - 8].to_owned(), "altered or cut off"),
        (bare.replace('I', "*"), "must be PEM or base64"),
        ("https://example.com/key".to_owned(), "must be PEM or base64"),
        (STANDARD.encode("hello"), "altered or cut off"),
        (String::new(), "empty"),
        (" \n ,, ".to_owned(), "empty"),
        ("\"\"".to_owned(), "empty"),
    ] {
        let problem = PublicKey::parse_all(&text).expect_err(reason).to_string();
        assert!(problem.contains(reason), "{problem} must have {reason}: {text}");
        // The problem must not have eight characters of the pasted text, apart from its PEM lines.
        let body: String = text.lines().filter(|line| !line.contains("-----") && !line.contains("http")).collect();
        let is_quoted =
            body.as_bytes().windows(8).any(|part| problem.as_bytes().windows(8).any(|quoted| quoted == part));
        assert!(!is_quoted, "{problem} quotes a part of {text}");
    }
}

#[test]
fn a_signature_is_as_long_as_its_key() {
    assert_eq!(one(PUBLIC_KEY).signature_len(), 256);
}

/// A DER value with a length of two bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, length[0], length[1]][..], content].concat()
}

/// A DER value with a length of one byte.
fn short(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
}

/// An RSA key of 2048 bits with this exponent and this last byte of its modulus.
fn rsa_key(exponent: &[u8], last: u8) -> String {
    let mut modulus = vec![0x91; 256];
    modulus[255] = last;
    let key = der(0x30, &[der(0x02, &[&[0][..], &modulus].concat()), short(0x02, exponent)].concat());
    let algorithm = [short(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]), vec![5, 0]].concat();
    let info = [short(0x30, &algorithm), der(0x03, &[&[0][..], &key].concat())].concat();
    STANDARD.encode(der(0x30, &info))
}

#[test]
fn an_insecure_rsa_key_is_refused() {
    for exponent in [&[3][..], &[1, 0, 1]] {
        assert_eq!(PublicKey::parse_all(&rsa_key(exponent, 0x91)).map(|keys| keys.len()), Ok(1), "{exponent:?}");
    }
    for (exponent, last) in [(&[1][..], 0x91), (&[2], 0x91), (&[1, 0, 0], 0x91), (&[1, 0, 1], 0x90)] {
        let problem = PublicKey::parse_all(&rsa_key(exponent, last)).unwrap_err();
        assert_eq!(problem, PublicKeyError::Insecure, "{exponent:?}");
    }
}
