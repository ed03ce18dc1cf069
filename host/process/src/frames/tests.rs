use llm_bench_core::ErrorKind;

use super::*;

#[test]
fn messages_follow_each_other_and_end_between_two() {
    let mut frames = Vec::new();
    append(&mut frames, &1_u64).unwrap();
    append(&mut frames, &2_u64).unwrap();
    let (mut reader, mut frame) = (frames.as_slice(), Vec::new());
    for expected in [1, 2] {
        assert_eq!(read::<u64>(&mut reader, &mut frame, || MAX_MESSAGE_BYTES).unwrap(), Some(expected));
    }
    assert!(read::<u64>(&mut reader, &mut frame, || MAX_MESSAGE_BYTES).unwrap().is_none());
}

#[test]
fn what_is_cut_short_too_long_or_no_message_is_an_error_and_takes_no_memory() {
    let mut whole = Vec::new();
    append(&mut whole, &1_u64).unwrap();
    for length in 1..whole.len() {
        assert!(
            read::<u64>(&mut &whole[..length], &mut Vec::new(), || MAX_MESSAGE_BYTES).is_err(),
            "{length} bytes"
        );
    }
    let too_long = u32::MAX.to_le_bytes();
    assert!(read::<u64>(&mut too_long.as_slice(), &mut Vec::new(), || MAX_MESSAGE_BYTES).is_err());
    let mut frame = Vec::new();
    let promised = [&u32::to_le_bytes(200 << 20)[..], &[0; 10]].concat();
    assert!(read::<u64>(&mut promised.as_slice(), &mut frame, || MAX_MESSAGE_BYTES).is_err());
    assert!(frame.capacity() < 1 << 20, "{} bytes were taken", frame.capacity());
    assert!(
        read::<u64>(&mut [&[4, 0, 0, 0][..], &[0xc1; 4]].concat().as_slice(), &mut frame, || {
            MAX_MESSAGE_BYTES
        })
        .is_err()
    );
}

#[test]
fn a_message_that_is_too_long_is_refused_by_name_and_leaves_the_others() {
    let mut frames = Vec::new();
    append(&mut frames, &1_u64).unwrap();
    let before = frames.clone();
    let error = append(&mut frames, &"x".repeat(MAX_MESSAGE_BYTES)).unwrap_err();
    assert_eq!((error.kind, &*error.code), (ErrorKind::TooLarge, "message-too-large"));
    assert_eq!(frames, before);
}
