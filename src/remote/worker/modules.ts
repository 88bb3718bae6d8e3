import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, publicConfig } from "../../config/load.ts";
import { CommandError, EXIT } from "../../core/command-error.ts";
import type { Logger } from "../../core/log.ts";
import { unlessAborted } from "../../core/promises.ts";
import { systemClock } from "../../core/time/clock.ts";
import { ModuleImporter } from "../../features/plugins/import-module.ts";
import { failureText, withinLimit } from "../../features/plugins/module-failure.ts";
import { jobFailure } from "../../features/plugins/module-jobs.ts";
import { findModules, type ModuleFolder, modulesDirs } from "../../features/plugins/modules-directory.ts";
import { PermanentError } from "../../features/time/jobs/runner/job.ts";
import { loadTimes, Times } from "../../features/time/timers/time.ts";
import type {
  AppModule,
  CoreServices,
  JobHandler,
  Json,
  ModuleServer,
  RunningJobView,
} from "../../module/module-api.ts";
import { type LeasedJob, ServerOnly, type WorkerCalls } from "./link.ts";

/** Calls for the module's instance in the server; a worker's registration ignores them. */
const LEFT_TO_SERVER = new Set([
  "scheduler.cron",
  "timer.after",
  "timer.at",
  "timer.every",
  "events.on",
  "events.once",
  "events.consume",
  "realtime.authorizeChannel",
]);

/**
 * The services of a module in a worker: `scheduler.handle`, `time` except for users, `log` and
 * `config`. All others need the database or live connections of the server: during registration,
 * calls that the server's instance makes have no effect; any other call is refused by name.
 */
export function workerServices(name: string, config: Config, log: Logger) {
  const handlers = new Map<string, JobHandler>();
  let isRegistering = true;
  const refuse = (what: string): never => {
    throw new ServerOnly(
      `the module ${name} uses services.${what}, which only the server has: its jobs cannot run in a worker`,
    );
  };
  const call = (what: string): unknown => {
    if (!isRegistering || !LEFT_TO_SERVER.has(what)) return refuse(what);
    return LEAVE;
  };
  const time = new Times({ reader: null, clock: systemClock, timezone: config.timezone });
  const services = {
    time: {
      now: (zone?: string) => time.now(zone),
      convert: time.convert.bind(time),
      isValidZone: time.isValidZone.bind(time),
      forUser: async () => refuse("time.forUser"),
    },
    scheduler: absent("scheduler", call, {
      handle(kind: string, handler: JobHandler) {
        if (handlers.has(kind)) throw new TypeError(`jobs of kind ${kind} have a handler already`);
        handlers.set(kind, handler);
      },
    }),
    log: log.namespace(`module:${name}`),
    config: publicConfig(config),
    ...Object.fromEntries(
      ["notify", "timer", "events", "db", "audit", "realtime", "kv"].map((each) => [each, absent(each, call)] as const),
    ),
  };
  const pass = (): void => undefined;
  const server: ModuleServer = { get: pass, post: pass, put: pass, patch: pass, delete: pass, channel: pass };
  return {
    server,
    services: services as unknown as CoreServices,
    handlers,
    /** The registration is over. */
    registered(): void {
      isRegistering = false;
    },
  };
}

/** Result of an ineffective call: a function that ends it, and an object without ids. */
const LEAVE = Object.assign(() => undefined, { jobId: "", scheduleId: "" });

/** A service whose members at any depth are functions answered by `call`. */
function absent(path: string, call: (path: string) => unknown, own: object = {}): unknown {
  return new Proxy(
    Object.assign(() => undefined, own),
    {
      get(_target, member) {
        const value: unknown = Reflect.get(own, member);
        if (value !== undefined || typeof member === "symbol" || member === "then") return value;
        return absent(`${path}.${member}`, call, {});
      },
      apply: () => call(path),
    },
  );
}

const REGISTER_LIMIT_MS = 10_000;
const DISPOSE_LIMIT_MS = 5000;

interface Loaded {
  readonly module: AppModule;
  readonly handlers: ReadonlyMap<string, JobHandler>;
}

/** Loads the modules of the served queues. @throws CommandError 3 for one that cannot run here */
export async function moduleWork(names: readonly string[], config: Config, log: Logger): Promise<WorkerCalls> {
  const copies = mkdtempSync(join(tmpdir(), "prism-worker-"));
  const loaded = new Map<string, Loaded>();
  const close = async (): Promise<void> => {
    for (const { module } of loaded.values()) await dispose(module, log);
    rmSync(copies, { recursive: true, force: true });
  };
  try {
    const importer = new ModuleImporter(copies, config.env === "production");
    for (const name of names) loaded.set(name, await load(name, importer, config, log));
  } catch (error) {
    await close();
    throw error;
  }
  return { run: (job, signal) => run(job, loaded, signal), close };
}

async function load(name: string, importer: ModuleImporter, config: Config, log: Logger): Promise<Loaded> {
  const refused = (error: unknown): CommandError =>
    new CommandError(EXIT.refused, `the module ${name} cannot run in a worker: ${failureText(error)}`, {
      cause: error,
    });
  const { modules } = findModules(modulesDirs(config.modulesDir));
  const module = await find(name, modules, importer).catch((error: unknown) => {
    throw refused(error);
  });
  if (!module)
    throw new CommandError(EXIT.refused, `there is no module ${name} in ${config.modulesDir} (--modules-dir)`);
  const { server, services, handlers, registered } = workerServices(name, config, log);
  await loadTimes();
  try {
    await withinLimit((async () => module.register(server, services))(), REGISTER_LIMIT_MS, "register");
  } catch (error) {
    throw refused(error);
  }
  registered();
  if (handlers.size === 0) throw refused("it handles no jobs");
  return { module, handlers };
}

/** A folder may have another name than its module; others are read only if none has the name. */
async function find(
  name: string,
  folders: readonly ModuleFolder[],
  importer: ModuleImporter,
): Promise<AppModule | undefined> {
  for (const folder of [...folders].sort((a, b) => Number(b.folder === name) - Number(a.folder === name))) {
    const { module } = await importer.import(folder);
    if (module.name === name) return module;
  }
  return undefined;
}

async function run(job: LeasedJob, loaded: ReadonlyMap<string, Loaded>, signal: AbortSignal): Promise<unknown> {
  const name = job.queue.slice("module:".length);
  const handler = loaded.get(name)?.handlers.get(job.kind.slice(name.length + 1));
  if (!handler) throw new PermanentError(`no handler for jobs of kind ${job.kind}`);
  try {
    // A handler that ignores its signal must not block.
    return await unlessAborted(
      Promise.resolve(handler(runningJobView(job, name), signal)),
      signal,
      new Error("given up"),
    );
  } catch (error) {
    throw jobFailure(error);
  }
}

/** The dispatched job: only the server knows earlier attempts and progress. */
function runningJobView(job: LeasedJob, module: string): RunningJobView {
  const { id, queue, kind, attempt, maxAttempts, runAt, correlationId } = job;
  return {
    id,
    queue,
    kind: kind.slice(module.length + 1),
    payload: job.payload as Json,
    state: "running",
    attempts: attempt,
    maxAttempts,
    runAt,
    correlationId,
    createdAt: new Date(timeOf(id) ?? Date.parse(runAt)).toISOString(),
    finishedAt: null,
    lastError: null,
    result: null,
    progress: () => undefined,
  };
}

/** Time of a UUIDv7 (RFC 9562 section 5.7), the ids of modules' jobs. */
function timeOf(id: string): number | undefined {
  return id[14] === "7" ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

async function dispose(module: AppModule, log: Logger): Promise<void> {
  try {
    await withinLimit((async () => module.dispose?.())(), DISPOSE_LIMIT_MS, "dispose");
  } catch (error) {
    log.warn({ module: module.name, err: error }, "dispose() of a module failed");
  }
}
