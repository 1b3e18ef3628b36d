/**
 * The connections a server has, distinguished by the name that their store was given.
 */

/**
 * How many connections have a name (`CLIENT SETNAME`).
 *
 * @param {import("ioredis").Redis} admin
 * @param {string} name
 * @returns {Promise<number>}
 */
export async function countConnections(admin, name) {
  const list = await admin.client("LIST");
  return list.split("\n").filter((line) => line.includes(` name=${name} `)).length;
}

/**
 * How often a server has answered with an error since it started or since `CONFIG RESETSTAT`.
 *
 * @param {import("ioredis").Redis} admin
 * @param {string} code such as `LOADING`
 * @returns {Promise<number>}
 */
export async function countRefusals(admin, code) {
  const stats = await admin.info("errorstats");
  return Number(stats.match(new RegExp(`^errorstat_${code}:count=(\\d+)`, "m"))?.[1] ?? 0);
}
