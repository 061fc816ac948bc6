//! Who outlived the last leader, and goes on with this one.

use super::check;

#[test]
fn p5_an_attachment_of_before_keeps_its_number_and_the_highest_that_is_heard_of_wins() {
    check(
        1,
        &[
            ("revalidate 7 0#7", "attached 7 0#7"),
            ("revalidate 7 0#7", "attached 7 0#7"), // its member came back to us
            ("revalidate 7 0#6", "no session 7"),   // it had moved away from there
            ("revalidate 7 0#8", "attached 7 0#8"),
            ("7 0#7 set /", "1.1 7 -118"),
            ("attach 7 | revalidate 7 0#8", "attached 7 1#1 | no session 7"),
            ("revalidate 8 9#1", "no session 8"), // nobody gave that number
            ("revalidate 99 0#1", "no session 99"),
            ("8 0#1 close | revalidate 8 0#1", "1.2 8 close  | no session 8"),
        ],
    );
}
