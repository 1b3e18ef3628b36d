//! What was called and what came of it, held against what a store promises.
//!
//! Each execution has a state that its writes change. The state that the servers end with, and each answer to a question, has to
//! follow from the writes in the order of their calls: those that were acknowledged were carried out, those whose error says that
//! they may have been applied perhaps, and those that say otherwise were not. Where an execution's keys are on several servers, that
//! holds for each key by itself.

use std::time::{Duration, Instant};

use super::server::{Keys, Value};
use crate::store::answer::Results;
use crate::store::keys::Role;
use crate::store::{Answer, Operation, Reply};

/// Tasks of an execution.
pub const TASKS: usize = 2;
/// States that an execution may be in, beyond which they are not followed.
const MAX_STATES: usize = 4096;

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Its answer.
    Done(Reply),
    /// An error; whether it says that the call may have been applied.
    Failed { maybe: bool, message: String },
}

/// A call.
pub struct Record {
    pub execution: usize,
    pub operation: Operation,
    pub task: usize,
    /// What it commits, which no other call does.
    pub value: u32,
    pub called_at: Instant,
    pub deadline: Instant,
    /// When it was called among all that happened.
    called: u64,
    settled: Option<(u64, Instant, Outcome)>,
}

/// All calls.
#[derive(Default)]
pub struct History {
    pub records: Vec<Record>,
    events: u64,
    pub pending: usize,
    /// Calls before this one are over.
    first_pending: usize,
}

/// What is stored of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct State {
    execution: bool,
    marks: [bool; TASKS],
    results: [u32; TASKS],
}

impl Record {
    /// Whether it was carried out behind everything that came before it.
    fn is_certain(&self) -> bool {
        matches!(self.settled, Some((_, _, Outcome::Done(_))))
    }

    /// What came of it.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.settled.as_ref().map(|(_, _, outcome)| outcome)
    }

    /// Whether it is about one of its execution's keys, or about any.
    fn is_about(&self, key: Option<Role>) -> bool {
        key.is_none_or(|key| self.operation.role() == key || keys_of(self.operation).contains(&key))
    }
}

/// The keys that a call writes.
fn keys_of(operation: Operation) -> &'static [Role] {
    match operation {
        Operation::CommitResult => &[Role::Results, Role::Transactions],
        Operation::Dispose => &[Role::Execution, Role::Transactions, Role::Results],
        _ => &[],
    }
}

impl State {
    /// What one key holds of it, or all.
    fn of(self, key: Option<Role>) -> State {
        match key {
            None => self,
            Some(Role::Execution) => State { execution: self.execution, ..State::default() },
            Some(Role::Transactions) => State { marks: self.marks, ..State::default() },
            Some(Role::Results) => State { results: self.results, ..State::default() },
        }
    }

    fn after(mut self, record: &Record, key: Option<Role>) -> State {
        match record.operation {
            Operation::BeginExecution => self.execution = true,
            Operation::BeginTask => self.marks[record.task] = true,
            Operation::CommitResult => {
                (self.marks[record.task], self.results[record.task]) = (false, record.value);
            }
            Operation::Dispose => self = State::default(),
            _ => {}
        }
        self.of(key)
    }

    fn answers(self, operation: Operation, task: usize, answer: &Answer) -> bool {
        let value = self.results[task];
        match (operation, answer) {
            (Operation::IsExecutionInProgress, Answer::Flag(flag)) => *flag == self.execution,
            (Operation::IsTaskInProgress, Answer::Flag(flag)) => *flag == self.marks[task],
            (Operation::GetResult, Answer::Value(None)) => value == 0,
            (Operation::GetResult, Answer::Value(Some(json))) => value != 0 && *json == value.to_string().into_bytes(),
            (Operation::GetResults, Answer::Results(Results::Spliced(all))) => all.object == self.results_json(),
            _ => false,
        }
    }

    fn results_json(self) -> Vec<u8> {
        let all = self.results.iter().enumerate().filter(|(_, value)| **value != 0);
        let all: Vec<String> = all.map(|(task, value)| format!("\"{}\":{value}", task_name(task))).collect();
        format!("{{{}}}", all.join(",")).into_bytes()
    }
}

/// The name of a task.
pub fn task_name(task: usize) -> String {
    format!("t{task}")
}

/// The name of an execution.
pub fn execution_name(execution: usize) -> String {
    format!("e{execution}")
}

impl History {
    /// A call is made. Returns its token.
    pub fn call(
        &mut self,
        execution: usize,
        operation: Operation,
        task: usize,
        now: Instant,
        deadline: Instant,
    ) -> u32 {
        self.events += 1;
        let token = self.records.len() as u32;
        self.records.push(Record {
            execution,
            operation,
            task,
            value: token + 1,
            called_at: now,
            deadline,
            called: self.events,
            settled: None,
        });
        self.pending += 1;
        token
    }

    /// A call is over.
    pub fn settle(&mut self, token: u32, outcome: Outcome, now: Instant) {
        self.events += 1;
        if let Outcome::Failed { message, .. } = &outcome {
            assert!(!message.is_empty(), "call {token} failed without a word");
        }
        let record = &mut self.records[token as usize];
        assert!(record.settled.is_none(), "call {token} was settled twice");
        assert!(now <= record.deadline, "call {token} was settled {:?} late", now - record.deadline);
        record.settled = Some((self.events, now, outcome));
        self.pending -= 1;
    }

    /// No call is past its deadline.
    pub fn check_deadlines(&mut self, now: Instant) {
        while self.records.get(self.first_pending).is_some_and(|record| record.settled.is_some()) {
            self.first_pending += 1;
        }
        for (index, record) in self.records.iter().enumerate().skip(self.first_pending) {
            assert!(record.settled.is_some() || record.deadline > now, "call {index} is past its deadline");
        }
    }

    /// All calls from this moment on succeeded, each within this time, but for those that have not had it yet.
    pub fn check_recovery(&self, from: Instant, within: Duration, now: Instant) {
        for (index, record) in self.records.iter().enumerate().filter(|(_, record)| record.called_at >= from) {
            match &record.settled {
                Some((_, at, Outcome::Done(_))) => {
                    assert!(*at <= record.called_at + within, "call {index} took {:?}", *at - record.called_at);
                }
                None if now < record.called_at + within => {}
                other => panic!("call {index} after the faults came to {other:?}"),
            }
        }
    }

    /// The answers, and what is held at the end, follow from the calls.
    pub fn check(&self, executions: usize, held: impl Fn(usize) -> State) {
        (0..executions).for_each(|execution| self.check_execution(execution, None, held(execution)));
    }

    /// The same, for each key by itself.
    pub fn check_keys(&self, executions: usize, held: impl Fn(usize) -> State) {
        for execution in 0..executions {
            for key in [Role::Execution, Role::Transactions, Role::Results] {
                self.check_execution(execution, Some(key), held(execution));
            }
        }
    }

    fn check_execution(&self, execution: usize, key: Option<Role>, held: State) {
        let is_meant = |record: &Record| record.execution == execution && record.is_about(key);
        let records: Vec<(usize, &Record)> =
            self.records.iter().enumerate().filter(|(_, record)| is_meant(record)).collect();
        let mut states = vec![State::default()];
        for (place, (index, record)) in records.iter().enumerate() {
            let Some((settled, _, outcome)) = &record.settled else { panic!("call {index} was never settled") };
            if record.operation.writes() {
                match outcome {
                    Outcome::Done(_) => states.iter_mut().for_each(|state| *state = state.after(record, key)),
                    Outcome::Failed { maybe: true, .. } => {
                        add_successors(&mut states, record, &concurrent(&records[..place], record), key);
                    }
                    Outcome::Failed { maybe: false, .. } => {}
                }
            }
            if states.len() > MAX_STATES {
                return;
            }
            let Outcome::Done(reply) = outcome else { continue };
            let is_meant = |later: &Record| later.called < *settled && later.operation.writes();
            let later: Vec<&Record> =
                records[place + 1..].iter().map(|(_, later)| *later).filter(|later| is_meant(later)).collect();
            let go_on = |visible: &mut Vec<State>| {
                for later in &later {
                    add_successors(visible, later, &concurrent(&records[..place + 1], later), key);
                }
            };
            let mut visible = states.clone();
            go_on(&mut visible);
            let alone = later.is_empty();
            if visible.len() > MAX_STATES {
                return;
            }
            if !record.operation.writes() {
                let fits = |state: &State| state.answers(record.operation, record.task, &reply.answer);
                assert!(
                    visible.iter().any(fits),
                    "call {index} ({:?} of execution {execution}) was answered {:?}, but the states were {visible:?}",
                    record.operation,
                    reply.answer
                );
                if alone {
                    states.retain(fits);
                }
            }
            let Some(snapshot) = &reply.snapshot else { continue };
            for asked in Operation::ALL.into_iter().filter(|operation| !operation.writes()) {
                let task = record.task;
                let Some(answer) = snapshot.answer(asked, task_name(task).as_bytes()) else { continue };
                if !visible.iter().any(|state| state.answers(asked, task, &answer)) {
                    // Connections that were lost one after the other leave later calls done more than once.
                    go_on(&mut visible);
                }
                assert!(
                    visible.iter().any(|state| state.answers(asked, task, &answer)),
                    "call {index} brought along {answer:?} to {asked:?}, but the states were {visible:?}"
                );
            }
        }
        assert!(
            states.contains(&held.of(key)),
            "execution {execution}: {held:?} is held, but {key:?} of it should be as in one of {states:?}"
        );
    }
}

/// The writes that came before a call, were not over when it was made, and may have been applied.
fn concurrent<'a>(before: &[(usize, &'a Record)], record: &Record) -> Vec<&'a Record> {
    let may_follow = |other: &Record| match &other.settled {
        Some((settled, _, outcome)) => {
            *settled > record.called && !matches!(outcome, Outcome::Failed { maybe: false, .. })
        }
        None => true,
    };
    before.iter().map(|(_, other)| *other).filter(|other| other.operation.writes() && may_follow(other)).collect()
}

/// Adds the states that follow if a write is carried out. It may have been carried out with its answer lost, and then those that
/// came before it, from some call on, once more.
fn add_successors(states: &mut Vec<State>, record: &Record, before: &[&Record], key: Option<Role>) {
    for index in 0..states.len() {
        let state = states[index].after(record, key);
        states.push(state);
        for first in 0..before.len() {
            let mut again = vec![state];
            for record in &before[first..] {
                let unchanged = if record.is_certain() { Vec::new() } else { again.clone() };
                again.iter_mut().for_each(|state| *state = state.after(record, key));
                again.extend(unchanged);
                again.sort_unstable();
                again.dedup();
            }
            states.append(&mut again);
        }
    }
    states.sort_unstable();
    states.dedup();
}

/// What is held of an execution.
pub fn held_by(keys: &Keys, execution: usize) -> State {
    let id = execution_name(execution);
    let hash = |suffix: &str| match keys.get(format!("{id}{suffix}").as_bytes()) {
        Some(entry) => match &entry.value {
            Value::Hash(hash) => hash.clone(),
            Value::Text(_) => panic!("{id}{suffix} is no hash"),
        },
        None => Default::default(),
    };
    let (marks, results) = (hash("-transactions"), hash("-results"));
    let mut state = State { execution: keys.contains_key(id.as_bytes()), ..State::default() };
    for task in 0..TASKS {
        let name = task_name(task).into_bytes();
        state.marks[task] = marks.contains_key(&name);
        let value = results.get(&name).map(|json| String::from_utf8_lossy(json).parse().expect("a number"));
        state.results[task] = value.unwrap_or(0);
    }
    state
}
