//! Some thousand responses that are nearly a good one: whatever is still taken, says what was signed.

use super::provider::{Style, assertion, response, sign};
use super::{carol, read};
use crate::response::Answer;

/// Pieces that change what is read, if anything does.
const PIECES: [&str; 16] = [
    "<!-- -->",
    "<![CDATA[dave]]>",
    "<?x y?>",
    "&#x64;",
    "&amp;",
    " ID=\"_a1\"",
    " xmlns:saml=\"urn:other\"",
    " xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
    "<saml:NameID Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:persistent\">dave</saml:NameID>",
    "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">",
    "</saml:Assertion>",
    "<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">",
    "</ds:Object>",
    "\u{feff}",
    "\u{0}",
    "\r\n",
];

/// Numbers that are the same in each run (Steele and Vigna's SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((value ^ (value >> 31)) % end.max(1) as u64) as usize
    }

    /// A place in a text, mostly where a tag begins: there edits do most.
    fn place(&mut self, text: &str) -> usize {
        let tags: Vec<usize> = text.match_indices(['<', '>', '"']).map(|(at, _)| at).collect();
        let at = if self.below(4) > 0 && !tags.is_empty() { tags[self.below(tags.len())] } else { self.below(text.len() + 1) };
        (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
    }

    fn edited(&mut self, text: &str) -> String {
        let (mut from, mut until) = (self.place(text), self.place(text));
        if from > until {
            std::mem::swap(&mut from, &mut until);
        }
        let (before, part, after) = (&text[..from], &text[from..until], &text[until..]);
        match self.below(4) {
            0 => format!("{before}{}{part}{after}", PIECES[self.below(PIECES.len())]),
            1 => format!("{before}{after}"),
            // A part is repeated, or moves: what wrapping is made of.
            2 => {
                let to = self.place(text);
                format!("{}{part}{}", &text[..to], &text[to..])
            }
            _ => {
                let rest = format!("{before}{after}");
                let to = self.place(&rest);
                format!("{}{part}{}", &rest[..to], &rest[to..])
            }
        }
    }
}

#[tokio::test]
async fn whatever_is_taken_says_what_was_signed() {
    let style = Style::default();
    let good = [response(&sign(&assertion(), &style)), sign(&response(&assertion()), &style)];
    let mut numbers = Numbers(7);
    let mut taken = 0;
    for n in 0..3000 {
        let mut text = good[n % 2].clone();
        for _ in 0..=numbers.below(3) {
            text = numbers.edited(&text);
        }
        if let Ok(answer) = read(&text).await {
            assert_eq!(answer, Answer::Person(carol()), "{text}");
            taken += 1;
        }
    }
    // Edits that change nothing are among them, or this would show nothing.
    assert!(taken > 10, "{taken}");
}
