//! What a picture is, by its first bytes: what somebody says that it is, anybody can say.

/// The media type of a PNG, a JPEG or a WebP; none of anything else.
pub fn kind(bytes: &[u8]) -> Option<&'static str> {
    let chunk = |at: usize, expected: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(expected));
    if chunk(0, b"\x89PNG\r\n\x1a\n") && chunk(12, b"IHDR") {
        Some("image/png")
    } else if chunk(0, b"\xff\xd8\xff") && bytes.len() > 20 {
        Some("image/jpeg")
    } else if chunk(0, b"RIFF") && chunk(8, b"WEBPVP8") {
        Some("image/webp")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn a_picture_is_known_by_its_content() {
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &[0; 20]].concat();
        let jpeg = [b"\xff\xd8\xff\xe0\0\x10JFIF\0".as_slice(), &[0; 20]].concat();
        let webp = [b"RIFF\x24\0\0\0WEBPVP8 ".as_slice(), &[0; 20]].concat();
        assert_eq!([&png, &jpeg, &webp].map(|bytes| kind(bytes)), [Some("image/png"), Some("image/jpeg"), Some("image/webp")]);
        for bytes in [
            b"".as_slice(),
            b"GIF89a",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"<html>",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"RIFF\x24\0\0\0WAVEfmt ",
        ] {
            assert_eq!(kind(bytes), None, "{bytes:?}");
        }
    }
}
