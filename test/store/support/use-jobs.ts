import type { TestPrism } from "../../helpers/prism.ts";

const DAY_MS = 86_400_000;

/**
 * Does everything that an operator does to jobs and queues. @returns the requests that look at
 * them.
 */
export async function useJobs(
  prism: TestPrism,
  post: (path: string, body?: unknown) => Promise<unknown>,
  both: (path: string, filters: readonly string[]) => readonly string[],
): Promise<readonly string[]> {
  const { jobs } = prism.parts.offers;
  const { clock } = prism.parts.base;
  const make = async (dedupeKey: string): Promise<string> => {
    const job = { queue: "digest", kind: "test", payload: {}, runAt: clock.now() + DAY_MS, dedupeKey } as const;
    return (await jobs.enqueue(job)).jobId;
  };
  await post("/queues/digest/pause");
  const id = await make("a");
  for (const action of ["cancel", "retry", "cancel"]) await post(`/jobs/${id}/${action}`);
  await post(`/jobs/${await make("b")}/promote`);
  await make("c");
  for (const action of ["cancel", "retry", "promote", "cancel", "delete"]) {
    for (const filter of [{ label: "l" }, { queue: "digest" }, { queue: "digest", q: "test" }, { state: ["dead"] }])
      for (const dryRun of [true, false]) await post(`/jobs/${action}`, { filter, dryRun });
    await post(`/jobs/${action}`, { ids: [id] });
  }
  for (const action of ["requeue-dead", "drain", "resume"]) await post(`/queues/digest/${action}`);
  const now = encodeURIComponent(new Date().toISOString());
  const filters = [
    ...["queue=timers", "kind=timer", "label=l", "q=l", `from=${now}`, `to=${now}`],
    ...["ready", "scheduled,retrying", "running,dead", "succeeded", "cancelled,dead"].map((state) => `state=${state}`),
    "state=ready,dead&queue=timers",
  ];
  const cursor = Buffer.from("[5]").toString("base64url");
  const counts = filters.map((filter) => `/jobs/counts?${filter}`);
  const id2 = await make("d");
  await post(`/jobs/${id2}/cancel`);
  return [
    ...["/queues", "/queues/digest", "/jobs", `/jobs?cursor=${cursor}`, `/jobs/${id2}`, "/jobs/counts"],
    ...[...both("/jobs", filters), ...counts],
  ];
}
