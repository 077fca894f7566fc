//! The files that describe our own messages and services, as server reflection hands them out.
//!
//! What is described is everything in `protos/`; which services are told is the caller's choice.

use prost_reflect::{DescriptorPool, FileDescriptor};

use super::details::POOL;

/// The file of that name and all it imports, each encoded, the file itself first.
pub fn file_by_name(name: &str) -> Option<Vec<Vec<u8>>> {
    POOL.get_file_by_name(name).map(|file| with_imports(&file))
}

/// The same for the file that defines a service, a method, a message, an enum or a field.
pub fn file_by_symbol(symbol: &str) -> Option<Vec<Vec<u8>>> {
    defining(&POOL, symbol)
        .or_else(|| {
            // A method, a field or a value belongs to what it stands in.
            let (parent, member) = symbol.rsplit_once('.')?;
            has_value(&POOL, parent, member)
                .or_else(|| has_member(&POOL, parent, member).then(|| defining(&POOL, parent))?)
        })
        .map(|file| with_imports(&file))
}

/// The values of an enum stand beside it, not in it.
fn has_value(pool: &DescriptorPool, parent: &str, value: &str) -> Option<FileDescriptor> {
    let found = pool.all_enums().find(|it| {
        let scope = it
            .full_name()
            .rsplit_once('.')
            .map_or("", |(scope, _)| scope);
        scope == parent && it.get_value_by_name(value).is_some()
    });
    found.map(|it| it.parent_file())
}

fn defining(pool: &DescriptorPool, symbol: &str) -> Option<FileDescriptor> {
    let message = pool.get_message_by_name(symbol).map(|it| it.parent_file());
    let service = || pool.get_service_by_name(symbol).map(|it| it.parent_file());
    let of_enum = || pool.get_enum_by_name(symbol).map(|it| it.parent_file());
    message.or_else(service).or_else(of_enum)
}

fn has_member(pool: &DescriptorPool, parent: &str, member: &str) -> bool {
    let service = pool.get_service_by_name(parent);
    let message = pool.get_message_by_name(parent);
    service.is_some_and(|it| it.methods().any(|method| method.name() == member))
        || message.is_some_and(|it| it.get_field_by_name(member).is_some())
}

fn with_imports(file: &FileDescriptor) -> Vec<Vec<u8>> {
    let mut files = vec![file.clone()];
    let mut next = 0;
    while let Some(file) = files.get(next).cloned() {
        for import in file.dependencies() {
            if !files.contains(&import) {
                files.push(import);
            }
        }
        next += 1;
    }
    files.iter().map(FileDescriptor::encode_to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_with_what_it_imports() {
        let files = file_by_symbol("dapr.proto.runtime.v1.Dapr").unwrap();
        let by_name = file_by_name("dapr/proto/runtime/v1/dapr.proto").unwrap();
        assert_eq!(files, by_name);
        assert!(files.len() > 2);
    }

    #[test]
    fn members_are_found_where_they_stand() {
        let whole = file_by_symbol("dapr.proto.runtime.v1.Dapr");
        for symbol in [
            "dapr.proto.runtime.v1.Dapr.InvokeService",
            "dapr.proto.runtime.v1.InvokeServiceRequest",
            "dapr.proto.runtime.v1.InvokeServiceRequest.id",
            "dapr.proto.runtime.v1.ActorRuntime.RUNNING",
        ] {
            assert_eq!(file_by_symbol(symbol), whole, "{symbol}");
        }
        assert_eq!(file_by_symbol("dapr.proto.runtime.v1.Dapr.Nothing"), None);
        assert_eq!(file_by_symbol("nothing"), None);
        assert_eq!(file_by_name("nothing.proto"), None);
    }
}
