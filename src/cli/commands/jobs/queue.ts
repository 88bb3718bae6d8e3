import { type Command, Option } from "commander";
import type { JobDetail, Queue } from "../../../client/api-types.gen.ts";
import { ageText } from "../../../core/text/clean-text.ts";
import { type ServerClient, SLICED_LIMIT_MS } from "../../../remote/server-client.ts";
import { JOB_STATES } from "../../../store/schema.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { integerFlag, listFlag } from "../../output/flag-values.ts";
import { printable, table } from "../../output/output.ts";
import { type Call, callOf, filled, listOf, resource, tableOf } from "../../resource.ts";
import { confirm } from "../access/prompt.ts";
import { timersOf } from "./timers.ts";

const MAX_PAGE = 1000;
const WATCH = ["--watch", "repeat every second until interrupted; with --json one line each"] as const;
const STATES = `only jobs in these states, comma separated: ${JOB_STATES.join(", ")}`;
/** Flags of lists of jobs. */
const LIST = {
  queue: ["--queue <name>", "only jobs of this queue"],
  limit: ["--limit <n>", "list at most this many", integerFlag(1, 100_000), 20],
  watch: WATCH,
} as const;
const JOB = new Option("--id <job>", "id of the job");
const QUEUE = new Option("--queue <name>", "name of the queue");
const required = ({ flags, description }: Option): Option => new Option(flags, description).makeOptionMandatory();

const JOBS = {
  ...{ ID: "id", QUEUE: "queue", KIND: "kind", STATE: "state", ATTEMPTS: "{attempts}/{maxAttempts}" },
  ...{ "RUNS AT": "runAt", LABEL: "label" },
};
const DEAD = {
  ...{ ID: "id", QUEUE: "queue", KIND: "kind", ATTEMPTS: "{attempts}/{maxAttempts}", "DIED AT": "finishedAt" },
  ...{ LABEL: "label", ERROR: "lastError" },
};
const ATTEMPTS = {
  ...{ ATTEMPT: "attempt", STARTED: "startedAt", ENDED: "endedAt", OUTCOME: "outcome", ERROR: "error" },
};
const QUEUES = {
  QUEUE: "name",
  READY: "ready",
  OLDEST: ({ oldestReadyAgeMs: age }: Queue) => (age === null ? null : ageText(age)),
  SCHEDULED: "scheduled",
  RUNNING: "{running}/{concurrency}",
  ...{ RETRYING: "retrying", DEAD: "dead" },
  STATE: ({ paused }: Queue) => (paused ? "paused" : "open"),
};

/** One job with its attempts, for people. */
function jobLines(job: JobDetail): string[] {
  const { id, queue, kind, state, label, runAt, attempts, maxAttempts, lastError, payload, progress, result } = job;
  const text = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  const members = table(
    ["JOB", id],
    [
      ...[["queue", queue] as const, ["kind", kind] as const, ["state", state] as const, ["label", label] as const],
      ["runs at", runAt],
      ["attempts", `${attempts} of ${maxAttempts}`],
      ["payload", text(payload)],
      ["progress", text(progress)],
      ["result", text(result)],
      ["last error", lastError],
    ],
  );
  return job.history.length === 0 ? members : [...members, "", ...tableOf(ATTEMPTS, job.history)];
}

function jobsOf({ server, given: { queue, limit } }: Call, state: unknown): Promise<object[]> {
  return listOf(server, "listJobs", { queue, state, limit: Math.min(Number(limit), MAX_PAGE) }, Number(limit));
}

/** Lists of jobs and of queues, which may be watched. */
function listed(name: string, columns: Parameters<typeof tableOf>[0], none: string | null) {
  return {
    watch: true,
    json: (rows: unknown) => (Array.isArray(rows) ? { [name]: rows } : rows),
    lines: (rows: unknown) =>
      !Array.isArray(rows)
        ? jobLines(rows as JobDetail)
        : rows.length === 0 && none !== null
          ? none
          : tableOf(columns, rows),
  } as const;
}

/** A recurring timer is a schedule, not a job, although `prism trigger` prints its id. */
function timerHint(server: ServerClient, id: unknown): (error: unknown) => Promise<never> {
  return async (error) => {
    if (!(error instanceof ServerRefused) || error.code !== "JOB_NOT_FOUND") throw error;
    const timers = await timersOf(server).catch(() => []);
    if (!timers.some((timer) => timer.id === id)) throw error;
    const hint = `; a recurring timer has this id: prism timers cancel ${id} cancels it`;
    throw new ServerRefused(error.status, error.code, error.message + hint, error.details);
  };
}

async function queuesOf({ server, given: { name } }: Call): Promise<readonly Queue[]> {
  if (name !== undefined) return [await callOf(server, "getQueue", { name })];
  return (await callOf(server, "listQueues", {})).queues;
}

async function resume({ server, given: { name } }: Call): Promise<Queue | Queue[]> {
  if (name !== undefined) return callOf(server, "resumeQueue", { name });
  const { queues } = await callOf(server, "listQueues", {});
  const resumed: Queue[] = [];
  for (const { name: each, paused } of queues)
    if (paused) resumed.push(await callOf(server, "resumeQueue", { name: each }));
  return resumed;
}

const JOB_LINE = "{id}  {queue}  {kind}  {state}";

/** Queues and jobs of a running server. */
export function addQueue(program: Command): void {
  resource(program, "queue", "queue", {
    alias: "queues",
    text: "list queues and jobs; pause, resume, retry and cancel them",
    examples: ["queue status --watch", "queue dead", "queue retry --queue notification-delivery"],
    verbs: {
      status: {
        ...listed("queues", QUEUES, null),
        text: "count waiting, running and dead jobs of each queue",
        examples: ["", "--queue timers --json", "--watch"],
        flags: { name: ["--queue <name>", "only this queue"], watch: WATCH },
        get: queuesOf,
      },
      list: {
        ...listed("jobs", JOBS, "no jobs"),
        text: "list jobs, newest first, or show one with its attempts",
        examples: ["--queue timers --state scheduled,retrying", "--id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        flags: {
          ...LIST,
          state: ["--state <states>", STATES, listFlag(JOB_STATES)],
          id: new Option("--id <job>", "show this job with its attempts").conflicts(["queue", "state"]),
        },
        get: (call) => {
          const { id, state } = call.given;
          if (id === undefined) return jobsOf(call, state === undefined ? undefined : String(state));
          return callOf(call.server, "getJob", { id }).catch(timerHint(call.server, id));
        },
      },
      dead: {
        ...listed("jobs", DEAD, "no dead jobs"),
        text: "list dead jobs, newest first, with their last error",
        examples: ["", "--queue messages-dead-letter --json"],
        flags: LIST,
        get: (call) => jobsOf(call, "dead"),
      },
      pause: {
        text: "start no jobs of a queue until it is resumed, also after a restart; running jobs continue",
        examples: ["--queue notification-delivery"],
        of: "pauseQueue",
        flags: { name: required(QUEUE) },
        lines: (queue: Queue) => tableOf(QUEUES, [queue]),
      },
      resume: {
        text: "start the jobs of a paused queue, or of all paused queues",
        examples: ["--all", "--queue notification-delivery"],
        flags: {
          name: QUEUE,
          all: new Option("--all", "all paused queues, such as after a restore").conflicts("queue"),
        },
        check({ name, all }) {
          if (name === undefined && all !== true)
            throw new CommandError(EXIT.usage, "give either --queue <name> or --all");
        },
        changes: true,
        get: resume,
        json: (changed) => (Array.isArray(changed) ? { queues: changed } : changed),
        lines: (changed) => {
          const queues = [changed].flat() as Queue[];
          return queues.length === 0 ? "no queue is paused" : tableOf(QUEUES, queues);
        },
      },
      retry: {
        text: "retry a dead or cancelled job, or all dead jobs of a queue",
        examples: ["--id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60", "--queue messages-dead-letter"],
        flags: { id: JOB, name: ["--queue <name>", "all dead jobs of this queue"] },
        check({ id, name }) {
          if ((id === undefined) === (name === undefined))
            throw new CommandError(EXIT.usage, "give either --id or --queue");
        },
        get: ({ server, given: { id, name } }) =>
          name === undefined
            ? callOf(server, "retryJob", { id })
            : callOf(server, "requeueDeadJobs", { name }, SLICED_LIMIT_MS),
        lines: (answer: object) => filled("requeued" in answer ? "{requeued} requeued" : JOB_LINE, answer),
      },
      cancel: {
        text: "cancel a waiting job; a running job continues",
        examples: ["--id 0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60"],
        flags: { id: required(JOB) },
        get: ({ server, given: { id } }) => callOf(server, "cancelJob", { id }).catch(timerHint(server, id)),
        say: JOB_LINE,
      },
      drain: {
        text: "cancel all waiting jobs of a queue; running jobs continue",
        examples: ["--queue digest --yes"],
        of: "drainQueue",
        isLong: true,
        flags: { name: required(QUEUE), yes: ["--yes", "do not ask"] },
        async check({ name, yes }) {
          if (yes !== true && !(await confirm(`Cancel all waiting jobs of ${printable(String(name))}?`)))
            throw new CommandError(EXIT.usage, "nothing was cancelled; --yes cancels without asking");
        },
        values: ({ name }) => ({ name }),
        say: "{cancelled} cancelled",
      },
    },
  });
}
