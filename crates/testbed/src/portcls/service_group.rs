//! IServiceGroup: what a miniport wakes its streams with, at the end of an interrupt or of a timer's DPC.
//!
//! RequestService may be called at any level; the members are served in a DPC. A group is queued once at a time.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::abi::guid;
use super::cyclic_pin::Sink;
use super::interfaces::{ServiceGroup as GroupTable, ServiceSink, Unknown};
use super::reference::Reference;
use super::served::{self, Held, Served, UNKNOWN};
use crate::crossing::call_driver;
use crate::import;
use crate::kernel::pool;
use crate::machine::try_machine;
use crate::memory;
use crate::nt::{NtStatus, Pvoid};
use crate::schedule::{self, Appointment, DISPATCH_LEVEL, Irql, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;

static TABLE: GroupTable = GroupTable {
    sink: ServiceSink { unknown: UNKNOWN, request_service: IServiceGroup_RequestService },
    add_member: IServiceGroup_AddMember,
    remove_member: IServiceGroup_RemoveMember,
    support_delayed_service: IServiceGroup_SupportDelayedService,
    request_delayed_service: IServiceGroup_RequestDelayedService,
    cancel_delayed_service: IServiceGroup_CancelDelayedService,
};

/// Who is served.
enum Target {
    /// A pin of the testbed, without a way through the driver.
    Pin { sink: Rc<Sink>, _held: Held },
    /// A sink of the driver's.
    Driver(Reference<ServiceSink>),
}

struct Member {
    face: usize,
    target: Rc<Target>,
}

/// The content of a service group.
#[derive(Default)]
pub(super) struct ServiceGroup {
    members: RefCell<Vec<Member>>,
    queued: Cell<bool>,
    delays: Cell<bool>,
    delayed: Cell<Option<Appointment>>,
    own: RefCell<Weak<Self>>,
}

impl ServiceGroup {
    fn create() -> Rc<Served> {
        let group = Rc::new(Self::default());
        *group.own.borrow_mut() = Rc::downgrade(&group);
        let faces: [(&[crate::nt::Guid], *const Unknown); 1] =
            [(&[guid::IID_ISERVICE_SINK, guid::IID_ISERVICE_GROUP], (&raw const TABLE).cast())];
        Served::create("IServiceGroup", &faces, group)
    }

    /// Serves the members soon, in a DPC.
    pub(super) fn request(&self) {
        if self.queued.replace(true) {
            return;
        }
        let own = self.own.borrow().clone();
        schedule::spawn("service group", DISPATCH_LEVEL, move || {
            if let Some(group) = own.upgrade() {
                group.queued.set(false);
                group.serve();
            }
        });
    }

    fn serve(&self) {
        let targets: Vec<Rc<Target>> =
            self.members.borrow().iter().map(|member| Rc::clone(&member.target)).collect();
        for target in targets {
            match &*target {
                Target::Pin { sink, .. } => sink.serve(),
                // SAFETY: a method without arguments, of a live object of the driver's.
                Target::Driver(sink) => sink.call("IServiceSink::RequestService", |this, table| unsafe {
                    (table.request_service)(this);
                }),
            }
        }
    }

    fn add(&self, face: Pvoid) -> NtStatus {
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let pin = served::owner(face).and_then(|owner| owner.content::<Sink>().map(|sink| (owner, sink)));
        let target = match pin {
            Some((owner, sink)) => Target::Pin { sink, _held: Held::new(&owner) },
            None => match Reference::take(face, "a member of a service group") {
                Ok(sink) => Target::Driver(sink),
                Err(status) => return status,
            },
        };
        self.members.borrow_mut().push(Member { face: face.addr(), target: Rc::new(target) });
        NtStatus::SUCCESS
    }

    fn remove(&self, face: Pvoid) {
        let mut members = self.members.borrow_mut();
        match members.iter().position(|member| member.face == face.addr()) {
            Some(index) => {
                let gone = members.remove(index);
                drop(members);
                drop(gone);
            }
            None => record(Rule::Argument, "IServiceGroup::RemoveMember: the sink is no member"),
        }
    }

    fn cancel(&self) {
        if let Some(appointment) = self.delayed.take() {
            schedule::cancel(appointment);
        }
    }

    fn delay(&self, time: u64) {
        if !self.delays.get() {
            record(Rule::Argument, "RequestDelayedService before SupportDelayedService");
        }
        self.cancel();
        let own = self.own.borrow().clone();
        let appointment = schedule::at(schedule::now() + time * crate::nt::HUNDRED_NS, move || {
            if let Some(group) = own.upgrade() {
                group.delayed.set(None);
                group.request();
            }
        });
        self.delayed.set(Some(appointment));
    }
}

impl Drop for ServiceGroup {
    fn drop(&mut self) {
        if try_machine().is_some() {
            self.cancel();
        }
    }
}

/// RequestService of a group that a driver passed: one of PortCls, or its own.
pub(super) fn request_service(face: Pvoid) {
    if let Some(group) = served::owner(face).and_then(|owner| owner.content::<ServiceGroup>()) {
        return group.request();
    }
    if memory::block_at(face.addr()).is_none() {
        return record(Rule::Com, format!("Notify: the service group is {}", memory::describe(face.addr())));
    }
    let table = face.cast::<*const GroupTable>();
    // SAFETY: an object of the driver's begins with its table; a wrong one faults at the driver's own address.
    let request = unsafe { (**table).sink.request_service };
    // SAFETY: a method without arguments.
    call_driver("IServiceGroup::RequestService", || unsafe { request(face) });
}

fn with(this: Pvoid, what: &str, action: impl FnOnce(&ServiceGroup)) {
    if let Some(group) = served::content::<ServiceGroup>(this, what) {
        action(&group);
    }
}

import! {
    /// Makes a service group.
    pub(super) fn PcNewServiceGroup(group: *mut Pvoid, outer: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        if !outer.is_null() {
            record(Rule::Argument, "PcNewServiceGroup: aggregation is not simulated");
            return NtStatus::NOT_SUPPORTED;
        }
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        // SAFETY: the driver's variable, which the call fills.
        unsafe { group.write(ServiceGroup::create().primary()) };
        NtStatus::SUCCESS
    }

    /// Serves the members soon.
    fn IServiceGroup_RequestService(this: Pvoid), irql <= HIGH_LEVEL; {
        with(this, "RequestService", ServiceGroup::request);
    }

    /// Adds a sink.
    fn IServiceGroup_AddMember(this: Pvoid, sink: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        served::content::<ServiceGroup>(this, "AddMember").map_or(NtStatus::INVALID_PARAMETER, |group| group.add(sink))
    }

    /// Removes a sink.
    fn IServiceGroup_RemoveMember(this: Pvoid, sink: Pvoid), irql <= PASSIVE_LEVEL; {
        with(this, "RemoveMember", |group| group.remove(sink));
    }

    /// Prepares for delayed service.
    fn IServiceGroup_SupportDelayedService(this: Pvoid), irql <= PASSIVE_LEVEL; {
        with(this, "SupportDelayedService", |group| group.delays.set(true));
    }

    /// Serves the members after a time, in units of 100 ns.
    fn IServiceGroup_RequestDelayedService(this: Pvoid, delay: u64), irql <= DISPATCH_LEVEL; {
        with(this, "RequestDelayedService", |group| group.delay(delay));
    }

    /// Undoes RequestDelayedService.
    fn IServiceGroup_CancelDelayedService(this: Pvoid), irql <= DISPATCH_LEVEL; {
        with(this, "CancelDelayedService", ServiceGroup::cancel);
    }
}
