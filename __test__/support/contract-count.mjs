/**
 * A reporter that says how many kinds of input the contract was checked on, in how many tests.
 */

const SUITE = "a store over ";

export default class ContractCount {
  /** @param {readonly import("vitest/node").TestModule[]} modules */
  onTestRunEnd(modules) {
    let inputs = 0;
    let kept = 0;
    let tests = 0;
    for (const module of modules.filter(({ moduleId }) => /\/contract[^/]*\.test\.mjs$/.test(moduleId))) {
      for (const suite of module.children.suites()) {
        if (!suite.name.startsWith(SUITE)) continue;
        inputs += 1;
        for (const test of suite.children.allTests()) {
          tests += 1;
          if (test.result().state === "passed") kept += 1;
        }
      }
    }
    if (inputs > 0)
      process.stdout.write(`\nContract: ${kept} of ${tests} tests passed, over ${inputs} kinds of input\n`);
  }
}
