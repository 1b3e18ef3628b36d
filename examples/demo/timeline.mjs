/**
 * Shows a run while it happens: time downwards, one column per worker process.
 */
import { STEPS, taskId } from "../../tooling/workflow/order-workflow.mjs";

const COLUMN = 30;
const MODES = {
  ISOLATED: "every step is a message of its own, and any process may take it",
  UNTIL_ERROR: "one process goes on by itself until something stops it",
};

/**
 * @param {ReturnType<import("../../tooling/terminal.mjs").createTerminal>} terminal
 */
export function createTimeline(terminal) {
  const { line, bold, dim, green, red, yellow, cyan } = terminal;
  const stepOf = new Map(STEPS.map((step) => [taskId(step), step]));
  let start = 0;
  let columns = [];

  function row(pid, text) {
    const time = `${((Date.now() - start) / 1000).toFixed(2)} s`.padStart(8);
    line(`${dim(time)}  ${" ".repeat(COLUMN * columns.indexOf(pid))}${text}`);
  }

  return {
    begin(mode, executionId) {
      start = Date.now();
      columns = [];
      line();
      line(`${bold(mode)}  ${MODES[mode]}`);
      line(dim(`execution ${executionId}`));
      line();
    },

    started(pid) {
      columns.push(pid);
      row(pid, bold(`worker ${pid} starts`));
    },

    /** @param {import("../../tooling/workflow/verify.mjs").Entry} entry */
    entry({ event, pid, taskId: id }) {
      if (event === "commit" && stepOf.has(id)) row(pid, `${green("✓")} ${stepOf.get(id)}`);
      else if (event === "commit") row(pid, `${green("✓")} ${bold("the order is complete")}`);
    },

    killed(pid, step) {
      row(pid, `${yellow("▸")} ${step} is running …`);
      row(pid, red(bold(`✗ kill -9 ${pid}`)));
    },

    /**
     * @param {string[]} keys
     * @param {import("../../tooling/workflow/verify.mjs").State} state
     */
    state([execution, transactions, results], state) {
      line();
      line(`    ${bold("In Redis, with no worker alive")}`);
      line(`    ${cyan(execution)}  ${state.execution}`);
      line(`    ${cyan(transactions)}  tasks in progress, without a result:`);
      for (const id of state.tasksInProgress) line(`      ${id}`);
      line(`    ${cyan(results)}  committed:`);
      for (const [id, value] of Object.entries(state.results)) {
        line(`      ${id}  ${dim(shorten(JSON.stringify(value)))}`);
      }
      line();
    },

    resumed(pid, step, { results }) {
      columns.push(pid);
      const committed = Object.keys(results).filter((id) => stepOf.has(id));
      row(pid, bold(`worker ${pid} starts`));
      row(pid, `${cyan("↻")} gets ${step} delivered again`);
      row(pid, dim(`· ${committed.length} steps are committed: not run again`));
    },

    finished(pid, keysLeft) {
      row(pid, keysLeft === 0 ? dim("in Redis: nothing left of it") : red(`in Redis: ${keysLeft} keys left`));
      line();
    },
  };
}

function shorten(text, limit = 64) {
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}
