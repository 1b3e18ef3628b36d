//! What a caller asks after a call, as it did the last time: a workflow comes to the same place each time that it runs, and asks
//! the same there. So a call need not carry what is not asked after it, and one that is the first of its kind to be followed by a
//! question carries the answer.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::execution_hash::ExecutionHash;
use super::operation::Operation;

/// Places that one store remembers. More are forgotten again, and those calls carry what their kind does.
const PLACES: usize = 1024;
/// Executions that one thread remembers.
const EXECUTIONS: usize = 2048;
/// How often in a row something may be asked too late before it is not expected any more: a caller may be held up by chance.
const MAX_TOO_LATE: u8 = 4;
/// Tasks that are few: their names are worth reading for the two questions about the next one.
const FEW: usize = 128;

/// A call in a workflow: a write about a task, or a question for all results after such a write. Known by a hash; a wrong guess costs a
/// command or a round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// None that is known.
    pub const UNKNOWN: Place = Place(0);

    fn of(operation: Operation, task: &[u8]) -> Self {
        Self::hashed(operation, |hasher| hasher.write(task))
    }

    /// That of a call about all tasks, behind another call.
    fn behind(self, operation: Operation) -> Self {
        match self {
            Self::UNKNOWN => Self::UNKNOWN,
            Self(place) => Self::hashed(operation, |hasher| hasher.write_u32(place)),
        }
    }

    fn hashed(operation: Operation, write: impl FnOnce(&mut FxHasher)) -> Self {
        let mut hasher = FxHasher::default();
        hasher.write_u8(operation as u8);
        write(&mut hasher);
        let hash = hasher.finish();
        Self((hash ^ hash >> 32) as u32 | 1)
    }
}

/// What was asked after a call, in the turn in which it was settled, or behind such a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether the execution is in progress.
    pub execution: bool,
    /// The result of a task.
    pub result: bool,
    /// Whether a task is in progress.
    pub mark: bool,
    /// Something, when what the call brought was too old.
    pub late: bool,
}

/// What is asked at the places of one store's caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Habits(Vec<Habit>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Habit {
    place: Place,
    asked: Asked,
    /// How often in a row it was asked too late.
    late: u8,
}

impl Habits {
    /// This was asked at a place.
    pub fn note(&mut self, place: Place, asked: Asked) {
        if self.0.is_empty() {
            self.0 = vec![Default::default(); PLACES];
        }
        let entry = &mut self.0[place.0 as usize / 2 % PLACES];
        if !asked.late {
            *entry = Habit { place, asked, late: 0 };
        } else if entry.place == place {
            entry.late += 1;
            if entry.late == MAX_TOO_LATE {
                *entry = Habit::default();
            }
        }
    }

    /// What was asked there the last time, if that is known.
    pub fn at(&self, place: Place) -> Option<Asked> {
        let habit = self.0.get(place.0 as usize / 2 % PLACES)?;
        (place != Place::UNKNOWN && habit.place == place).then_some(habit.asked)
    }
}

/// What one thread remembers of the executions that were asked about lately. Known by a hash of their id, as guesses are. Empty until
/// there is something to remember: the first call of a process need not wait for so much memory.
#[derive(Debug, Default)]
pub struct Executions(Vec<Execution>);

#[derive(Clone, Copy, Debug, Default)]
struct Execution {
    /// The hash of its id.
    hash: ExecutionHash,
    /// The turn in which a call about it was settled last.
    settled_in: u32,
    /// The last write about it.
    write: Place,
    /// The last call about it that has a place.
    place: Place,
    /// Whether that has been settled.
    is_settled: bool,
    /// The one before, until that is.
    before: Place,
    /// What has been asked since the later one of these that has been settled.
    asked: Asked,
    /// It is known to have few tasks.
    has_few_tasks: bool,
}

impl Execution {
    /// What was asked at the place before.
    fn end_before(&mut self) -> Option<(Place, Asked)> {
        let before = (std::mem::take(&mut self.before), std::mem::take(&mut self.asked));
        Some(before).filter(|(place, _)| *place != Place::UNKNOWN)
    }
}

impl Executions {
    /// A call about an execution that has a place begins in a turn. Returns what is known now to have been asked at which place: while the turn of the
    /// call before it goes on, that is not known, because steps side by side ask when one of them has written.
    pub fn begin(
        &mut self,
        hash: ExecutionHash,
        operation: Operation,
        task: &[u8],
        turn: u64,
    ) -> Option<(Place, Asked)> {
        let entry = self.claim(hash);
        let mut before = None;
        if std::mem::take(&mut entry.is_settled) {
            entry.before = entry.place;
            if entry.settled_in != turn as u32 {
                before = entry.end_before();
            }
        }
        if operation.writes() {
            entry.write = Place::of(operation, task);
            entry.place = entry.write;
        } else {
            entry.place = entry.write.behind(operation);
        }
        before
    }

    /// A call about an execution is settled in a turn. Returns the same.
    pub fn settled(&mut self, hash: ExecutionHash, operation: Operation, turn: u64) -> Option<(Place, Asked)> {
        let entry = self.find(hash)?;
        entry.settled_in = turn as u32;
        if !has_place(operation) || std::mem::replace(&mut entry.is_settled, true) {
            return None;
        }
        entry.end_before()
    }

    /// A question about an execution is asked in a turn. `is_late` is whether what calls carried was too old for it.
    pub fn asks(&mut self, hash: ExecutionHash, operation: Operation, turn: u64, is_late: bool) {
        let Some(entry) = self.find(hash).filter(|entry| entry.settled_in == turn as u32) else { return };
        match operation {
            Operation::IsExecutionInProgress => entry.asked.execution = true,
            Operation::GetResult => entry.asked.result = true,
            Operation::IsTaskInProgress => entry.asked.mark = true,
            _ => return,
        }
        entry.asked.late |= is_late;
    }

    /// The last call about an execution that has a place.
    pub fn place(&self, hash: ExecutionHash) -> Place {
        self.get(hash).map_or(Place::UNKNOWN, |entry| entry.place)
    }

    /// An execution has been seen to have so many tasks.
    pub fn note_tasks(&mut self, hash: ExecutionHash, tasks: usize) {
        if tasks <= FEW {
            self.claim(hash).has_few_tasks = true;
        } else if let Some(entry) = self.find(hash) {
            entry.has_few_tasks = false;
        }
    }

    /// Whether an execution is known to have few tasks.
    pub fn has_few_tasks(&self, hash: ExecutionHash) -> bool {
        self.get(hash).is_some_and(|entry| entry.has_few_tasks)
    }

    fn get(&self, hash: ExecutionHash) -> Option<&Execution> {
        self.0.get(hash.place_in(EXECUTIONS)).filter(|entry| entry.hash == hash)
    }

    /// The entry of an execution that is remembered.
    fn find(&mut self, hash: ExecutionHash) -> Option<&mut Execution> {
        self.0.get_mut(hash.place_in(EXECUTIONS)).filter(|entry| entry.hash == hash)
    }

    fn claim(&mut self, hash: ExecutionHash) -> &mut Execution {
        if self.0.is_empty() {
            self.0 = vec![Execution::default(); EXECUTIONS];
        }
        let entry = &mut self.0[hash.place_in(EXECUTIONS)];
        if entry.hash != hash {
            *entry = Execution { hash, ..Execution::default() };
        }
        entry
    }
}

/// Whether what is asked after a call depends on where in a workflow that is made.
pub fn has_place(operation: Operation) -> bool {
    operation.writes() || operation == Operation::GetResults
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: ExecutionHash = ExecutionHash(7);
    const COMMIT: Operation = Operation::CommitResult;
    const ASKED: Asked = Asked { execution: true, result: true, mark: true, late: false };

    /// A write, settled in a turn. Returns what was asked before.
    fn write(executions: &mut Executions, hash: ExecutionHash, task: &[u8], turn: u64) -> Option<(Place, Asked)> {
        let before = executions.begin(hash, COMMIT, task, turn - 1);
        executions.settled(hash, COMMIT, turn).or(before)
    }

    fn ask_all(executions: &mut Executions, turn: u64, is_late: bool) {
        for asked in [Operation::IsExecutionInProgress, Operation::GetResult, Operation::IsTaskInProgress] {
            executions.asks(SEVEN, asked, turn, is_late);
        }
    }

    /// A write, all three questions in its turn, and the write after it.
    fn observe(executions: &mut Executions, task: &[u8], is_late: bool) -> (Place, Asked) {
        write(executions, SEVEN, task, 3);
        ask_all(executions, 3, is_late);
        write(executions, SEVEN, b"another", 5).unwrap()
    }

    #[test]
    fn what_was_asked_at_a_place_is_expected_there_the_next_time() {
        let (mut executions, mut habits) = (Executions::default(), Habits::default());
        let (place, asked) = observe(&mut executions, b"one", false);
        assert_eq!((asked, habits.at(place)), (ASKED, None));
        habits.note(place, asked);
        assert_eq!(habits.at(place), Some(ASKED));
        let (other, _) = observe(&mut executions, b"two", false);
        assert_eq!(habits.at(other), None);
        assert_ne!(place, Place::of(Operation::BeginTask, b"one"));
        assert_eq!(habits.at(Place::UNKNOWN), None);
        habits.note(place, Asked::default());
        assert_eq!(habits.at(place), Some(Asked::default()));
    }

    #[test]
    fn what_is_asked_too_late_again_and_again_is_not_expected() {
        let (mut executions, mut habits) = (Executions::default(), Habits::default());
        let (place, asked) = observe(&mut executions, b"one", false);
        let (same, late) = observe(&mut executions, b"one", true);
        assert_eq!(place, same);
        for _ in 0..3 {
            habits.note(place, asked);
            (1..MAX_TOO_LATE).for_each(|_| habits.note(place, late));
            assert_eq!(habits.at(place), Some(asked));
        }
        habits.note(place, late);
        assert_eq!(habits.at(place), None);
        habits.note(place, late);
        assert_eq!(habits.at(place), None);
    }

    #[test]
    fn only_questions_of_the_turn_count() {
        let mut executions = Executions::default();
        write(&mut executions, SEVEN, b"one", 3);
        ask_all(&mut executions, 4, false);
        executions.asks(ExecutionHash(8), Operation::IsExecutionInProgress, 3, false);
        assert_eq!(write(&mut executions, SEVEN, b"two", 5), Some((Place::of(COMMIT, b"one"), Asked::default())));
        // A question that was sent has a turn of its own.
        executions.asks(SEVEN, Operation::IsExecutionInProgress, 5, false);
        executions.settled(SEVEN, Operation::IsExecutionInProgress, 7);
        executions.asks(SEVEN, Operation::GetResult, 7, false);
        let asked = Asked { execution: true, result: true, ..Asked::default() };
        assert_eq!(write(&mut executions, SEVEN, b"three", 9), Some((Place::of(COMMIT, b"two"), asked)));
    }

    #[test]
    fn what_was_asked_is_known_when_the_next_write_begins_in_another_turn() {
        let mut executions = Executions::default();
        write(&mut executions, SEVEN, b"one", 3);
        ask_all(&mut executions, 3, false);
        assert_eq!(executions.begin(SEVEN, COMMIT, b"two", 4), Some((Place::of(COMMIT, b"one"), ASKED)));
        assert_eq!(executions.settled(SEVEN, COMMIT, 5), None);
    }

    #[test]
    fn what_is_asked_beside_a_write_is_asked_after_the_call_before_it() {
        let mut executions = Executions::default();
        write(&mut executions, SEVEN, b"one", 3);
        executions.begin(SEVEN, COMMIT, b"two", 3);
        ask_all(&mut executions, 3, false);
        executions.begin(SEVEN, COMMIT, b"three", 3);
        assert_eq!(executions.settled(SEVEN, COMMIT, 5), Some((Place::of(COMMIT, b"one"), ASKED)));
        assert_eq!(executions.settled(SEVEN, COMMIT, 5), None);
        assert_eq!(write(&mut executions, SEVEN, b"four", 7), Some((Place::of(COMMIT, b"three"), Asked::default())));
    }

    #[test]
    fn the_place_of_a_question_for_all_results_is_that_of_the_write_before_it() {
        let mut executions = Executions::default();
        executions.begin(SEVEN, Operation::GetResults, b"", 9);
        assert_eq!(executions.place(SEVEN), Place::UNKNOWN);
        assert_eq!(executions.settled(SEVEN, Operation::GetResults, 3), None);
        write(&mut executions, SEVEN, b"one", 5);
        let write_place = executions.place(SEVEN);
        executions.begin(SEVEN, Operation::GetResults, b"", 9);
        let first = executions.place(SEVEN);
        executions.begin(SEVEN, Operation::GetResults, b"", 9);
        assert_eq!(executions.place(SEVEN), first);
        assert!(first != write_place && first != Place::UNKNOWN);
        write(&mut executions, SEVEN, b"two", 7);
        executions.begin(SEVEN, Operation::GetResults, b"", 9);
        assert_ne!(executions.place(SEVEN), first);
    }

    #[test]
    fn one_execution_takes_the_place_of_another_with_nothing_of_it() {
        let mut executions = Executions::default();
        executions.note_tasks(SEVEN, FEW);
        write(&mut executions, SEVEN, b"one", 3);
        assert!(executions.has_few_tasks(SEVEN));
        let other = ExecutionHash(7 + EXECUTIONS as u64);
        assert!(!executions.has_few_tasks(other) && executions.place(other) == Place::UNKNOWN);
        executions.note_tasks(other, FEW + 1);
        assert!(executions.has_few_tasks(SEVEN));
        assert_eq!(write(&mut executions, other, b"one", 3), None);
        assert!(!executions.has_few_tasks(SEVEN) && !executions.has_few_tasks(other));
    }
}
