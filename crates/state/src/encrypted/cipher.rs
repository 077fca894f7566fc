//! AES in Galois/counter mode: nonce, ciphertext and tag in one text. The only place that knows the
//! library behind it.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, Generate};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce};

const NONCE: usize = 12;

/// A key that is ready for use. The length of the key is the kind of cipher.
pub(super) enum Cipher {
    Short(Box<Aes128Gcm>),
    Middle(Box<AesGcm<Aes192, U12>>),
    Long(Box<Aes256Gcm>),
}

impl Cipher {
    /// None unless there are 16, 24 or 32 bytes.
    pub(super) fn try_new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Some(Self::Short(Box::new(KeyInit::new_from_slice(key).ok()?))),
            24 => Some(Self::Middle(Box::new(KeyInit::new_from_slice(key).ok()?))),
            32 => Some(Self::Long(Box::new(KeyInit::new_from_slice(key).ok()?))),
            _ => None,
        }
    }

    /// None if the machine has no random numbers, or for more bytes than one nonce may cover.
    pub(super) fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let nonce = Nonce::<U12>::try_generate().ok()?;
        let sealed = match self {
            Self::Short(cipher) => cipher.encrypt(&nonce, plain),
            Self::Middle(cipher) => cipher.encrypt(&nonce, plain),
            Self::Long(cipher) => cipher.encrypt(&nonce, plain),
        };
        Some([&nonce[..], &sealed.ok()?].concat())
    }

    /// None if the bytes were not sealed with this key, or changed since.
    pub(super) fn open(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE>()?;
        let nonce = Nonce::<U12>::from(*nonce);
        let opened = match self {
            Self::Short(cipher) => cipher.decrypt(&nonce, sealed),
            Self::Middle(cipher) => cipher.decrypt(&nonce, sealed),
            Self::Long(cipher) => cipher.decrypt(&nonce, sealed),
        };
        opened.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_vector_opens() {
        // Test case 2 of the paper that defined the mode: zero key, zero nonce, one zero block.
        let sealed = [
            0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3, 0x28, 0xc2, 0xb9, 0x71, 0xb2,
            0xfe, 0x78, 0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec, 0x13, 0xbd, 0xf5, 0x3a, 0x67, 0xb2,
            0x12, 0x57, 0xbd, 0xdf,
        ];
        let bytes = [&[0u8; 12][..], &sealed].concat();
        let cipher = Cipher::try_new(&[0; 16]).unwrap();
        assert_eq!(cipher.open(&bytes), Some(vec![0; 16]));
    }

    #[test]
    fn every_length_of_key_goes_both_ways() {
        for length in [16, 24, 32] {
            let cipher = Cipher::try_new(&vec![7; length]).unwrap();
            let mut sealed = cipher.seal(b"secret").unwrap();
            assert_eq!(sealed.len(), 12 + 6 + 16);
            assert_ne!(sealed, cipher.seal(b"secret").unwrap());
            assert_eq!(cipher.open(&sealed).as_deref(), Some(&b"secret"[..]));
            sealed[20] ^= 1;
            assert_eq!(cipher.open(&sealed), None);
            assert_eq!(cipher.open(&sealed[..5]), None);
        }
        assert!(Cipher::try_new(&[0; 20]).is_none());
    }
}
