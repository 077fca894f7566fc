//! The scripts that write: each looks and writes in one go on the server, so that nothing comes
//! between (contract `state.md` 5.3, 5.4).
//!
//! A script answers 1 when it has written. It answers with what stands in the way when it must not
//! write, and with an error, nothing written, when it can't.

mod sha1;

use super::question::Question;

/// A script and the name that the server gives it once it has seen it.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

/// How a script is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// By its name, which a server refuses if it does not know the script.
    Name,
    /// With all of its text. The server knows the script from then on.
    Text,
    /// With its text the first time in a question, then by its name: one question has calls of one
    /// script only. The server does not learn the script if it refuses the first call before it runs
    /// it; those behind it then have to be called again in a [`Question::wordy`].
    TextOnce,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self {
            source,
            hash: sha1::hex(source.as_bytes()),
        }
    }

    /// Begins a call in a question. So many keys must follow, and then so many arguments.
    pub(super) fn call(&self, question: &mut Question, by: By, keys: usize, args: usize) {
        question.begin(3 + keys + args);
        let by_name = match by {
            By::Name => true,
            By::Text => false,
            By::TextOnce => question.bring_script(),
        };
        let (verb, script) = match by_name {
            true => ("EVALSHA", self.hash.as_str()),
            false => ("EVAL", self.source),
        };
        question.arg(verb.as_bytes());
        question.arg(script.as_bytes());
        question.arg(keys.to_string().as_bytes());
    }
}

/// All scripts there are.
pub(super) struct Scripts {
    /// Key; value, etag, `1` for first-write, time to live.
    pub set: Script,
    /// Key; etag.
    pub delete: Script,
    /// Keys; for each `s` or `d`, value, etag, time to live. One key may come several times.
    pub transact: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            set: Script::new(SET),
            delete: Script::new(DELETE),
            transact: Script::new(TRANSACT),
        }
    }
}

/// Asks for any etag.
pub(super) const ANY: &str = "0";
/// Leaves the expiry as it is.
pub(super) const KEEP: &str = "";
/// Takes the expiry away.
pub(super) const PERSIST: &str = "p";

/// The version is counted up before anything else, because that is what may fail. A key that is no
/// hash has no version and gives way.
const SET: &str = r"
local key, value, etag, first, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = redis.pcall('HMGET', key, 'version', 'first-write')
if now.err then
  if not string.find(now.err, 'WRONGTYPE', 1, true) then return now end
  redis.call('DEL', key)
  now = {false, false}
end
local version = now[1]
if version and version ~= '' and version ~= etag and (etag ~= '0' or now[2]) then
  return version
end
local counted = redis.pcall('HINCRBY', key, 'version', 1)
if type(counted) == 'table' then return counted end
if first == '1' then
  redis.call('HSET', key, 'data', value, 'first-write', 0)
else
  redis.call('HSET', key, 'data', value)
end
if ttl == 'p' then
  redis.call('PERSIST', key)
elseif ttl ~= '' then
  redis.call('EXPIRE', key, ttl)
end
return 1
";

const DELETE: &str = r"
local version = redis.pcall('HGET', KEYS[1], 'version')
if type(version) == 'table' and not string.find(version.err, 'WRONGTYPE', 1, true) then
  return version
end
if type(version) == 'string' and version ~= '' and version ~= ARGV[1] then
  return version
end
redis.call('DEL', KEYS[1])
return 1
";

/// First all operations are played through on what is known of the keys, then all are done. The
/// answer to a conflict is the operation's number and the version that is there.
///
/// What `HINCRBY` would refuse must be known before anything is done: it takes whole numbers of 64
/// bits in their one form, and not the greatest. Lua's numbers have 53 bits, hence the counting by
/// digits.
const TRANSACT: &str = r"
local function refusal(version)
  local sign, digits = string.match(version, '^(-?)([1-9]%d*)$')
  if not digits and version == '0' then return nil end
  if not digits or #digits > 19 then return 'hash value is not an integer' end
  if #digits < 19 then return nil end
  if sign == '-' then
    if digits > '9223372036854775808' then return 'hash value is not an integer' end
  elseif digits > '9223372036854775807' then
    return 'hash value is not an integer'
  elseif digits == '9223372036854775807' then
    return 'increment or decrement would overflow'
  end
end
local function counted(version)
  local digits, pattern, step, sign = '0' .. version, '^(.-)(%d)(9*)$', 1, ''
  if string.sub(version, 1, 1) == '-' then
    digits, pattern, step, sign = string.sub(version, 2), '^(.-)(%d)(0*)$', -1, '-'
  end
  local head, last, rest = string.match(digits, pattern)
  rest = string.gsub(rest, '.', {['9'] = '0', ['0'] = '9'})
  digits = string.gsub(head .. string.char(string.byte(last) + step) .. rest, '^0', '')
  if digits == '' then return '0' end
  return sign .. digits
end
local known = {}
for i = 1, #KEYS do
  local key, op, etag = KEYS[i], ARGV[4 * i - 3], ARGV[4 * i - 1]
  local item = known[key]
  if not item then
    local now = redis.pcall('HMGET', key, 'version', 'first-write')
    if now.err then
      if not string.find(now.err, 'WRONGTYPE', 1, true) then return now end
      item = {foreign = true}
    else
      item = {version = now[1], first = now[2]}
    end
    known[key] = item
  end
  local version = item.version
  if op == 'd' then
    if version and version ~= '' and version ~= etag and etag ~= '0' and etag ~= '' then
      return {i, version}
    end
    item.version, item.first = false, false
  else
    if version and version ~= '' and version ~= etag and (etag ~= '0' or item.first) then
      return {i, version}
    end
    local why = version and refusal(version)
    if why then return redis.error_reply('ERR ' .. why .. ': version of ' .. key) end
    item.version = counted(version or '0')
  end
end
for i = 1, #KEYS do
  local key, op, value, ttl = KEYS[i], ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i]
  if op == 'd' or known[key].foreign then
    redis.call('DEL', key)
    known[key].foreign = false
  end
  if op == 's' then
    redis.call('HINCRBY', key, 'version', 1)
    redis.call('HSET', key, 'data', value)
    if ttl == 'p' then
      redis.call('PERSIST', key)
    elseif ttl ~= '' then
      redis.call('EXPIRE', key, ttl)
    end
  end
end
return 1
";
