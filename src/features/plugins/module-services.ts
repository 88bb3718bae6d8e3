import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../../config/load.ts";
import { publicConfig } from "../../config/load.ts";
import { currentCaller, runAs } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { Logger } from "../../core/log.ts";
import { requireLink } from "../../http/message-shapes.ts";
import type * as api from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import type { AuditService } from "../audit/index.ts";
import type { EventBus } from "../events/index.ts";
import type { Notifier } from "../notifications/index.ts";
import { requireSound } from "../sounds/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import type { Timer, TimerService, TimeService } from "../timers/index.ts";
import { readerUntilEnd, untilEnd } from "./ended-services.ts";
import { type ModuleJobParts, ModuleScheduler } from "./module-jobs.ts";
import type { ModuleRun } from "./module-run.ts";
import { ModuleRows } from "./module-store.ts";

export interface ModuleServiceParts extends ModuleJobParts {
  readonly config: Config;
  readonly log: Logger;
  readonly clock: Clock;
  readonly database: Database;
  readonly reader: Sqlite;
  readonly time: TimeService;
  readonly notify: Notifier;
  readonly timer: TimerService;
  readonly bus: EventBus;
  readonly audit: AuditService;
  readonly realtime: RealtimeService;
  readonly directory: UserDirectory;
}

/** What a registration made that lasts longer than the process: what the next one does not make again goes. */
export interface Lasting {
  /** Ids of their jobs and schedules. */
  readonly timers: Set<string>;
  readonly schedules: Set<string>;
}

const CONSUMER_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/i;
const MAX_STREAM_DATA_BYTES = 65_536;
const STREAM_TYPE = /^[\w.:-]{1,64}$/;

/**
 * The services for one instance of a module. All that it writes, starts and logs carries its name, also where its code runs for a request; what it
 * adds ends with the instance. The services of an ended instance throw MODULE_UNAVAILABLE, except `time`, `log` and `config`.
 */
export function moduleServices(run: ModuleRun, parts: ModuleServiceParts, lasting: Lasting): api.CoreServices {
  const { name } = run;
  const { database, clock, log, time } = parts;
  const rows = new ModuleRows(name, database, clock);
  const scheduler = new ModuleScheduler(run, parts, (schedule) => {
    if (run.isRegistering) lasting.schedules.add(schedule);
  });
  const requireInstance = (call: string): void => run.requireInstance(call);
  const ending = <T extends object>(service: string, methods: T): T => untilEnd(service, methods, requireInstance);
  const write: api.Database["write"] = (fn) =>
    through(run, () =>
      database.write(async (trx) => {
        const result = await run.within(() => fn(trx));
        // An instance that has ended meanwhile leaves nothing: the transaction is rolled back.
        requireInstance("db.write");
        return result;
      }),
    );
  return {
    time: {
      now: (zone) => time.now(zone),
      convert: (at, zone) => time.convert(at, zone),
      forUser: async (at, userId) => time.forUser(at, parts.directory.findAny(userId) ?? userId),
      isValidZone: (zone) => time.isValidZone(zone),
    },
    notify: ending("notify", notifications(run, parts)),
    scheduler: ending<api.Scheduler>("scheduler", {
      add: (queue, kind, payload, options) => asModule(run, () => scheduler.add(queue, kind, payload, options)),
      cron: (schedule, pattern, kind, payload, options) =>
        asModule(run, () => scheduler.cron(schedule, pattern, kind, payload, options)),
      handle: (kind, handler) => scheduler.handle(kind, handler),
      cancel: (jobId, options) => through(run, () => scheduler.cancel(jobId, options)),
      get: (jobId) => through(run, () => scheduler.get(jobId)),
    }),
    timer: ending("timer", timers(run, parts, lasting)),
    events: ending("events", events(run, parts)),
    db: { read: readerUntilEnd(database.read, requireInstance), ...ending("db", { write }) },
    audit: ending<api.AuditService>("audit", {
      record: (entry, options) => through(run, () => parts.audit.record(entry, options)),
    }),
    realtime: ending("realtime", realtime(run, parts)),
    log: log.namespace(`module:${name}`),
    config: publicConfig(parts.config),
    kv: ending<api.ModuleStore>("kv", {
      get: (key) => through(run, () => rows.get(key)),
      list: (prefix, page) => through(run, () => rows.list(prefix, page)),
      set: (key, value, options) => through(run, () => rows.set(key, value, options)),
      delete: (key, options) => through(run, () => rows.delete(key, options)),
    }),
  };
}

/** On behalf of whoever is calling, through the module: who that is stands in the audit trail. */
function through<T>(run: ModuleRun, fn: () => Promise<T>): Promise<T> {
  return run.outside(() => runAs({ ...currentCaller(), module: run.name }, async () => fn()));
}

/** On the module's own behalf, whoever is calling: what it sends is not theirs, and their rights do not bound it. */
function asModule<T>(run: ModuleRun, fn: () => Promise<T>): Promise<T> {
  return run.outside(() => runAs({ ...currentCaller(), principal: null, module: run.name }, async () => fn()));
}

function notifications(run: ModuleRun, parts: ModuleServiceParts): api.NotificationService {
  const { notify, timer, config, database } = parts;
  const module = run.name;
  const read = async (input: api.NotifyInput) => {
    const action = timer.read({ type: "notify", payload: input });
    if (action.type !== "notify") throw new TypeError("a notification was not read as one");
    const { action: link, dedupeKey, priority = 0, ...rest } = action.payload;
    const { url } = Object(link) as { url?: unknown };
    requireLink(typeof url === "string" ? url : undefined, "action.url", config);
    // The keys of two modules never meet.
    const key = dedupeKey === undefined ? {} : { dedupeKey: `${module} ${dedupeKey}` };
    const sound = await requireSound(rest.sound, database.read);
    return { ...rest, sound, action: link, priority, ...key };
  };
  return {
    send: (input, options) => asModule(run, async () => notify.send(await read(input), options)),
    schedule: (input, when, options) =>
      asModule(run, async () => {
        const { jobId } = await notify.schedule(await read(input), when, options);
        return { jobId };
      }),
    cancel: (jobId, { trx } = {}) =>
      asModule(run, () =>
        database.writeIn({ trx }, async (inner) => {
          const job = isUuid(jobId)
            ? await inner.selectFrom("jobs").select("module").where("id", "=", jobId).executeTakeFirst()
            : undefined;
          return job?.module === module ? notify.cancel(jobId, { trx: inner }) : false;
        }),
      ),
    history: (userId, page = {}) => through(run, () => notify.history(userId, page)),
    markRead: (id, userId, options) => through(run, () => notify.markRead(id, userId, options)),
  };
}

function timers(run: ModuleRun, { timer, log }: ModuleServiceParts, { timers: made }: Lasting): api.TimerService {
  const module = run.name;
  const given = <T extends api.TimerOptions>(options: T | undefined, later: "add" | "keepSame") => {
    const byDefault = run.isRegistering ? ("keep" as const) : later;
    return { ...options, module, onConflict: options?.onConflict ?? byDefault };
  };
  const noted = (isRegistered: boolean, { jobId, label, isOther }: Timer): void => {
    // One from an earlier start is kept by design; a second one of the same registration is most likely a mistake.
    if (isRegistered && isOther && made.has(jobId))
      log.warn(
        { module, label, jobId },
        "register makes two timers with one label and different actions; the first was kept",
      );
    if (isRegistered) made.add(jobId);
  };
  return {
    after: (label, delayMs, action, options) =>
      asModule(run, async () => {
        if (!Number.isFinite(delayMs) || delayMs < 0) throw new TypeError("delayMs must be a number from 0 on");
        const { isRegistering } = run;
        const waiting = await timer.after(checkedLabel(label), delayMs, action, given(options, "add"));
        noted(isRegistering, waiting);
        return { jobId: waiting.jobId };
      }),
    at: (label, at, action, options) =>
      asModule(run, async () => {
        const { isRegistering } = run;
        const waiting = await timer.at(checkedLabel(label), at, action, given(options, "add"));
        noted(isRegistering, waiting);
        return { jobId: waiting.jobId };
      }),
    every: (label, cron, action, options) =>
      asModule(run, async () => {
        const { isRegistering } = run;
        const waiting = await timer.every(checkedLabel(label), cron, action, given(options, "keepSame"));
        noted(isRegistering, waiting);
        return { scheduleId: waiting.scheduleId };
      }),
    cancel: (jobIdOrLabel, options) => asModule(run, () => timer.cancel(jobIdOrLabel, { ...options, module })),
  };
}

/** @throws TypeError */
function checkedLabel(label: string): string {
  if (typeof label === "string" && label !== "" && [...label].length <= 100) return label;
  throw new TypeError("the label of a timer must be a text of 1 to 100 characters");
}

function events(run: ModuleRun, { bus }: ModuleServiceParts): api.EventBus {
  const { name } = run;
  return {
    emit: (event, payload) => bus.emit(String(event), payload, currentCaller().correlationId ?? uuidv7()),
    on: (event, handler) => run.added(bus.on(event, (payload, meta) => run.within(() => handler(payload, meta)), name)),
    once: (event, handler) => {
      const off = run.added(
        bus.on(
          event,
          (payload) => {
            off();
            return run.within(() => handler(payload));
          },
          name,
        ),
      );
      return off;
    },
    ingest: (event) => through(run, () => bus.ingest({ source: `module:${name}`, ...event })),
    consume: (consumer, handler, options = {}) => {
      if (!CONSUMER_NAME.test(consumer))
        throw new TypeError("a consumer's name must be 1 to 64 letters, digits and hyphens");
      const { maxAttempts } = options;
      if (maxAttempts !== undefined && !(Number.isInteger(maxAttempts) && maxAttempts >= 1))
        throw new TypeError("maxAttempts must be a whole number from 1 on");
      run.requireLife();
      const read = (batch: api.StoredEvent[]): Promise<void> => run.within(async () => handler(batch));
      return run.added(bus.consume(`${name}:${consumer}`, read, options));
    },
  };
}

const USER_STREAM = "user:";

/** The stream by the user's id, where it is named by another reference. */
function ownStream(stream: string, directory: UserDirectory): string {
  if (!stream.startsWith(USER_STREAM)) return stream;
  const userId = directory.findAny(stream.slice(USER_STREAM.length));
  return userId === undefined ? stream : `${USER_STREAM}${userId}`;
}

function realtime(run: ModuleRun, { realtime: service, directory }: ModuleServiceParts): api.RealtimeService {
  return {
    publish: (stream, type, data, options) =>
      through(run, async () => {
        if (!STREAM_TYPE.test(type)) throw new TypeError("a type must be 1 to 64 letters, digits or any of _ . : -");
        const text = JSON.stringify(data) as string | undefined;
        if (text === undefined) throw new TypeError("data must be something that JSON can say");
        if (Buffer.byteLength(text) > MAX_STREAM_DATA_BYTES)
          throw new PrismError("PAYLOAD_TOO_LARGE", `The data of an entry may have ${MAX_STREAM_DATA_BYTES} bytes`);
        return service.publish(ownStream(String(stream), directory), type, data, options);
      }),
    isLive: (userId) => service.isLive(directory.find(userId) ?? userId),
    authorizeChannel: (prefix, allows) => {
      if (typeof allows !== "function") throw new TypeError("who may subscribe is said by a function");
      run.requireLife();
      return run.added(
        service.authorizeChannel(String(prefix), (principal, channel) => run.call(() => allows(principal, channel))),
      );
    },
  };
}
