/**
 * The store as the TypeScript package writes it today: the same keys and the same commands, over an ioredis-style
 * client. Tests compare against it, benchmarks take it as their baseline. It has that package's weaknesses too: a write
 * and its expiry are two commands, a commit is not atomic, and no call has a deadline.
 */

/**
 * @param {object} redis an ioredis-style client: `set`, `get`, `hset`, `hget`, `hdel`, `hgetall`, `expire`, `del`
 * @param {object} [options]
 * @param {number} [options.ttl] milliseconds, sent as seconds and rounded up; 0 or absent: keys do not expire
 * @returns the eight methods that a worker calls
 */
export function createReferenceStore(redis, { ttl } = {}) {
  const seconds = ttl ? Math.ceil(ttl / 1000) : 0;
  const transactionsKey = (executionId) => `${executionId}-transactions`;
  const resultsKey = (executionId) => `${executionId}-results`;

  return {
    async beginExecution(executionId) {
      await redis.set(executionId, "true");
      if (seconds) await redis.expire(executionId, seconds);
    },

    async isExecutionInProgress(executionId) {
      return (await redis.get(executionId)) === "true";
    },

    async beginExecutionTask(executionId, taskId) {
      const key = transactionsKey(executionId);
      await redis.hset(key, { [taskId]: "true" });
      if (seconds) await redis.expire(key, seconds);
    },

    async isExecutionTaskInProgress(executionId, taskId) {
      return (await redis.hget(transactionsKey(executionId), taskId)) === "true";
    },

    async commitExecutionTaskResult(executionId, taskId, value) {
      const key = resultsKey(executionId);
      await Promise.all([
        redis.hdel(transactionsKey(executionId), taskId),
        redis.hset(key, { [taskId]: JSON.stringify(value) }),
        ...(seconds ? [redis.expire(key, seconds)] : []),
      ]);
    },

    async getExecutionTaskResult(executionId, taskId) {
      const key = resultsKey(executionId);
      const raw = await redis.hget(key, taskId);
      return typeof raw === "string" ? parseResult(key, taskId, raw) : undefined;
    },

    async getExecutionTaskResults(executionId) {
      const key = resultsKey(executionId);
      const fields = await redis.hgetall(key);
      return Object.fromEntries(Object.entries(fields).map(([taskId, raw]) => [taskId, parseResult(key, taskId, raw)]));
    },

    async disposeExecution(executionId) {
      await Promise.all([
        redis.del(executionId),
        redis.del(transactionsKey(executionId)),
        redis.del(resultsKey(executionId)),
      ]);
    },
  };
}

function parseResult(key, taskId, raw) {
  try {
    return JSON.parse(raw);
  } catch (error) {
    throw new Error(
      `Failed to parse JSON for Redis key "${key}" field "${taskId}": ${error.message}. Raw value: "${raw}"`,
    );
  }
}
