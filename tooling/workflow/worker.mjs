/**
 * A compact workflow worker on top of a store. A workflow is a function made of steps; every step runs once, its result
 * is committed to the store, and the function is replayed with the results so far until nothing is left to do. So it
 * can go on in any process, after any of them has died.
 */
import { randomUUID } from "node:crypto";

/** What is committed for a body that returned `undefined`, which has no JSON form. */
const EMPTY_RESULT = "<empty_execution_result>";

/**
 * @typedef {object} Event
 * @property {string} name the functions that listen to it run
 * @property {unknown} [data] for the functions; must survive JSON
 *
 * @typedef {string[]} Task the names that lead to a step, beginning with the function's id; `[]` is the event itself
 *
 * @typedef {object} Message what travels through the queue; must survive JSON
 * @property {string} id of the event's publication; becomes the execution's id, so that a second delivery of the same
 *   publication joins the execution instead of starting another
 * @property {Event} event
 * @property {{ executionId: string, tasks: Task[] }} [context] absent: the execution has yet to start
 *
 * @typedef {<T>(name: string, body: (run: Run) => T | Promise<T>) => Promise<T>} Run
 */

/**
 * @param {object} options
 * @param {object} options.store the eight methods, from `createRedisStore`
 * @param {{ dispatch: (message: Message) => unknown }} options.dispatcher puts a message into the queue
 * @param {"ISOLATED" | "UNTIL_ERROR"} [options.mode] `ISOLATED`: every task is a message of its own, which any process may
 *   take. `UNTIL_ERROR`: this process goes on with the next task itself for as long as nothing fails.
 */
export function createWorker({ store, dispatcher, mode = "ISOLATED" }) {
  if (mode !== "ISOLATED" && mode !== "UNTIL_ERROR") throw new TypeError(`There is no mode "${mode}"`);
  const functions = new Map();

  /**
   * Registers a workflow.
   *
   * @param {{ id: string, event: string }} options
   * @param {(event: Event, run: Run) => unknown} handler must take the same path every time it is replayed: whatever has an
   *   effect or an outcome of its own belongs into a step
   */
  function createFunction({ id, event }, handler) {
    if (functions.has(id)) throw new Error(`There is a function "${id}" already`);
    functions.set(id, { id, event, handler });
  }

  /**
   * Starts every function that listens to the event.
   *
   * @param {Event} event
   * @returns {Promise<string>} the execution's id
   */
  async function publish(event) {
    const id = randomUUID();
    await dispatcher.dispatch({ id, event });
    return id;
  }

  /**
   * Handles one message of the queue. When this rejects, or the process dies in it, the queue should deliver again: the
   * last checkpoint if there was one, otherwise the message.
   *
   * @param {Message} message
   * @param {object} [options]
   * @param {(message: Message) => unknown} [options.checkpoint] called at every turn of the `UNTIL_ERROR` loop with what to deliver
   *   instead of `message` to go on from there
   */
  async function handle(message, { checkpoint = () => {} } = {}) {
    const { event } = message;
    const executionId = message.context?.executionId ?? message.id;
    if (!message.context) await store.beginExecution(executionId);

    const results = await store.getExecutionTaskResults(executionId);
    const loop = [...(message.context?.tasks ?? [[]])];
    const messageFor = (tasks) => ({ id: message.id, event, context: { executionId, tasks } });
    const enqueue = async (task) => {
      if (mode === "ISOLATED") return dispatcher.dispatch(messageFor([task]));
      loop.push(task);
      return checkpoint(messageFor([...loop]));
    };
    const dequeue = (task) => {
      if (mode === "ISOLATED") return undefined;
      loop.splice(loop.lastIndexOf(task), 1);
      return checkpoint(messageFor([...loop]));
    };
    const execution = { executionId, event, results, enqueue, dequeue };

    while (loop.length > 0) {
      if (!(await store.isExecutionInProgress(executionId))) return;
      const task = loop.shift();
      if (task.length === 0) await handleEvent(execution);
      else await handleTask(execution, task);
    }
  }

  /** The event's own turn: dispatches its functions, and disposes of the execution when all of them have results. */
  async function handleEvent(execution) {
    let finished = true;
    for (const { id, event } of functions.values()) {
      if (event !== execution.event.name) continue;
      if ((await resultOf(execution, [id])) === undefined) finished = false;
    }
    if (finished) await store.disposeExecution(execution.executionId);
  }

  /** A named task's turn: runs its body, unless an earlier delivery has, and goes on with the task that contains it. */
  async function handleTask(execution, task) {
    const done = execution.results[idOf(task)] !== undefined || (await replay(execution, task));
    if (done) await execution.enqueue(task.slice(0, -1));
  }

  /** Replays the function up to the named task and runs the body of that. False: the body is waiting for a step. */
  async function replay(execution, task) {
    const [functionId] = task;
    const definition = functions.get(functionId);
    if (!definition) throw new Error(`There is no function "${functionId}" in this worker`);

    const turn = { task, reached: false, committed: false, failure: undefined };
    const body = (run) => definition.handler(execution.event, run);
    await perform(execution, turn, [functionId], body).catch((error) => fail(turn, error));

    if (turn.failure) throw turn.failure.error;
    if (!turn.reached)
      throw new Error(`"${idOf(task)}" was not reached: does the function take the same path every time?`);
    return turn.committed;
  }

  /** Runs the body of the named task, or of one that contains it. */
  async function perform(execution, turn, task, body) {
    const scope = { waiting: false, steps: [] };
    const run = (name, stepBody) => {
      const step = takeStep(execution, turn, scope, [...task, name], stepBody);
      scope.steps.push(step);
      return step;
    };
    const named = task.length === turn.task.length;
    if (named) turn.reached = true;

    let value;
    try {
      value = await body(run);
    } finally {
      // Steps started side by side all end within the turn, whatever the body made of the first of them.
      for (let settled = 0; settled < scope.steps.length; ) {
        settled = scope.steps.length;
        await Promise.allSettled(scope.steps);
      }
    }
    if (!named || scope.waiting || turn.failure) return;

    const taskId = idOf(task);
    const result = value === undefined ? EMPTY_RESULT : value;
    await store.commitExecutionTaskResult(execution.executionId, taskId, result);
    // What another process would read.
    execution.results[taskId] = JSON.parse(JSON.stringify(result));
    turn.committed = true;
  }

  /** What `run(name, body)` does for the step it names. */
  async function takeStep(execution, turn, scope, task, body) {
    try {
      const onTheWay = task.every((name, depth) => name === turn.task[depth]);
      if (onTheWay) await perform(execution, turn, task, body);
      else if (!scope.waiting && !turn.committed && !turn.failure) {
        const result = await resultOf(execution, task);
        if (result !== undefined) return result === EMPTY_RESULT ? undefined : result;
        scope.waiting = true;
      }
    } catch (error) {
      fail(turn, error);
    }
    throw new Interrupted();
  }

  /** The result of a task that the message does not name; `undefined` after it has been dispatched, if it was not in progress already. */
  async function resultOf({ executionId, results, enqueue, dequeue }, task) {
    const taskId = idOf(task);
    // The table has no prototype, so a step may be called "constructor".
    if (results[taskId] !== undefined) return results[taskId];

    const result = await store.getExecutionTaskResult(executionId, taskId);
    if (result !== undefined) {
      results[taskId] = result;
      return result;
    }
    if (await store.isExecutionTaskInProgress(executionId, taskId)) return undefined;

    // Other processes must find the task in progress when the message arrives. The loop belongs to this process, and its
    // checkpoint comes first: a task in progress without a message would stop the execution for good if the process died
    // between the two.
    if (mode === "UNTIL_ERROR") await enqueue(task);
    try {
      await store.beginExecutionTask(executionId, taskId);
    } catch (error) {
      if (!(error instanceof WorkerInterrupt)) throw error;
      await dequeue(task);
      return undefined;
    }
    if (mode === "ISOLATED") await enqueue(task);
    return undefined;
  }

  return { createFunction, publish, handle };
}

/** What a store rejects with that leaves a task to another process, which has it in progress. */
export class WorkerInterrupt extends Error {}

/** Leaves a function half-way: its remaining steps wait for another turn. */
class Interrupted extends Error {
  constructor() {
    super("This step is not done yet: let this pass, the function will be replayed");
    this.name = "Interrupted";
  }
}

function fail(turn, error) {
  if (!(error instanceof Interrupted)) turn.failure ??= { error };
}

function idOf(task) {
  return task.join(":");
}
