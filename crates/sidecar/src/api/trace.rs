//! Trace context and baggage at the door (contract `observability.md` 7). Spans come later; what is
//! here keeps a caller's context alive and gives calls without one a valid, unsampled one.

use outrider_wire::Fields;
pub(crate) use outrider_wire::grpc::trace::is_valid as is_valid_traceparent;

/// A new, unsampled context: `00-<trace>-<span>-00`.
pub(crate) fn new_traceparent(mut random: impl FnMut() -> u64) -> [u8; 55] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    let mut put = |at: usize, mut value: u64| {
        for digit in text[at..at + 16].iter_mut().rev() {
            *digit = HEX[(value & 15) as usize];
            value >>= 4;
        }
    };
    put(3, random());
    put(19, random() | 1);
    put(36, random() | 1);
    text
}

/// All `baggage` fields of a request as one list; an error if it is no valid baggage
/// (contract `observability.md` 7.5).
pub(crate) fn baggage(fields: &Fields) -> Result<Option<Vec<u8>>, String> {
    baggage_of(fields.get_all(b"baggage"))
}

/// The same for the values of these fields.
pub(crate) fn baggage_of<'a>(
    mut all: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<Vec<u8>>, String> {
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let mut joined = first.to_vec();
    for more in all {
        joined.push(b',');
        joined.extend_from_slice(more);
    }
    if joined.is_empty() {
        return Ok(None);
    }
    check(&joined)?;
    Ok(Some(joined))
}

/// A valid list as it is told back to gRPC clients: no white space around names and values, and of
/// members with the same name the last.
pub(crate) fn normalised(list: &[u8]) -> Vec<u8> {
    let mut members: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for member in list.split(|b| *b == b',') {
        let parts = member.split(|b| *b == b';').map(|part| {
            let sides = part.splitn(2, |b| *b == b'=').map(<[u8]>::trim_ascii);
            sides.collect::<Vec<_>>().join(&b'=')
        });
        let text = parts.collect::<Vec<_>>().join(&b';');
        let name = member.split(|b| *b == b'=').next().unwrap_or_default();
        let name = name.trim_ascii();
        match members.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = text,
            None => members.push((name, text)),
        }
    }
    let texts: Vec<_> = members.into_iter().map(|(_, text)| text).collect();
    texts.join(&b',')
}

fn check(list: &[u8]) -> Result<(), String> {
    if list.len() > 8192 {
        return Err("baggage-string too large".to_owned());
    }
    let members = list.split(|b| *b == b',');
    // All faults are told, a line each.
    let mut faults: Vec<_> = members
        .clone()
        .filter_map(|it| check_member(it).err())
        .collect();
    if members.count() > 64 {
        faults = vec!["too many list-members in baggage-string".to_owned()];
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("\n")),
    }
}

fn check_member(member: &[u8]) -> Result<(), String> {
    let quoted = |bytes: &[u8]| outrider_core::quote::quote(&String::from_utf8_lossy(bytes));
    let pair = member.split(|b| *b == b';').next().unwrap_or_default();
    let Some(equals) = pair.iter().position(|b| *b == b'=') else {
        return Err(format!("invalid baggage list-member: {}", quoted(member)));
    };
    let (key, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
    if key.is_empty()
        || !key
            .iter()
            .all(|b| outrider_wire::headers::is_token_byte(*b))
    {
        return Err(format!("invalid key: {}", quoted(key)));
    }
    // W3C baggage-octet: printable ASCII without space, quote, comma, semicolon and backslash.
    let is_octet =
        |b: &u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    if !value.iter().all(is_octet) {
        return Err(format!("invalid value: {}", quoted(value)));
    }
    let mut escapes = value.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let digits = |at| value.get(at + 1..at + 3).unwrap_or_default();
    let is_bad = |at| digits(at).len() < 2 || !digits(at).iter().all(u8::is_ascii_hexdigit);
    if let Some((at, _)) = escapes.find(|(at, _)| is_bad(*at)) {
        let shown = quoted(&value[at..value.len().min(at + 3)]);
        return Err(format!("invalid value: invalid URL escape {shown}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparents() {
        let good = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_valid_traceparent(good));
        assert!(is_valid_traceparent(
            b"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x"
        ));
        for bad in [
            &b""[..],
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            b"00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(!is_valid_traceparent(bad), "{bad:?}");
        }
        let mut seed = 0u64;
        let made = new_traceparent(|| {
            seed += 1;
            seed << 4
        });
        assert!(is_valid_traceparent(&made));
    }

    #[test]
    fn what_is_told_back_is_trimmed_and_has_each_name_once() {
        for (list, wanted) in [
            ("a=1", "a=1"),
            (" k = v , b = 2 ; p = q ;r", "k=v,b=2;p=q;r"),
            ("k=v,b=1,k=w", "k=w,b=1"),
            ("k=a=b", "k=a=b"),
        ] {
            let told = normalised(list.as_bytes());
            assert_eq!(String::from_utf8(told).unwrap(), wanted);
        }
    }

    #[test]
    fn baggage_lists() {
        let of = |values: &[&str]| {
            let fields: Fields = values
                .iter()
                .map(|v| (&b"Baggage"[..], v.as_bytes()))
                .collect();
            baggage(&fields)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["a=1;p", "b=%20"]), Ok(Some(b"a=1;p,b=%20".to_vec())));
        assert_eq!(of(&["k"]), Err("invalid baggage list-member: \"k\"".into()));
        assert_eq!(
            of(&["a=1,"]),
            Err("invalid baggage list-member: \"\"".into())
        );
        assert_eq!(
            of(&["a=1,,b"]),
            Err("invalid baggage list-member: \"\"\ninvalid baggage list-member: \"b\"".into())
        );
        assert_eq!(of(&["k v=1"]), Err("invalid key: \"k v\"".into()));
        assert_eq!(of(&["a=a b"]), Err("invalid value: \"a b\"".into()));
        let many = vec!["a=1"; 65].join(",");
        assert_eq!(
            of(&[&many]),
            Err("too many list-members in baggage-string".into())
        );
    }
}
