//! Masking (RFC 6455 §5.3): XOR with a repeating key of four bytes.
//!
//! The caller supplies the keys, from a source that a peer cannot predict (§10.3).

/// The four bytes of a masking key, in wire order.
pub type MaskKey = [u8; 4];

/// Masks or unmasks `payload` in place; both are the same operation. `offset` is the position of
/// its first byte in the frame's payload, so a payload can be unmasked piece by piece.
///
/// Works on eight bytes at a time, which the compiler vectorizes: it runs at the speed of memory,
/// without `unsafe`. `benches/README.md` shows how much slower `key[i & 3]` byte by byte is.
pub fn apply(payload: &mut [u8], key: MaskKey, offset: u64) {
    // The key, rotated to the byte at `offset`.
    let key = u32::from_le_bytes(key).rotate_right(8 * (offset % 4) as u32);
    let wide_key = u64::from(key) << 32 | u64::from(key);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ wide_key).to_le_bytes();
    }
    for (byte, key_byte) in rest.iter_mut().zip(wide_key.to_le_bytes()) {
        *byte ^= key_byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6455 §5.3, word by word: octet i of the transformed data is the XOR of octet i of the
    /// original with octet i modulo 4 of the key.
    fn naive(payload: &mut [u8], key: MaskKey, offset: u64) {
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[((i as u64 + offset) % 4) as usize];
        }
    }

    #[test]
    fn hello_is_unmasked_as_in_section_5_7() {
        let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
        assert_eq!(&payload, b"Hello");
    }

    proptest! {
        #[test]
        fn fast_masking_is_the_naive_one(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            key: [u8; 4],
            offset in 0u64..9,
            start in 0usize..9,
        ) {
            let start = start.min(bytes.len());
            let (mut fast, mut slow) = (bytes.clone(), bytes.clone());
            apply(&mut fast[start..], key, offset);
            naive(&mut slow[start..], key, offset);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn masking_in_pieces_is_masking_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            key: [u8; 4],
            cuts in proptest::collection::vec(0usize..200, 0..5),
        ) {
            let mut whole = bytes.clone();
            apply(&mut whole, key, 0);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut pieces = bytes.clone();
            for pair in cuts.windows(2) {
                apply(&mut pieces[pair[0]..pair[1]], key, pair[0] as u64);
            }
            prop_assert_eq!(pieces, whole);
        }
    }
}
