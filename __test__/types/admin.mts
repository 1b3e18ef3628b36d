// What the admin API takes and gives.
import type { RedisStoreError } from "@idioteque/redis";
import {
  createRedisAdmin,
  createRedisAdminFromEnv,
  type DoctorCheck,
  type ExecutionDetail,
  type ExecutionSummary,
  type RedisAdmin,
  type RedisStoreError as SameError,
  type SweepReport,
} from "@idioteque/redis/admin";
import { Redis } from "ioredis";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <Claim extends true>(claim?: Claim) => claim;

const admin = createRedisAdmin("redis://localhost:6379", { hashTags: true, ttl: 1_000 });
holds<Equal<typeof admin, RedisAdmin>>();
holds<Equal<ReturnType<typeof createRedisAdminFromEnv>, RedisAdmin>>();
holds<Equal<typeof SameError, typeof RedisStoreError>>();
createRedisAdmin();
createRedisAdmin(new Redis());
createRedisAdmin({ sentinels: [{ host: "sentinel" }], name: "main" });

const { signal } = new AbortController();
for await (const summary of admin.executions({ stuck: true, olderThan: 60_000, limit: 5, signal })) {
  holds<Equal<typeof summary, ExecutionSummary>>();
  const names: string[] | undefined = summary.inProgress;
  void names;
}
const found = await admin.execution("execution", { values: true, offset: 10, limit: 10 });
holds<Equal<typeof found, ExecutionDetail | undefined>>();
const texts: (string | undefined)[] = found?.tasks.map(({ value }) => value) ?? [];
holds<Equal<ReturnType<typeof admin.releaseTask>, Promise<boolean>>>();
holds<Equal<ReturnType<typeof admin.disposeExecution>, Promise<boolean>>>();
const report = await admin.sweep({ olderThan: 7 * 24 * 3_600_000, dryRun: true, onSwept: ({ id }) => id.length });
holds<Equal<typeof report, SweepReport>>();
const { ok, checks } = await admin.doctor({ signal });
holds<Equal<typeof checks, DoctorCheck[]>>();
holds<Equal<DoctorCheck["status"], "ok" | "warning" | "problem" | "skipped">>();

// @ts-expect-error without an age nothing is swept
admin.sweep({ stuck: true });
// @ts-expect-error a task has to be named
admin.releaseTask("execution");
// @ts-expect-error there is no such filter
admin.executions({ older: 1 });
// @ts-expect-error there is no such store option
createRedisAdmin("redis://localhost:6379", { expire: 1 });

await using disposed = createRedisAdminFromEnv({ keyPrefix: "shop:" });

export { disposed, ok, texts };
