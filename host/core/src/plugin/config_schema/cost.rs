//! What it costs to hold a config against a schema, known before it is done: which schemas in the schema look at which
//! values, and how often.

use std::collections::{BTreeMap, HashMap};

use super::reading::{Reading, Wrong};
use crate::Json;

/// Schemas that look at one value one within the other; each takes some stack.
const NESTING: usize = 24;
/// How often schemas look at one value in all, references written out.
const LOOKS: u64 = 4_000;
/// Bytes of text that are compared for one unit of cost.
const BYTES_A_UNIT: u64 = 64;

/// How the schemas in a schema hang together.
pub(super) struct Cost {
    schemas: Vec<Schema>,
    /// Every schema before those that it has look at the same value.
    order: Vec<usize>,
    /// The place of each schema there.
    ranks: Vec<usize>,
    /// How often a schema looks at those in it for one look at itself: what is unevaluated is found by looking anew.
    repeats: u64,
}

/// What one schema does with a value. Others are named by their index.
#[derive(Default)]
pub(super) struct Schema {
    /// Those that look at the same value.
    pub(super) same: Vec<usize>,
    pub(super) properties: HashMap<String, usize>,
    /// Those that may look at any member of an object.
    pub(super) members: Vec<usize>,
    /// Those that look at members that are not among the properties.
    pub(super) other_members: Vec<usize>,
    pub(super) names: Vec<usize>,
    pub(super) prefix: Vec<usize>,
    /// Those that may look at any item of an array.
    pub(super) items: Vec<usize>,
    pub(super) keywords: u64,
    /// How often it looks at all of a value, as comparing does.
    pub(super) comparisons: u64,
    pub(super) patterns: u64,
    /// Patterns of an object's names.
    pub(super) patterns_of_names: u64,
}

/// Schemas and how often each looks.
type Looks = Vec<(usize, u64)>;

impl Cost {
    /// # Errors
    /// Where it cannot be known or is too large.
    pub(super) fn of(schema: &Json) -> Result<Self, Wrong> {
        let Reading { schemas, has_unevaluated, .. } = Reading::of(schema)?;
        let order = order(&schemas)?;
        let mut ranks = vec![0; order.len()];
        for (rank, &index) in order.iter().enumerate() {
            ranks[index] = rank;
        }
        let cost = Self { schemas, order, ranks, repeats: if has_unevaluated { 3 } else { 1 } };
        if cost.most_looks() > LOOKS {
            return Err(format!(
                "written out, it looks at one value more than {LOOKS} times; its references multiply each other"
            ));
        }
        Ok(cost)
    }

    /// How often schemas look at one value in all.
    fn most_looks(&self) -> u64 {
        let mut looks = vec![1_u64; self.schemas.len()];
        for &index in self.order.iter().rev() {
            for &same in &self.schemas[index].same {
                looks[index] = looks[index].saturating_add(looks[same].saturating_mul(self.repeats));
            }
        }
        looks.into_iter().max().unwrap_or_default()
    }

    /// The most that a config costs: a unit is about one keyword that looks at one value. Nothing more is looked for
    /// once it is above `most`. The config is not deep.
    pub(super) fn of_config(&self, config: &Json, most: u64) -> u64 {
        let mut cost = 0;
        self.add(config, vec![(0, 1)], most, &mut cost);
        cost
    }

    fn add(&self, value: &Json, looks: Looks, most: u64, cost: &mut u64) {
        let looks = self.all_looks(looks);
        let whole = std::cell::LazyCell::new(|| units_to_compare(value));
        for &(index, times) in &looks {
            let schema = &self.schemas[index];
            let bytes = match value {
                Json::String(text) => schema.patterns.saturating_mul(text.len() as u64),
                Json::Object(members) if schema.patterns_of_names > 0 => {
                    schema.patterns_of_names * members.keys().map(|key| key.len() as u64).sum::<u64>()
                }
                _ => 0,
            };
            let compared =
                if schema.comparisons == 0 { 0 } else { schema.comparisons.saturating_mul(*whole) };
            let units = schema.keywords.saturating_add(bytes).saturating_add(compared);
            *cost = cost.saturating_add(units.saturating_mul(times));
        }
        match value {
            Json::Object(members) => {
                let looks: Looks =
                    looks.into_iter().filter(|(index, _)| self.schemas[*index].has_members()).collect();
                for (key, member) in members {
                    let (mut below, mut at_name) = (vec![], vec![]);
                    for &(index, times) in &looks {
                        let schema = &self.schemas[index];
                        let property = schema.properties.get(key);
                        let others: &[usize] = if property.is_some() { &[] } else { &schema.other_members };
                        let parts = property.into_iter().chain(others).chain(&schema.members);
                        below.extend(parts.map(|&part| (part, times)));
                        at_name.extend(schema.names.iter().map(|&part| (part, times)));
                    }
                    self.step(member, below, most, cost);
                    self.step(&Json::String(key.clone()), at_name, most, cost);
                    if *cost > most {
                        return;
                    }
                }
            }
            Json::Array(items) => {
                let looks: Looks =
                    looks.into_iter().filter(|(index, _)| self.schemas[*index].has_items()).collect();
                for (place, item) in items.iter().enumerate() {
                    let parts = |&(index, times): &(usize, u64)| {
                        let schema = &self.schemas[index];
                        schema
                            .prefix
                            .get(place)
                            .into_iter()
                            .chain(&schema.items)
                            .map(move |&part| (part, times))
                    };
                    self.step(item, looks.iter().flat_map(parts).collect(), most, cost);
                    if *cost > most {
                        return;
                    }
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    fn step(&self, value: &Json, looks: Looks, most: u64, cost: &mut u64) {
        // To find that nobody looks is a step as well.
        *cost = cost.saturating_add(1);
        if !looks.is_empty() && *cost <= most {
            self.add(value, looks, most, cost);
        }
    }

    /// With all that look at the same value for them.
    fn all_looks(&self, looks: Looks) -> Looks {
        let mut by_rank: BTreeMap<usize, u64> = BTreeMap::new();
        let add = |by_rank: &mut BTreeMap<usize, u64>, index: usize, times: u64| {
            let known = by_rank.entry(self.ranks[index]).or_default();
            *known = known.saturating_add(times);
        };
        for (index, times) in looks {
            add(&mut by_rank, index, times);
        }
        let mut all = Vec::new();
        while let Some((rank, times)) = by_rank.pop_first() {
            let index = self.order[rank];
            for &same in &self.schemas[index].same {
                add(&mut by_rank, same, times.saturating_mul(self.repeats));
            }
            all.push((index, times));
        }
        all
    }
}

impl Schema {
    fn has_members(&self) -> bool {
        !(self.properties.is_empty()
            && self.members.is_empty()
            && self.other_members.is_empty()
            && self.names.is_empty())
    }

    fn has_items(&self) -> bool {
        !(self.prefix.is_empty() && self.items.is_empty())
    }
}

fn units_to_compare(value: &Json) -> u64 {
    match value {
        Json::String(text) => 1 + text.len() as u64 / BYTES_A_UNIT,
        Json::Array(items) => 1 + items.iter().map(units_to_compare).sum::<u64>(),
        Json::Object(members) => {
            let member = |(key, value): (&String, &Json)| {
                1 + key.len() as u64 / BYTES_A_UNIT + units_to_compare(value)
            };
            1 + members.iter().map(member).sum::<u64>()
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => 1,
    }
}

/// Schemas before those that look at the same value for them.
fn order(schemas: &[Schema]) -> Result<Vec<usize>, Wrong> {
    let mut order = Vec::with_capacity(schemas.len());
    let mut heights: Vec<Option<usize>> = vec![None; schemas.len()];
    for index in 0..schemas.len() {
        height(index, schemas, &mut heights, &mut order, 0)?;
    }
    order.reverse();
    Ok(order)
}

/// How many schemas look at the same value from this one on.
fn height(
    index: usize,
    schemas: &[Schema],
    heights: &mut [Option<usize>],
    order: &mut Vec<usize>,
    above: usize,
) -> Result<usize, Wrong> {
    if let Some(height) = heights[index] {
        return Ok(height);
    }
    let mut height = 1;
    // One that leads in a circle never comes to an end.
    if above < NESTING {
        for &same in &schemas[index].same {
            height = height.max(1 + self::height(same, schemas, heights, order, above + 1)?);
        }
    }
    if above == NESTING || height > NESTING {
        return Err(format!(
            "more than {NESTING} schemas look at one value one within the other, or they lead in a circle"
        ));
    }
    heights[index] = Some(height);
    order.push(index);
    Ok(height)
}
