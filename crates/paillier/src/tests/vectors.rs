//! Known answers, made by an independent program with big integers (`tests/vectors/README.md`).
//!
//! A line is an operation and `name=value` fields; values are decimal, or hexadecimal bytes in the order
//! of the wire. Negative vectors name the error that must come out.

use std::collections::HashMap;

use super::test_key;
use crate::fixtures::{encode_for_tests, encrypt_with_randomness};
use crate::*;

const VECTORS: &str = include_str!("../../tests/vectors/paillier.txt");
/// Vectors in the file; a test that reads none must not pass.
const COUNT: usize = 44;

struct Vector<'a> {
    line: usize,
    fields: HashMap<&'a str, &'a str>,
}

impl Vector<'_> {
    fn text(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("line {}: no {name}", self.line))
    }

    fn number(&self, name: &str) -> i128 {
        self.text(name).parse().unwrap_or_else(|_| panic!("line {}: {name}", self.line))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name)).unwrap_or_else(|_| panic!("line {}: {name}", self.line))
    }

    fn bits(&self) -> ModulusBits {
        ModulusBits::from_bits(self.number("bits") as u32).expect("a supported size")
    }

    fn key(&self) -> SecretKey {
        test_key(self.bits(), self.number("key") as usize)
    }

    fn ciphertexts(&self, name: &str) -> Ciphertexts {
        let key = self.key();
        let bytes = self.bytes(name);
        let count = bytes.len() / self.bits().ciphertext_bytes();
        Ciphertexts::decode(key.public(), &bytes, count)
            .unwrap_or_else(|e| panic!("line {}: {e}", self.line))
    }

    fn plaintext(&self, name: &str) -> Plaintext {
        Plaintext::from_le_bytes(self.key().public(), &self.bytes(name))
            .unwrap_or_else(|e| panic!("line {}: {e}", self.line))
    }

    fn expect(&self, name: &str, result: &Ciphertexts) {
        assert!(encode_for_tests(result) == self.bytes(name), "line {}: {name}", self.line);
    }

    fn run(&self, operation: &str) {
        match operation {
            "modulus" => assert_eq!(self.key().public().to_bytes(), self.bytes("n")),
            "encrypt" => {
                let (key, r) = (self.key(), self.bytes("r"));
                let c = encrypt_with_randomness(key.public(), self.plaintext("m"), &r);
                self.expect("c", &c.expect("r is below N"));
            }
            "decrypt" => {
                let m = self.key().decrypt(&self.ciphertexts("c")).expect("the same key");
                assert_eq!(*m[0].to_le_bytes(), self.bytes("m"), "line {}", self.line);
            }
            "add" => self.expect("c", &self.ciphertexts("a").add(&self.ciphertexts("b")).unwrap()),
            "sub" => self.expect("c", &self.ciphertexts("a").sub(&self.ciphertexts("b")).unwrap()),
            "mul" => {
                let k = i32::try_from(self.number("k")).expect("a small number");
                self.expect("c", &self.ciphertexts("a").mul_small(&[k]).unwrap());
            }
            "add-plain" => {
                let m = self.plaintext("m");
                self.expect("c", &self.ciphertexts("a").add_plain(&[m]).unwrap());
            }
            "signed" => {
                let key = self.key();
                let m = Plaintext::from_signed(key.public(), self.number("value"), 128).unwrap();
                assert_eq!(*m.to_le_bytes(), self.bytes("m"), "line {}", self.line);
            }
            "digit" => {
                let index = self.number("index") as usize;
                let (slot, low) = (self.number("slot") as u32, self.number("low") as u32);
                let digit = self.plaintext("m").digit(index, slot, low);
                assert_eq!(digit, self.number("value") as u128, "line {}", self.line);
            }
            "decode" => {
                let count = self.number("count") as usize;
                let key = self.key();
                let result = Ciphertexts::decode(key.public(), &self.bytes("c"), count);
                let name = match result {
                    Ok(c) => {
                        self.expect("c", &c);
                        "none"
                    }
                    Err(DecodeError::Length { .. }) => "length",
                    Err(DecodeError::OutOfRange { .. }) => "range",
                    Err(DecodeError::NotCoprime) => "coprime",
                    Err(DecodeError::Index) => "index",
                };
                assert_eq!(name, self.text("error"), "line {}", self.line);
            }
            "proof" => {
                // A well-formed proof of another modulus: the modulus itself must be refused.
                let bits = self.bits();
                let zeros = vec![0; ModulusProof::encoded_len(bits)];
                let proof = ModulusProof::decode(bits, &zeros).expect("the right length");
                let name = match proof.verify(bits, &self.bytes("n"), &[0; 32]) {
                    Ok(_) => "none",
                    Err(KeyError::WrongLength) => "length",
                    Err(KeyError::SmallFactor) => "small-factor",
                    Err(KeyError::NotComposite) => "prime",
                    Err(KeyError::MalformedProof | KeyError::InvalidProof) => "proof",
                    Err(other) => panic!("line {}: {other}", self.line),
                };
                assert_eq!(name, self.text("error"), "line {}", self.line);
            }
            other => panic!("line {}: unknown operation {other}", self.line),
        }
    }
}

#[test]
fn known_answers() {
    let mut count = 0;
    for (i, line) in VECTORS.lines().enumerate() {
        let mut words = line.split_whitespace();
        let Some(operation) = words.next().filter(|word| !word.starts_with('#')) else { continue };
        let fields = words.map(|word| word.split_once('=').expect("name=value")).collect();
        Vector { line: i + 1, fields }.run(operation);
        count += 1;
    }
    assert_eq!(count, COUNT, "vectors were lost or added");
}
