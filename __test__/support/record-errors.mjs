/**
 * Runs in every test file: takes note of every error that a store makes there, whether or not a test looks at it, and fails the
 * file when one of them shows a secret of the tests.
 */
import { afterAll, afterEach } from "vitest";
import * as product from "../../index.js";
import { SECRET_MARK } from "../../tooling/secrets.mjs";

/** Stacks differ only in places, and making the text of one takes long: those of so many errors a test are read. */
const MAX_STACKS = 100;

const { RedisStoreError } = product;
let made = [];

// `super(…)` in the error's own constructor asks for the prototype at that moment.
Object.setPrototypeOf(
  RedisStoreError,
  class extends Error {
    constructor(...args) {
      super(...args);
      made.push(this);
    }
  },
);

// What the named imports of the tests look up.
for (const name of ["createRedisStore", "createRedisStoreFromEnv"]) {
  const create = product.default[name];
  product.default[name] = (...args) => {
    try {
      return create(...args);
    } catch (error) {
      made.push(error);
      throw error;
    }
  };
}

function check() {
  const errors = made;
  made = [];
  errors.forEach((error, index) => {
    if (shows(error, index < MAX_STACKS)) throw new Error(`A secret is in the error "${error.message}"`);
  });
}

function shows(error, withStack, depth = 0) {
  if (typeof error === "string") return error.includes(SECRET_MARK);
  if (error === null || typeof error !== "object" || depth > 5) return false;
  return Reflect.ownKeys(error).some((key) => {
    if (key === "stack" && !withStack) return false;
    return shows(read(error, key), withStack, depth + 1);
  });
}

/** A property, unless a test has made it so that it cannot be read. */
function read(error, key) {
  try {
    return error[key];
  } catch {
    return undefined;
  }
}

afterEach(check);
afterAll(check);
