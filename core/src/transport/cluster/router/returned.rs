//! What becomes of parts of calls that come back, and of the calls that they are parts of.

use std::mem;
use std::time::{Duration, Instant};

use super::{PAUSE, PartOutcome, Router};
use crate::error::{Code, StoreError};
use crate::error_texts::connections as texts;
use crate::store::Call;
use crate::store::cluster_steps::steps_after;
use crate::transport::applied::{Applied, Delivery};
use crate::transport::cluster::nodes::Health;
use crate::transport::cluster::split_call::{Destination, PartState, PartToken, SplitCall, Stage, UnderWay, Which};
use crate::transport::cluster::topology::{Owner, read_redirect};
use crate::transport::error::ConnectError;
use crate::transport::request::{ClusterRoute, Finished, Redirect, Request};
use crate::transport::retry_policy::poison_pause;

/// Redirections in a row after which there is a pause before the next one.
const MOVES_WITHOUT_PAUSE: u32 = 4;
/// Redirections to addresses without a connection that are followed, as many as ioredis follows of any kind. Nodes that send a call
/// in a circle may yet agree, and have until its deadline; ever other addresses would take a connection each.
const MAX_DETOURS: u32 = 16;

/// The pause behind so many refusals in a row: it doubles to 0.4 s.
fn refusal_pause(refusals: u32) -> Duration {
    PAUSE * (1 << refusals.saturating_sub(1).min(3))
}

impl Router {
    /// A part of a call came back from the connection it was sent over.
    pub fn returned(&mut self, finished: Finished, now: Instant) {
        let Finished { mut request, outcome, position, redirect } = finished;
        let token = PartToken::unpack(request.token);
        let state = self.state(&request).map(mem::take);
        let Some(PartState::UnderWay(UnderWay { node, of_node, of_slot, destination })) = state else {
            debug_assert!(false, "a part came back that was not under way");
            return;
        };
        let mut call = mem::replace(&mut request.call, Call::empty());
        let Some(mut route) = request.route.take() else { return };
        if let Some(entry) = self.calls.get_mut(token.index) {
            entry.request.sent_at = entry.request.sent_at.or(request.sent_at);
        }
        self.slots.came_back(route.slot, of_slot);
        self.nodes.asked(destination);
        let is_expired = matches!(&outcome, Err(error) if matches!(error.code, Code::Timeout | Code::Connection));
        let health = match &redirect {
            Some(Redirect::Lost) => Some(Health::Lost),
            Some(Redirect::Elsewhere { .. } | Redirect::Later) => Some(Health::Answers),
            None => (!is_expired).then_some(Health::Answers),
        };
        self.nodes.came_back(node, of_node, health);
        // What has expired with its connection says nothing of where the map leads.
        if redirect.is_some() || !is_expired {
            self.judge_map(redirect.is_none());
        }
        if let Some(Redirect::Elsewhere { ask: true, .. } | Redirect::Later) = redirect {
            // While a slot is on its way, a transaction is refused unless all its keys are there (`TRYAGAIN`): what is only carried
            // is not to keep the call from being answered.
            call.drop_prefetch();
        }
        let (destination, not_before) = match redirect {
            // Done, but before something that was asked earlier for the same execution: it is done again behind that.
            None if self.slots.waits_before(route.slot, route.sequence, &call) => {
                request.delivery.repeated();
                (Destination::Owner, None)
            }
            None => {
                if route.refusals > 0 {
                    self.slots.forgive(route.slot, call.id());
                }
                self.take_charge(&mut request);
                return self.part_done(token, call, (outcome, request.delivery, position));
            }
            Some(Redirect::Elsewhere { ask, detail })
                if route.detours == MAX_DETOURS && self.is_detour(node, &detail) =>
            {
                let reply = if ask { "ASK" } else { "MOVED" };
                let text = texts::sent_on(MAX_DETOURS, reply, detail);
                let error = StoreError { reply: Some(reply.to_owned()), ..text.error() };
                self.want_map();
                return self.part_done(token, call, (Err(Box::new(error)), request.delivery, None));
            }
            Some(Redirect::Elsewhere { ask, detail }) => self.redirected(node, &mut route, ask, &detail, now),
            Some(Redirect::Later) => {
                self.want_map();
                // It got to where the slot is, or is going.
                route.detours = 0;
                route.refusals += 1;
                (Destination::Owner, Some(now + refusal_pause(route.refusals)))
            }
            Some(Redirect::Lost) => {
                self.want_map();
                (Destination::Owner, Some(now + poison_pause(route.losses).unwrap_or(PAUSE)))
            }
        };
        if let Err(error) = outcome {
            self.connect_error = ConnectError::Transient((*error).clone());
            route.reason = Some(error);
        }
        let mut part = Request::made(request.made_at, call, request.token, self.config.returns.clone());
        (part.delivery, part.route) = (request.delivery, Some(route));
        self.hold(part, destination, not_before);
    }

    /// Whether a redirection leads to an address that there is no connection to.
    fn is_detour(&self, node: u32, detail: &str) -> bool {
        let address = self.nodes.address(node).and_then(|asked| read_redirect(detail, asked));
        address.is_some_and(|address| !self.nodes.has(&address))
    }

    /// A node says that another one has the slot, for good or (`ask`) for this key only. Where to send the part, and when.
    fn redirected(
        &mut self,
        node: u32,
        route: &mut ClusterRoute,
        ask: bool,
        detail: &str,
        now: Instant,
    ) -> (Destination, Option<Instant>) {
        route.detours += u32::from(self.is_detour(node, detail));
        let address = self.nodes.address(node).and_then(|asked| read_redirect(detail, asked));
        let other = address.map(|address| self.nodes.at(Owner { address, id: None }, &mut self.effects));
        route.moves += 1;
        let mut destination = Destination::Owner;
        match (ask, other) {
            (true, Some(other)) => destination = self.nodes.ask(other),
            (false, Some(other)) => {
                self.note_redirect(route.slot, node, other);
                self.slots.give(route.slot, route.slot, other);
            }
            (_, None) => {}
        }
        if !ask {
            self.want_map();
        }
        let pauses = other.is_none() || route.moves.is_multiple_of(MOVES_WITHOUT_PAUSE);
        (destination, pauses.then(|| now + refusal_pause(route.moves / MOVES_WITHOUT_PAUSE)))
    }

    /// The result of a part is the call's.
    fn take_charge(&mut self, part: &mut Request) {
        if let Some(entry) = self.calls.get_mut(PartToken::unpack(part.token).index) {
            entry.request.charge = part.charge.take().or(entry.request.charge.take());
        }
    }

    /// Notes what became of a part; when it was the last one, the call goes on or is over.
    pub(super) fn part_done(&mut self, token: PartToken, call: Call, (outcome, delivery, position): PartOutcome) {
        let PartToken { index, which } = token;
        let Some(entry) = self.calls.get_mut(index) else { return };
        let act = call.act;
        if which == Which::Whole {
            (entry.request.call, entry.position) = (call, position);
        }
        entry.attempts = entry.attempts.max(delivery.attempts());
        entry.applied = entry.applied.max(match &outcome {
            Ok(_) if act.asks() => Applied::No,
            Ok(_) => Applied::InPart,
            Err(_) => delivery.applied(),
        });
        match outcome {
            Ok(reply) => {
                if let (Stage::Split { rest, .. }, Which::Of(_)) = (&mut entry.stage, which)
                    && let Some(steps) = steps_after(&entry.request.call, act, &reply)
                {
                    *rest = steps;
                }
                let answers = match which {
                    Which::Whole => true,
                    Which::Of(role) => role == entry.request.call.operation.role() && !act.asks(),
                };
                if answers {
                    entry.reply = Some(reply);
                }
            }
            Err(error) => entry.failure = entry.failure.take().or(Some((error, delivery))),
        }
        if !entry.is_back() {
            return;
        }
        let goes_on = matches!(&entry.stage, Stage::Split { rest, .. } if !rest.is_empty());
        if goes_on && entry.failure.is_none() {
            return self.step(index);
        }
        self.unstage(index);
        let SplitCall { mut request, failure, reply, position, applied, attempts, .. } = self.calls.remove(index);
        request.delivery = request.delivery.with_attempts(attempts);
        let finished = match (failure, reply) {
            (None, Some(reply)) => request.finish(Ok(reply)).at(position),
            (Some((error, delivery)), _) => {
                request.delivery = Delivery::of_parts(delivery, applied).with_attempts(attempts);
                request.fail(*error)
            }
            (None, None) => request.fail(self.connect_error.error().clone()),
        };
        self.finished.push(finished);
    }
}
