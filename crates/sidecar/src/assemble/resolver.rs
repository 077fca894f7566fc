//! The name resolver that the settings ask for → what the plan holds of it.

use outrider_config::settings::{
    self, Discovery, DnsRecords, RESOLVERS, ResolverFault, StaticEntry, StaticList,
};
use outrider_lookup::{
    Listing,
    resolvers::{dns, fixed, sqlite},
};

use crate::plan::{Resolver, ResolverName, Source};

/// What is wrong with the settings is told when the sidecar starts; it starts all the same.
pub(super) fn resolver(discovery: &Discovery) -> Resolver {
    let name = ResolverName {
        name: discovery.resolver.clone(),
        version: discovery.resolver_version.clone(),
    };
    let source = match settings::Resolver::try_new(discovery) {
        Ok(settings::Resolver::Mdns) => return Resolver::Mdns,
        Ok(settings::Resolver::Nameformat { format }) => Source::Nameformat(format),
        Ok(settings::Resolver::Sqlite(told)) => Source::Sqlite(sqlite::Config {
            dsn: told.dsn,
            table: told.table,
            metadata_table: told.metadata_table,
            update_interval: told.update_interval,
            timeout: told.timeout,
            cleanup_interval: told.cleanup_interval,
        }),
        Ok(settings::Resolver::Static(list)) => Source::Static(static_list(list)),
        Ok(settings::Resolver::Dns(told)) => Source::Dns(dns::Config {
            template: told.template,
            records: match told.records {
                DnsRecords::Addresses { port } => dns::Records::Addresses { port },
                DnsRecords::Services => dns::Records::Services,
            },
            refresh_min: told.refresh_min,
            refresh_max: told.refresh_max,
            name_servers: told.name_servers,
        }),
        Err(fault) => {
            return Resolver::Absent {
                name,
                known: matches!(fault, ResolverFault::Unknown { .. }).then_some(&RESOLVERS),
                why: fault.to_string(),
            };
        }
    };
    Resolver::Source { name, source }
}

fn static_list(list: StaticList) -> fixed::List {
    match list {
        StaticList::Listed(entries) => fixed::List::Listed(listings(&entries)),
        StaticList::File(path) => fixed::List::File {
            path: path.into(),
            parse: |text| Ok(listings(&settings::read_static_list(text)?)),
        },
    }
}

fn listings(entries: &[StaticEntry]) -> Vec<Listing> {
    let listing = |it: &StaticEntry| Listing::new(it.namespace.as_deref(), &it.app_id, &it.address);
    entries.iter().map(listing).collect()
}
