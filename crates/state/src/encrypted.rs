//! Encryption of values on their way to any store (contract `state.md` 1.6): keys, etags and times
//! stay readable, values are kept as `<base64 of nonce, ciphertext, tag>||<name of the key>`.
//!
//! Writes use the primary key; reads the one that the value names, so that a key can be replaced
//! while old values are about. A value that was not written so is refused, never passed through.
//! JSON strings are encrypted without their quotes, because that is how the reference gives them
//! back; everything else comes back as it came.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use outrider_core::base64;

use crate::{Answer, Delete, Error, Get, Item, OpenError, Operation, Session, Set, Store, Value};

mod cipher;

use cipher::Cipher;

const SEPARATOR: &[u8] = b"||";

/// A key as the component names it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Name of the secret; stands behind each value that was written with the key.
    pub name: String,
    /// 16, 24 or 32 bytes as hexadecimal digits.
    pub hex: String,
}

/// A store whose values only those can read who have the key.
#[derive(Debug)]
pub struct Encrypted {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
}

struct EncryptedSession {
    session: Rc<dyn Session>,
    keys: Arc<Keys>,
}

struct Keys {
    primary: Ready,
    secondary: Option<Ready>,
}

/// A key that can be used, with its name.
struct Ready {
    name: String,
    cipher: Cipher,
}

impl Encrypted {
    /// The store, with values encrypted from here on.
    ///
    /// # Errors
    /// A key that is none.
    pub fn wrap(
        store: Arc<dyn Store>,
        primary: Key,
        secondary: Option<Key>,
    ) -> Result<Arc<dyn Store>, OpenError> {
        let primary = ready("primaryEncryptionKey", primary)?;
        let secondary = secondary.map(|key| ready("secondaryEncryptionKey", key));
        let secondary = secondary.transpose()?;
        let keys = Arc::new(Keys { primary, secondary });
        Ok(Arc::new(Self { store, keys }))
    }
}

/// Says nothing of the key but its length.
fn ready(item: &str, key: Key) -> Result<Ready, OpenError> {
    if key.name.is_empty() {
        return Err(OpenError(format!(
            "{item} must come from a secret: give it a secretKeyRef with a name"
        )));
    }
    let bytes = from_hex(&key.hex);
    let Some(cipher) = bytes.as_deref().and_then(Cipher::try_new) else {
        let found = match bytes {
            Some(bytes) => format!("{} bytes", bytes.len()),
            None => "something else".to_owned(),
        };
        return Err(OpenError(format!(
            "{item} must be 16, 24 or 32 bytes as hexadecimal digits: secret '{}' has {found}",
            key.name
        )));
    };
    let name = key.name;
    Ok(Ready { name, cipher })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = pairs.iter().map(|[high, low]| {
        let value = digit(*high)? << 4 | digit(*low)?;
        u8::try_from(value).ok()
    });
    bytes.collect()
}

impl Store for Encrypted {
    fn capabilities(&self) -> &'static [&'static str] {
        self.store.capabilities()
    }

    fn session(&self) -> Rc<dyn Session> {
        Rc::new(EncryptedSession {
            session: self.store.session(),
            keys: Arc::clone(&self.keys),
        })
    }
}

impl Session for EncryptedSession {
    fn get(&self, get: Get) -> Answer<'_, Result<Option<Item>, Error>> {
        Box::pin(async move { self.keys.open_item(self.session.get(get).await) })
    }

    fn get_many(&self, gets: Vec<Get>) -> Answer<'_, Vec<Result<Option<Item>, Error>>> {
        Box::pin(async move {
            let found = self.session.get_many(gets).await;
            let opened = found.into_iter().map(|item| self.keys.open_item(item));
            opened.collect()
        })
    }

    fn set(&self, set: Set) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move { self.session.set(self.keys.seal_set(set)?).await })
    }

    fn set_many(&self, sets: Vec<Set>) -> Answer<'_, Vec<Result<(), Error>>> {
        Box::pin(async move {
            let sealed = sets.into_iter().map(|set| self.keys.seal_set(set));
            write_sealed(&*self.session, sealed.collect()).await
        })
    }

    fn delete(&self, delete: Delete) -> Answer<'_, Result<(), Error>> {
        self.session.delete(delete)
    }

    fn delete_many(&self, deletes: Vec<Delete>) -> Answer<'_, Vec<Result<(), Error>>> {
        self.session.delete_many(deletes)
    }

    fn transact(&self, operations: Vec<Operation>) -> Answer<'_, Result<(), Error>> {
        Box::pin(async move {
            let sealed = operations.into_iter().map(|operation| match operation {
                Operation::Set(set) => self.keys.seal_set(set).map(Operation::Set),
                delete @ Operation::Delete(_) => Ok(delete),
            });
            let sealed = sealed.collect::<Result<_, _>>()?;
            self.session.transact(sealed).await
        })
    }
}

/// Writes what could be encrypted; what could not stops nothing else.
async fn write_sealed(
    session: &dyn Session,
    sealed: Vec<Result<Set, Error>>,
) -> Vec<Result<(), Error>> {
    let mut sets = Vec::with_capacity(sealed.len());
    let sealed: Vec<_> = sealed
        .into_iter()
        .map(|sealed| sealed.map(|set| sets.push(set)))
        .collect();
    let mut written = session.set_many(sets).await.into_iter();
    let answer = |sealed: Result<(), Error>| {
        sealed?;
        let lost = || Err(Error::failed("the store gave too few answers"));
        written.next().unwrap_or_else(lost)
    };
    sealed.into_iter().map(answer).collect()
}

impl Keys {
    fn seal_set(&self, set: Set) -> Result<Set, Error> {
        let Ready { name, cipher } = &self.primary;
        let plain = plain(&set.value);
        let sealed = cipher.seal(&plain);
        let sealed = sealed.ok_or_else(|| Error::failed("failed to encrypt the value"))?;
        let text = format!("{}||{name}", base64::encode(&sealed));
        Ok(Set {
            value: Value::Raw(text.into()),
            ..set
        })
    }

    fn open_item(&self, item: Result<Option<Item>, Error>) -> Result<Option<Item>, Error> {
        let Some(item) = item? else {
            return Ok(None);
        };
        let value = self.open(&item.value)?;
        Ok(Some(Item { value, ..item }))
    }

    fn open(&self, stored: &Bytes) -> Result<Bytes, Error> {
        // What was written empty by a store without keys; there is nothing to be read from it.
        if stored.is_empty() {
            return Ok(Bytes::new());
        }
        let error = |why: String| Error::Failed(format!("could not decrypt the value: {why}"));
        // The first one: base64 has none, a name may.
        let at = stored.windows(2).position(|pair| pair == SEPARATOR);
        let at = at.ok_or_else(|| error("it names no encryption key".to_owned()))?;
        let name = &stored[at + SEPARATOR.len()..];
        let named = |key: &&Ready| key.name.as_bytes() == name;
        let keys = [Some(&self.primary), self.secondary.as_ref()];
        let Some(key) = keys.into_iter().flatten().find(named) else {
            let name = String::from_utf8_lossy(name);
            let text = format!("encryption key '{name}' is neither the primary nor the secondary");
            return Err(error(text));
        };
        let opened = base64::decode(&stored[..at]).and_then(|sealed| key.cipher.open(&sealed));
        let opened = opened.ok_or_else(|| {
            let name = &key.name;
            error(format!(
                "it was changed, or written with another key named '{name}'"
            ))
        })?;
        Ok(opened.into())
    }
}

/// What is encrypted of a value: the text of a JSON string, or all of it.
fn plain(value: &Value) -> Cow<'_, [u8]> {
    if let Value::Json(text) = value
        && text.first() == Some(&b'"')
        && let Ok(string) = serde_json::from_slice::<String>(text)
    {
        return Cow::Owned(string.into_bytes());
    }
    Cow::Borrowed(value.bytes())
}

/// Never shows the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

#[cfg(test)]
mod tests;
