//! Decides whose turn it is. Pure: no I/O, no clock, no waiting.
//!
//! Among the tenants that could start something, the one with the fewest executions under way comes
//! first, and of several the one served longest ago. Within a tenant the higher priority comes
//! first, then whoever came first. An execution whose concurrency key is busy waits and lets others
//! pass.

use std::collections::{BTreeMap, HashSet};

use crate::{Priority, TenantId};

/// Names one waiting execution; given in the order of arrival.
pub(super) type TicketId = u64;

/// One execution that waits for its turn.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) tenant: TenantId,
    pub(super) priority: Priority,
    pub(super) key: Option<String>,
}

/// Why nobody may wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Queue,
    Tenant,
}

#[derive(Debug, Default)]
struct Tenant {
    // By priority, then arrival: the last entry of the highest priority is what `find` meets first.
    waiting: BTreeMap<(std::cmp::Reverse<Priority>, TicketId), Option<String>>,
    running: usize,
    served: u64,
}

/// The queue and what is under way.
#[derive(Debug)]
pub(super) struct Schedule {
    max_running: usize,
    max_waiting: usize,
    max_waiting_per_tenant: usize,
    tenants: BTreeMap<TenantId, Tenant>,
    busy: HashSet<(TenantId, String)>,
    waiting: usize,
    running: usize,
    next_ticket: TicketId,
    served: u64,
}

impl Schedule {
    pub(super) fn new(max_running: usize, max_waiting: usize, max_waiting_per_tenant: usize) -> Self {
        Self {
            max_running,
            max_waiting,
            max_waiting_per_tenant,
            tenants: BTreeMap::new(),
            busy: HashSet::new(),
            waiting: 0,
            running: 0,
            next_ticket: 0,
            served: 0,
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Queues an execution, or says what is full.
    pub(super) fn enqueue(&mut self, new: &Waiting) -> Result<TicketId, Full> {
        if self.waiting >= self.max_waiting {
            return Err(Full::Queue);
        }
        let tenant = self.tenants.entry(new.tenant.clone()).or_default();
        if tenant.waiting.len() >= self.max_waiting_per_tenant {
            return Err(Full::Tenant);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting += 1;
        tenant.waiting.insert((std::cmp::Reverse(new.priority), ticket), new.key.clone());
        Ok(ticket)
    }

    /// Takes somebody who no longer wants to wait out of the queue.
    pub(super) fn leave(&mut self, ticket: TicketId, waiting: &Waiting) {
        if let Some(tenant) = self.tenants.get_mut(&waiting.tenant)
            && tenant.waiting.remove(&(std::cmp::Reverse(waiting.priority), ticket)).is_some()
        {
            self.waiting -= 1;
        }
        self.forget(&waiting.tenant);
    }

    /// Starts whoever's turn it is, if there is room.
    pub(super) fn start_next(&mut self) -> Option<TicketId> {
        if self.running >= self.max_running {
            return None;
        }
        let busy = &self.busy;
        let free = |name: &TenantId, key: &Option<String>| {
            key.as_ref().is_none_or(|key| !busy.contains(&(name.clone(), key.clone())))
        };
        let (name, entry) = self
            .tenants
            .iter()
            .filter_map(|(name, tenant)| {
                let (entry, _) = tenant.waiting.iter().find(|(_, key)| free(name, key))?;
                Some(((tenant.running, tenant.served), name, *entry))
            })
            .min_by_key(|(rank, ..)| *rank)
            .map(|(_, name, entry)| (name.clone(), entry))?;
        let tenant = self.tenants.get_mut(&name)?;
        let key = tenant.waiting.remove(&entry)?;
        self.served += 1;
        tenant.served = self.served;
        tenant.running += 1;
        self.running += 1;
        self.waiting -= 1;
        if let Some(key) = key {
            self.busy.insert((name, key));
        }
        Some(entry.1)
    }

    /// Notes that something that was started is over.
    pub(super) fn finish(&mut self, done: &Waiting) {
        self.running = self.running.saturating_sub(1);
        if let Some(tenant) = self.tenants.get_mut(&done.tenant) {
            tenant.running = tenant.running.saturating_sub(1);
        }
        if let Some(key) = &done.key {
            self.busy.remove(&(done.tenant.clone(), key.clone()));
        }
        self.forget(&done.tenant);
    }

    /// Tenants that have nothing here cost nothing.
    fn forget(&mut self, name: &TenantId) {
        if self.tenants.get(name).is_some_and(|it| it.running == 0 && it.waiting.is_empty()) {
            self.tenants.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(tenant: &str, priority: Priority, key: Option<&str>) -> Waiting {
        Waiting { tenant: TenantId::parse(tenant).unwrap(), priority, key: key.map(str::to_owned) }
    }

    fn drain(schedule: &mut Schedule) -> Vec<TicketId> {
        std::iter::from_fn(|| schedule.start_next()).collect()
    }

    #[test]
    fn tenants_share_and_priorities_order() {
        let mut schedule = Schedule::new(100, 100, 100);
        for _ in 0..3 {
            schedule.enqueue(&waiting("a", Priority::Normal, None)).unwrap();
        }
        schedule.enqueue(&waiting("b", Priority::Low, None)).unwrap();
        schedule.enqueue(&waiting("a", Priority::High, None)).unwrap();
        assert_eq!(drain(&mut schedule), [4, 3, 0, 1, 2]);
    }

    #[test]
    fn a_busy_key_waits_and_lets_others_pass() {
        let mut schedule = Schedule::new(100, 100, 100);
        let first = waiting("a", Priority::Normal, Some("deploy"));
        schedule.enqueue(&first).unwrap();
        schedule.enqueue(&first).unwrap();
        schedule.enqueue(&waiting("a", Priority::Low, None)).unwrap();
        schedule.enqueue(&waiting("b", Priority::Low, Some("deploy"))).unwrap();
        assert_eq!(drain(&mut schedule), [0, 3, 2]);
        schedule.finish(&first);
        assert_eq!(drain(&mut schedule), [1]);
    }

    #[test]
    fn bounds_hold_and_leaving_makes_room() {
        let mut schedule = Schedule::new(1, 3, 2);
        let (a, b) = (waiting("a", Priority::Normal, None), waiting("b", Priority::Normal, None));
        let ticket = schedule.enqueue(&a).unwrap();
        schedule.enqueue(&a).unwrap();
        assert_eq!(schedule.enqueue(&a), Err(Full::Tenant));
        schedule.enqueue(&b).unwrap();
        assert_eq!(schedule.enqueue(&b), Err(Full::Queue));
        schedule.leave(ticket, &a);
        schedule.leave(ticket, &a);
        assert_eq!(schedule.waiting(), 2);
        assert_eq!(drain(&mut schedule), [1]);
        schedule.finish(&a);
        assert_eq!(drain(&mut schedule), [3 - 1]);
        schedule.finish(&b);
        assert!(schedule.tenants.is_empty());
    }
}
