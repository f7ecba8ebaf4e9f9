use super::Window;

#[test]
fn no_minute_has_more_than_the_limit_wherever_it_begins() {
    let (mut window, mut taken) = (Window::default(), Vec::new());
    for now in (0..600_000_u64).step_by(137) {
        if window.take(now, 1, 200).is_ok() {
            taken.push(now);
        }
    }
    for start in (0..540_000).step_by(500) {
        let count = taken.iter().filter(|at| (start..start + 60_000).contains(*at)).count();
        assert!(count <= 200, "{count} from {start} on");
    }
    // Up to ten seconds of each minute are lost.
    assert!(taken.len() > 1_600, "{}", taken.len());
}

#[test]
fn a_refusal_says_when_the_next_permit_is() {
    let mut window = Window::default();
    assert_eq!(window.take(3_000, 200, 200), Ok(200));
    let Err(wait) = window.take(4_000, 1, 200) else { panic!("all were taken") };
    assert!(window.take(4_000 + wait - 1, 1, 200).is_err());
    assert_eq!(window.take(4_000 + wait, 1, 200), Ok(1));
}

#[test]
fn the_last_permits_are_fewer_than_wanted() {
    let mut window = Window::default();
    assert_eq!(window.take(0, 190, 200), Ok(190));
    assert_eq!(window.take(0, 32, 200), Ok(10));
}
