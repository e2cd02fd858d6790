//! Words cost less than what a machine drew.

use super::bits_per_pair;

#[test]
fn words_cost_less_than_what_a_machine_drew() {
    for word in [
        "my_secret_name",
        "passwordResetTokenField",
        "correct-horse-battery-staple",
        "io.kubernetes.service-account-token",
        "base64_encoded_string_value1",
    ] {
        assert!(bits_per_pair(word.as_bytes()) < 4.5, "{word}");
    }
    for drawn in ["xK9mP2vQ7rTz4LbW", "q8zjx0vkw3hgfp2m", "ZX0QJ7KVWB3HPY9D"] {
        assert!(bits_per_pair(drawn.as_bytes()) > 5.0, "{drawn}");
    }
}

#[test]
fn nothing_is_too_short_or_too_strange() {
    assert!(bits_per_pair(b"").abs() < f32::EPSILON);
    assert!(bits_per_pair(b"a").abs() < f32::EPSILON);
    assert!(bits_per_pair(&[0xff; 4096]) > 0.0);
}
