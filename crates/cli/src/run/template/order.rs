//! Which app waits for which: `dependsOn` turned into indexes, mistakes in it told.

use outrider_core::quote::quote;

use super::{Faults, schema::App};
use crate::{run::plan::Member, suggest};

/// An id stands for all apps that have it.
pub(super) fn resolve(apps: &[App], members: &mut [Member], faults: &mut Faults) {
    let ids: Vec<String> = members.iter().map(|member| member.app_id.clone()).collect();
    for (app, member) in apps.iter().zip(&mut *members) {
        for wanted in app.own.depends_on.iter().flat_map(|list| &list.value) {
            let all = ids.iter().enumerate();
            let found = all
                .filter(|(_, id)| **id == wanted.value)
                .map(|(index, _)| index);
            let before = member.depends_on.len();
            member.depends_on.extend(found);
            if member.depends_on.len() == before {
                let hint = match suggest::nearest(&wanted.value, &ids) {
                    Some(id) => format!("did you mean {id}?"),
                    None => format!("there are {}", ids.join(", ")),
                };
                let wanted_id = quote(&wanted.value);
                faults.add(
                    wanted.line,
                    format!("dependsOn: no app is called {wanted_id}; {hint}"),
                );
            }
        }
    }
    if let Some(circle) = circle(members) {
        let names: Vec<&str> = circle.iter().map(|it| members[*it].name.as_str()).collect();
        let line = apps[circle[0]]
            .own
            .depends_on
            .as_ref()
            .map_or(0, |at| at.line);
        let text = format!(
            "dependsOn: {} wait for each other and none would start; take one of them out",
            names.join(" → ")
        );
        faults.add(line, text);
    }
}

/// Members that wait for each other, the first one again at the end.
fn circle(members: &[Member]) -> Option<Vec<usize>> {
    let mut done = vec![false; members.len()];
    (0..members.len()).find_map(|start| walk(members, start, &mut Vec::new(), &mut done))
}

/// As deep as there are apps at most.
fn walk(
    members: &[Member],
    at: usize,
    way: &mut Vec<usize>,
    done: &mut [bool],
) -> Option<Vec<usize>> {
    if let Some(begin) = way.iter().position(|known| *known == at) {
        let mut circle = way[begin..].to_vec();
        circle.push(at);
        return Some(circle);
    }
    if done[at] {
        return None;
    }
    way.push(at);
    let needs = members[at].depends_on.iter();
    let found = needs
        .copied()
        .find_map(|next| walk(members, next, way, done));
    way.pop();
    done[at] = true;
    found
}
