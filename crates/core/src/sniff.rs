//! What kind of content a body is, guessed from its first bytes.
//!
//! The answers are those of the WHATWG MIME Sniffing standard in the selection that Go's servers
//! use, because a body without a `Content-Type` leaves the reference's HTTP API with such a guess
//! (contract, http-api 8). Names and declared types are not looked at, and nothing is decoded.

/// Bytes behind these are never looked at.
pub const LOOKED_AT: usize = 512;

const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "text/xml; charset=utf-8";

/// Starts of an HTML document. Case does not count; a space or `>` must follow.
const HTML_TAGS: [&[u8]; 17] = [
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
    b"<!--",
];

/// A kind that shows itself by fixed bytes at fixed places.
struct Mark {
    kind: &'static str,
    /// Bytes at the very start.
    start: &'static [u8],
    /// More bytes, and how far from the start they stand.
    also: (usize, &'static [u8]),
}

const fn mark(start: &'static [u8], kind: &'static str) -> Mark {
    Mark {
        kind,
        start,
        also: (0, b""),
    }
}

const fn framed(start: &'static [u8], at: usize, inner: &'static [u8], kind: &'static str) -> Mark {
    Mark {
        kind,
        start,
        also: (at, inner),
    }
}

/// Marks tried before the look into MP4 boxes. Order matters, here and below: the first that fits
/// wins, and a few fit the same bytes.
const EARLY_MARKS: &[Mark] = &[
    mark(b"%PDF-", "application/pdf"),
    mark(b"%!PS-Adobe-", "application/postscript"),
    // Images
    mark(b"\x00\x00\x01\x00", "image/x-icon"),
    mark(b"\x00\x00\x02\x00", "image/x-icon"),
    mark(b"BM", "image/bmp"),
    mark(b"GIF87a", "image/gif"),
    mark(b"GIF89a", "image/gif"),
    framed(b"RIFF", 8, b"WEBPVP", "image/webp"),
    mark(b"\x89PNG\r\n\x1a\n", "image/png"),
    mark(b"\xff\xd8\xff", "image/jpeg"),
    // Sound and moving pictures
    framed(b"FORM", 8, b"AIFF", "audio/aiff"),
    mark(b"ID3", "audio/mpeg"),
    mark(b"OggS\x00", "application/ogg"),
    mark(b"MThd\x00\x00\x00\x06", "audio/midi"),
    framed(b"RIFF", 8, b"AVI ", "video/avi"),
    framed(b"RIFF", 8, b"WAVE", "audio/wave"),
    mark(b"\x1a\x45\xdf\xa3", "video/webm"),
];

/// Marks tried after it.
const LATE_MARKS: &[Mark] = &[
    // Fonts
    framed(b"", 34, b"LP", "application/vnd.ms-fontobject"),
    mark(b"\x00\x01\x00\x00", "font/ttf"),
    mark(b"OTTO", "font/otf"),
    mark(b"ttcf", "font/collection"),
    mark(b"wOFF", "font/woff"),
    mark(b"wOF2", "font/woff2"),
    // Archives and programs
    mark(b"\x1f\x8b\x08", "application/x-gzip"),
    mark(b"PK\x03\x04", "application/zip"),
    mark(b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
    mark(b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
    mark(b"\x00asm", "application/wasm"),
];

/// The `Content-Type` that fits the start of a body. Always has an answer.
#[must_use]
pub fn content_type(body: &[u8]) -> &'static str {
    let head = &body[..body.len().min(LOOKED_AT)];
    let blanks = head.iter().take_while(|byte| is_blank(**byte)).count();
    let word = &head[blanks..];
    if word.first() == Some(&b'<') {
        if HTML_TAGS.iter().any(|tag| opens_with_tag(word, tag)) {
            return HTML;
        }
        if word.starts_with(b"<?xml") {
            return XML;
        }
    }
    byte_order(head)
        .or_else(|| marked(head))
        .unwrap_or_else(|| {
            if word.iter().any(|byte| is_binary(*byte)) {
                OCTETS
            } else {
                TEXT
            }
        })
}

fn marked(head: &[u8]) -> Option<&'static str> {
    let first = |marks: &[Mark]| {
        marks
            .iter()
            .find(|mark| mark.fits(head))
            .map(|mark| mark.kind)
    };
    first(EARLY_MARKS)
        .or_else(|| is_mp4(head).then_some("video/mp4"))
        .or_else(|| first(LATE_MARKS))
}

impl Mark {
    fn fits(&self, head: &[u8]) -> bool {
        let (at, inner) = self.also;
        head.starts_with(self.start)
            && head
                .get(at..)
                .is_some_and(|behind| behind.starts_with(inner))
    }
}

fn opens_with_tag(word: &[u8], tag: &[u8]) -> bool {
    word.split_at_checked(tag.len())
        .is_some_and(|(start, behind)| {
            start.eq_ignore_ascii_case(tag) && matches!(behind.first(), Some(b' ' | b'>'))
        })
}

/// Byte order marks count only with at least four bytes there, as in Go.
fn byte_order(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xfe, 0xff, _, _, ..] => Some("text/plain; charset=utf-16be"),
        [0xff, 0xfe, _, _, ..] => Some("text/plain; charset=utf-16le"),
        [0xef, 0xbb, 0xbf, _, ..] => Some(TEXT),
        _ => None,
    }
}

/// Whether the first box is a whole file-type box that names some `mp4` brand.
fn is_mp4(head: &[u8]) -> bool {
    let Some(([a, b, c, d], behind)) = head.split_first_chunk() else {
        return false;
    };
    let size = u32::from_be_bytes([*a, *b, *c, *d]);
    let Some(file_type) = usize::try_from(size)
        .ok()
        .and_then(|size| head.get(8..size))
    else {
        return false;
    };
    // The second word is a version, not a brand.
    size.is_multiple_of(4)
        && behind.starts_with(b"ftyp")
        && file_type
            .chunks(4)
            .enumerate()
            .any(|(at, brand)| at != 1 && brand.starts_with(b"mp4"))
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests;
