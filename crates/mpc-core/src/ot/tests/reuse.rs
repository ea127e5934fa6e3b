//! Correlations are used once and shown to nobody.

use std::collections::HashSet;

use super::harness::{DEPTHS, Functionality, Real, binding, functionalities, rng};
use crate::ot::{
    AwaitingSeeds, ExtensionReceiver, ExtensionSender, OleReceiver, OleShape, OtError,
    RandomOtsReceiver, RandomOtsSender, TreeDepth, ole,
};

/// Does not compile for a type that is Clone: both implementations would apply.
macro_rules! assert_not_clone {
    ($($t:ty),*) => {$({
        trait Ambiguous<Marker> { fn check() {} }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct IsClone;
        impl<T: ?Sized + Clone> Ambiguous<IsClone> for T {}
        <$t as Ambiguous<_>>::check();
    })*};
}

#[test]
fn nothing_with_a_secret_is_clone() {
    assert_not_clone!(
        AwaitingSeeds,
        ExtensionReceiver,
        ExtensionSender,
        RandomOtsReceiver,
        RandomOtsSender,
        OleReceiver
    );
}

/// Fails if a second extension starts at the stream positions or hash tweaks of the first.
#[test]
fn pads_never_repeat_within_a_session() {
    for mut f in functionalities(41) {
        let mut seen = HashSet::new();
        let mut choices = Vec::new();
        let mut total = 0;
        for count in [256, 256, 1, 1000, 256] {
            let (a, b) = f.random_transfers(count);
            choices.push(a.choices().to_vec());
            seen.extend(b.pads().iter().flatten().copied());
            total += 2 * count;
        }
        assert_eq!(seen.len(), total, "{}: a pad repeats", f.name());
        assert_ne!(choices[0], choices[1], "{}: choice bits repeat", f.name());
    }
}

/// The same, seen from the wire: equal corrections of two calls would reveal the XOR of A's inputs.
#[test]
fn two_extensions_never_send_the_same_masks() {
    for depth in DEPTHS {
        let mut real = Real::new(depth, 42);
        let (_, first) = real.a.extend(1000).expect("the count is in range");
        let (_, second) = real.a.extend(1000).expect("the count is in range");
        assert_eq!((first.first_block, second.first_block), (0, 9));
        assert!(first.corrections.iter().zip(&second.corrections).all(|(a, b)| a != b));
        assert_ne!(first.choice_hash, second.choice_hash);
        assert_ne!(first.column_digest, second.column_digest);
    }
}

#[test]
fn equal_inputs_give_fresh_messages_and_shares() {
    let shape = OleShape::new(20, 3, 62).expect("valid dimensions");
    let mut real = Real::new(TreeDepth::Four, 43);
    let mut run = || {
        let (a, b) = real.random_transfers(shape.ots_needed());
        let (choices, _) = ole::choose(&[5; 60], shape, a).expect("operands are in range");
        let (corrections, b) = ole::respond(&[[7, 8]; 60], shape, b, &choices).expect("same batch");
        (choices, corrections, b)
    };
    let (first, second) = (run(), run());
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert!(first.2.iter().zip(second.2.iter()).all(|(a, b)| a != b), "a share repeats");
}

#[test]
fn a_pool_hands_out_each_transfer_once() {
    for mut f in functionalities(44) {
        let (mut a, mut b) = f.random_transfers(1000);
        let all = b.pads().to_vec();
        let mut pieces = Vec::new();
        for n in [1, 400, 0, 599] {
            let (x, y) = (a.take(n).expect("enough left"), b.take(n).expect("enough left"));
            assert_eq!((x.len(), y.len(), x.position()), (n, n, y.position()));
            assert!(
                x.pads()
                    .iter()
                    .zip(x.choices())
                    .zip(y.pads())
                    .all(|((p, &c), q)| { *p == q[usize::from(c)] })
            );
            pieces.extend_from_slice(y.pads());
        }
        assert_eq!(pieces, all, "{}", f.name());
        assert!(a.is_empty() && b.is_empty());
        let none = OtError::Exhausted { needed: 1, available: 0 };
        assert_eq!((a.take(1).err(), b.take(1).err()), (Some(none), Some(none)));
    }
}

#[test]
fn a_short_pool_refuses_and_stays_as_it_is() {
    for mut f in functionalities(45) {
        let (mut a, mut b) = f.random_transfers(10);
        let short = Some(OtError::Exhausted { needed: 11, available: 10 });
        assert_eq!((a.take(11).err(), b.take(11).err()), (short, short));
        assert_eq!((a.len(), b.len()), (10, 10));
        assert_eq!(a.take(usize::MAX).err().map(OtError::code), Some("ot-exhausted"));
        assert!(a.take(10).is_ok() && b.take(10).is_ok());
    }
}

#[test]
fn pools_join_in_sequence_only() {
    for mut f in functionalities(46) {
        let (mut a, mut b) = f.random_transfers(100);
        let (a2, b2) = f.random_transfers(50);
        let (a3, b3) = f.random_transfers(50);
        let tail = b2.pads().to_vec();
        let gap = Some(OtError::OutOfStep { expected: 100, found: 150 });
        assert_eq!((a.append(a3).err(), b.append(b3).err()), (gap, gap), "{}", f.name());
        assert!(a.take(30).is_ok() && b.take(30).is_ok());
        assert!(a.append(a2).is_ok() && b.append(b2).is_ok());
        assert_eq!((a.len(), b.len(), a.position(), b.position()), (120, 120, 30, 30));
        assert_eq!(&b.pads()[70..], tail);
        for ((pad, &c), pads) in a.pads().iter().zip(a.choices()).zip(b.pads()) {
            assert_eq!(*pad, pads[usize::from(c)]);
        }
    }
}

/// What is handed out is wiped in the pool it came from.
#[test]
fn taken_transfers_are_wiped() {
    let (mut a, mut b) = Real::new(TreeDepth::Four, 47).random_transfers(64);
    let _ = (a.take(40).expect("enough left"), b.take(40).expect("enough left"));
    assert!(a.wiped_front().iter().all(|&p| p == 0) && a.wiped_front().len() == 40);
    assert!(b.wiped_front().iter().all(|&p| p == [0, 0]) && b.wiped_front().len() == 40);
}

/// Debug shows sizes and positions: for every secret there is, its digits do not occur.
#[test]
fn debug_shows_no_secret() {
    let mut r = rng(48);
    let (waiting, request) = ExtensionSender::start(&binding(1), TreeDepth::Four, &mut r);
    let (mut a, reply) = ExtensionReceiver::start(&binding(1), TreeDepth::Four, &request, &mut r);
    let waiting_text = format!("{waiting:?} {waiting:#?}");
    let mut b = waiting.finish(&reply).expect("A is honest");
    let delta = b.delta();
    let (ots_a, message) = a.extend(9).expect("the count is in range");
    let ots_b = b.extend(9, &message).expect("A is honest");
    let secrets: Vec<u128> = [delta, !delta]
        .into_iter()
        .chain(ots_a.pads().iter().copied())
        .chain(ots_b.pads().iter().flatten().copied())
        .collect();
    let mut text = format!("{waiting_text} {a:?} {b:?} {ots_a:?} {ots_b:?}");
    let shape = OleShape::new(1, 1, 62).expect("valid dimensions");
    let (_, state) = ole::choose(&[-200], shape, ots_a).expect("operands are in range");
    text += &format!("{state:?} {state:#?}");
    assert!(text.contains("ExtensionSender") && text.contains("position: 0, len: 9"));
    for secret in secrets {
        for digits in [format!("{secret}"), format!("{secret:x}"), format!("{secret:X}")] {
            assert!(!text.contains(&digits), "a secret in {text}");
        }
    }
    // Byte lists and bit lists of a secret would show as brackets.
    assert!(!text.contains('['), "{text}");
}
