use super::*;

const OGG: &str = "application/ogg";

#[test]
fn every_mark_is_recognised() {
    let table: [(&[u8], &str); 31] = [
        (b"%PDF-1.7", "application/pdf"),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"\x00\x00\x01\x00rest", "image/x-icon"),
        (b"\x00\x00\x02\x00rest", "image/x-icon"),
        (b"BMrest", "image/bmp"),
        (b"GIF87a..", "image/gif"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x01\x02\x03\x04WEBPVP8 ", "image/webp"),
        (b"\x89PNG\r\n\x1a\n\0", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"FORM\x01\x02\x03\x04AIFF", "audio/aiff"),
        (b"ID3\x04", "audio/mpeg"),
        (b"OggS\0\x02", OGG),
        (b"MThd\0\0\0\x06\0", "audio/midi"),
        (b"RIFF\x01\x02\x03\x04AVI LIST", "video/avi"),
        (b"RIFF\x01\x02\x03\x04WAVEfmt ", "audio/wave"),
        (b"\x1a\x45\xdf\xa3\x01", "video/webm"),
        (b"\x00\x01\x00\x00\x00\x0f", "font/ttf"),
        (b"OTTO\0", "font/otf"),
        (b"ttcf\0", "font/collection"),
        (b"wOFF\0", "font/woff"),
        (b"wOF2\0", "font/woff2"),
        (b"\x1f\x8b\x08\0", "application/x-gzip"),
        (b"PK\x03\x04\x14", "application/zip"),
        (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
        (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
        (b"\0asm\x01\0\0\0", "application/wasm"),
        (b"\xfe\xff\0a", "text/plain; charset=utf-16be"),
        (b"\xff\xfea\0", "text/plain; charset=utf-16le"),
        (b"\xef\xbb\xbfa", TEXT),
        (b"\xef\xbb\xbf\x01", TEXT),
    ];
    for (body, expected) in table {
        assert_eq!(content_type(body), expected, "{body:?}");
    }
}

#[test]
fn a_mark_cut_short_is_not_enough() {
    let table: [(&[u8], &str); 8] = [
        (b"%PDF", TEXT),
        (b"GIF88a", TEXT),
        (b"RIFF1234WAV", TEXT),
        (b"OggS", TEXT),
        (b"\xfe\xffa", TEXT),
        (b"\xff\xfe\x01", OCTETS),
        (b"\x89PNG\r\n\x1a", OCTETS),
        (b"\0as", OCTETS),
    ];
    for (body, expected) in table {
        assert_eq!(content_type(body), expected, "{body:?}");
    }
}

#[test]
fn every_html_tag_counts_in_any_case_behind_blanks() {
    for tag in HTML_TAGS {
        let upper = tag.to_ascii_uppercase();
        for (body, expected) in [
            ([tag, b">"].concat(), HTML),
            ([b" \t\r\n\x0c", &upper[..], b" x"].concat(), HTML),
            ([tag, b"\n"].concat(), TEXT),
            (tag.to_vec(), TEXT),
        ] {
            assert_eq!(content_type(&body), expected, "{body:?}");
        }
    }
}

#[test]
fn xml_counts_behind_blanks_but_not_in_capitals() {
    assert_eq!(content_type(b"<?xml version=\"1.0\"?>"), XML);
    assert_eq!(content_type(b"\n <?xml"), XML);
    assert_eq!(content_type(b"<?XML?>"), TEXT);
}

#[test]
fn what_has_no_mark_is_text_unless_a_byte_is_binary() {
    let table: [(&[u8], &str); 12] = [
        (b"", TEXT),
        (b"  ", TEXT),
        (b"{\"a\":1}", TEXT),
        ("grüß €".as_bytes(), TEXT),
        (b"\xff\x80", TEXT),
        (b"tab\tline\r\npage\x0c esc\x1b del\x7f", TEXT),
        (b"a\0", OCTETS),
        (b"a\x08", OCTETS),
        (b"\x0b", OCTETS),
        (b"\x0e", OCTETS),
        (b"\x1a", OCTETS),
        (b"\x1c", OCTETS),
    ];
    for (body, expected) in table {
        assert_eq!(content_type(body), expected, "{body:?}");
    }
}

#[test]
fn mp4_is_a_whole_file_type_box_with_such_a_brand() {
    let table: [(&[u8], &str); 8] = [
        (b"\0\0\0\x0cftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypisom\0\0\x02\0isommp41", "video/mp4"),
        (b"\0\0\0\x18ftypisom\0\0\x02\0isomavc1", OCTETS),
        // The brand stands where the version belongs.
        (b"\0\0\0\x10ftypisommp42", OCTETS),
        // The box is longer than the body.
        (b"\0\0\0\x14ftypmp42", OCTETS),
        // Sizes that are no box.
        (b"\0\0\0\x0dftypmp42x", OCTETS),
        (b"\0\0\0\x04ftypmp42", OCTETS),
        (b"\xff\xff\xff\xfcftypmp42", TEXT),
    ];
    for (body, expected) in table {
        assert_eq!(content_type(body), expected, "{body:?}");
    }
}

#[test]
fn an_embedded_font_is_seen_unless_an_earlier_mark_fits() {
    let body = |start: &[u8]| {
        let mut body = start.to_vec();
        body.resize(34, 1);
        body.extend_from_slice(b"LP");
        content_type(&body)
    };
    assert_eq!(body(b""), "application/vnd.ms-fontobject");
    assert_eq!(body(b"PK\x03\x04"), "application/vnd.ms-fontobject");
    assert_eq!(body(b"OggS\0"), OGG);
}

#[test]
fn nothing_behind_the_first_bytes_counts() {
    let mut body = vec![b'a'; LOOKED_AT];
    body.push(0);
    assert_eq!(content_type(&body), TEXT);
    body[LOOKED_AT - 1] = 0;
    assert_eq!(content_type(&body), OCTETS);
}
