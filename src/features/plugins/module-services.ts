import { publicConfig } from "../../config/load.ts";
import { currentCaller, runAs } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { Json } from "../../core/text/json-text.ts";
import type { Clock } from "../../core/time/clock.ts";
import { requireLink } from "../../http/api/shapes.ts";
import type { Uses } from "../../module/feature.ts";
import type * as api from "../../module/module-api.ts";
import type { Database } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import { requireSound } from "../notifications/sounds/index.ts";
import type { Timer } from "../time/timers/index.ts";
import type { ModuleInstance } from "./module-instance.ts";
import { type JobOwner, type ModuleJobParts, moduleScheduler, queueOf } from "./module-jobs.ts";

const MAX_KEY = 256;
const MAX_VALUE_BYTES = 262_144;
const MAX_LISTED = 1000;
/** Prefix plus this character sorts after all texts with the prefix. */
const LAST_CHARACTER = "\u{10ffff}";
const CONSUMER_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/i;
const MAX_STREAM_DATA_BYTES = 65_536;
const STREAM_TYPE = /^[\w.:-]{1,64}$/;

export type ModuleServiceParts = ModuleJobParts &
  Uses<
    | "config"
    | "serviceChannels"
    | "log"
    | "reader"
    | "time"
    | "notify"
    | "timer"
    | "bus"
    | "audit"
    | "realtime"
    | "users"
    | "projects"
  >;

/** Registrations that outlive the process. Those that are not repeated are removed. */
export interface DurableRegistrations {
  /** Ids of their jobs and schedules. */
  readonly timers: Set<string>;
  readonly schedules: Set<string>;
}

export function nothingDurable(): DurableRegistrations {
  return { timers: new Set(), schedules: new Set() };
}

/** Synchronous methods; all others return a promise, which rejects once the instance has ended. */
const IMMEDIATE = new Set([
  "events.emit",
  "events.on",
  "events.once",
  "events.consume",
  "scheduler.handle",
  "realtime.isLive",
  "realtime.authorizeChannel",
]);

/**
 * These act for the module itself, whatever the caller's rights are. All others act for the caller,
 * through the module.
 */
const OWN_BEHALF = new Set([
  "notify.send",
  "notify.schedule",
  "notify.cancel",
  "scheduler.add",
  "scheduler.cron",
  "timer.after",
  "timer.at",
  "timer.every",
  "timer.cancel",
]);

/**
 * The services of one module instance. Everything it writes, starts and logs carries its name, even
 * when its code runs for a request; its additions end with it. Services of a stopped instance throw
 * MODULE_UNAVAILABLE, except `time`, `log` and `config`.
 */
export function moduleServices(
  instance: ModuleInstance,
  parts: ModuleServiceParts,
  durable: DurableRegistrations,
): api.CoreServices {
  const { name } = instance;
  const { db, clock, log, time, audit } = parts;
  const guarded = <T extends object>(service: string, methods: T): T => guard(instance, service, methods);
  const write: api.Database["write"] = (fn) =>
    db.write(async (trx) => {
      const result = await instance.within(() => fn(trx));
      // An instance that has ended in the meantime changes nothing: the transaction is rolled back.
      instance.requireOpen("db.write");
      return result;
    });
  const onCron = (schedule: string): void => {
    if (instance.isRegistering) durable.schedules.add(schedule);
  };
  return {
    time: {
      now: (zone) => time.now(zone),
      convert: (at, zone) => time.convert(at, zone),
      forUser: async (at, userId) => time.forUser(at, parts.users.findAny(userId) ?? userId),
      isValidZone: (zone) => time.isValidZone(zone),
    },
    notify: guarded("notify", notifications(name, parts)),
    scheduler: guarded("scheduler", moduleScheduler(instance, parts, onCron)),
    timer: guarded("timer", timers(instance, parts, durable)),
    events: guarded("events", events(instance, parts)),
    db: { read: guardedReader(instance, db), ...guarded("db", { write }) },
    audit: guarded<api.AuditService>("audit", { record: (entry, options) => audit.record(entry, options) }),
    realtime: guarded("realtime", realtime(instance, parts)),
    log: log.namespace(`module:${name}`),
    config: publicConfig(parts.config),
    kv: guarded("kv", moduleStore(name, db, clock)),
  };
}

/** A built-in feature's services. They end with the process. */
export function featureServices(name: string, parts: ModuleJobParts): Pick<api.CoreServices, "scheduler" | "kv"> {
  const owner: JobOwner = {
    name,
    requireAlive: () => undefined,
    added: (undo) => () => void undo(),
    within: async (work) => work(),
    call: (code) => code(),
  };
  const scheduler = moduleScheduler(owner, parts, () => undefined);
  const handle: api.Scheduler["handle"] = (kind, handler) => {
    scheduler.handle(kind, handler);
    parts.runner.serve(queueOf(name));
  };
  return { scheduler: { ...scheduler, handle }, kv: moduleStore(name, parts.db, parts.clock) };
}

/** Wraps a service: methods check that the instance is open, then leave the module's scope. */
function guard<T extends object>(instance: ModuleInstance, name: string, service: T): T {
  const module = instance.name;
  const methods = Object.entries(service).map(([method, call]: [string, (...args: unknown[]) => unknown]) => {
    const fullName = `${name}.${method}`;
    const immediate = (...args: unknown[]): unknown => {
      instance.requireOpen(fullName);
      return call(...args);
    };
    const later = async (...args: unknown[]): Promise<unknown> => {
      instance.requireOpen(fullName);
      const caller = OWN_BEHALF.has(fullName) ? { ...currentCaller(), principal: null } : currentCaller();
      return instance.outside(() => runAs({ ...caller, module }, async () => call(...args)));
    };
    return [method, IMMEDIATE.has(fullName) ? immediate : later] as const;
  });
  return Object.fromEntries(methods) as T;
}

/** Queries built before the instance ended are refused too. */
function guardedReader(instance: ModuleInstance, { read }: Database): Database["read"] {
  return read.withPlugin({
    transformQuery: ({ node }) => {
      instance.requireOpen("db.read");
      return node;
    },
    transformResult: async ({ result }) => result,
  });
}

function notifications(module: string, parts: ModuleServiceParts): api.NotificationService {
  const { notify, timer, config, db } = parts;
  const read = async (input: api.NotifyInput) => {
    const action = timer.read({ type: "notify", payload: input });
    if (action.type !== "notify") throw new TypeError("a notification was not read as one");
    const { action: link, dedupeKey, priority = 0, ...rest } = action.payload;
    const { url } = Object(link) as { url?: unknown };
    requireLink(typeof url === "string" ? url : undefined, "action.url", config);
    // Keys of different modules never collide.
    const key = dedupeKey === undefined ? {} : { dedupeKey: `${module} ${dedupeKey}` };
    const sound = await requireSound(rest.sound, db.read);
    return { ...rest, sound, action: link, priority, ...key };
  };
  return {
    send: async (input, options) => notify.send(await read(input), options),
    schedule: async (input, when, options) => {
      const { jobId } = await notify.schedule(await read(input), when, options);
      return { jobId };
    },
    cancel: (jobId, { trx } = {}) =>
      db.writeIn({ trx }, async (inner) => {
        const job = isUuid(jobId)
          ? await inner.selectFrom("jobs").select("module").where("id", "=", jobId).executeTakeFirst()
          : undefined;
        return job?.module === module ? notify.cancel(jobId, { trx: inner }) : false;
      }),
    history: (userId, page = {}) => notify.history(userId, page),
    markRead: (id, userId, options) => notify.markRead(id, userId, options),
  };
}

function timers(
  instance: ModuleInstance,
  { timer, log }: ModuleServiceParts,
  { timers: made }: DurableRegistrations,
): api.TimerService {
  const module = instance.name;
  const noted = async <T extends Timer>(adding: Promise<T>): Promise<T> => {
    const { isRegistering } = instance;
    const added = await adding;
    const { jobId, label, differs } = added;
    // One from an earlier start is kept on purpose; a second in one registration is a mistake.
    if (isRegistering && differs && made.has(jobId))
      log.warn(
        { module, label, jobId },
        "register() creates two timers with the same label and different actions; kept the first",
      );
    if (isRegistering) made.add(jobId);
    return added;
  };
  const given = <T extends api.TimerOptions>(options: T | undefined, later: "add" | "keepSame") => {
    const byDefault = instance.isRegistering ? ("keep" as const) : later;
    return { ...options, module, onConflict: options?.onConflict ?? byDefault };
  };
  return {
    after: async (label, delayMs, action, options) => {
      if (!Number.isFinite(delayMs) || delayMs < 0) throw new TypeError("delayMs must be a number from 0 on");
      const { jobId } = await noted(timer.after(checkedLabel(label), delayMs, action, given(options, "add")));
      return { jobId };
    },
    at: async (label, at, action, options) => {
      const { jobId } = await noted(timer.at(checkedLabel(label), at, action, given(options, "add")));
      return { jobId };
    },
    every: async (label, cron, action, options) => {
      const { scheduleId } = await noted(timer.every(checkedLabel(label), cron, action, given(options, "keepSame")));
      return { scheduleId };
    },
    cancel: (jobIdOrLabel, options) => timer.cancel(jobIdOrLabel, { ...options, module }),
  };
}

/** @throws TypeError */
function checkedLabel(label: string): string {
  if (typeof label === "string" && label !== "" && [...label].length <= 100) return label;
  throw new TypeError("the label of a timer must be a text of 1 to 100 characters");
}

/** Modules may send what they see: of a mirror project they see nothing. */
function events(instance: ModuleInstance, { bus, projects }: ModuleServiceParts): api.EventBus {
  const { name } = instance;
  const isMirrored = (payload: unknown): boolean => {
    const { projectId } = Object(payload) as { readonly projectId?: unknown };
    return typeof projectId === "string" && projects.isMirror(projectId);
  };
  const on: api.EventBus["on"] = (event, handler) => {
    const told: typeof handler = (payload, meta) =>
      isMirrored(payload) ? undefined : instance.within(() => handler(payload, meta));
    return instance.added(bus.on(event, told, name));
  };
  return {
    emit: (event, payload) => bus.emit(String(event), payload, currentCaller().correlationId ?? uuidv7()),
    on,
    once: (event, handler) => {
      const off = on(event, (payload) => {
        off();
        return handler(payload);
      });
      return off;
    },
    ingest: (event) => bus.ingest({ source: `module:${name}`, ...event }),
    consume: (consumer, handler, options = {}) => {
      if (!CONSUMER_NAME.test(consumer))
        throw new TypeError("a consumer's name must be 1 to 64 letters, digits and hyphens");
      const { maxAttempts } = options;
      if (maxAttempts !== undefined && !(Number.isInteger(maxAttempts) && maxAttempts >= 1))
        throw new TypeError("maxAttempts must be a whole number from 1 on");
      instance.requireAlive();
      const read = (batch: api.StoredEvent[]): Promise<void> =>
        instance.within(async () => handler(projects.hasMirrors ? batch.filter((event) => !isMirrored(event)) : batch));
      return instance.added(bus.consume(`${name}:${consumer}`, read, options));
    },
  };
}

const USER_STREAM = "user:";

/** Names a user's stream by id if it uses another reference. */
function ownStream(stream: string, users: UserDirectory): string {
  if (!stream.startsWith(USER_STREAM)) return stream;
  const userId = users.findAny(stream.slice(USER_STREAM.length));
  return userId === undefined ? stream : `${USER_STREAM}${userId}`;
}

function realtime(instance: ModuleInstance, { realtime: service, users }: ModuleServiceParts): api.RealtimeService {
  return {
    publish: async (stream, type, data, options) => {
      if (!STREAM_TYPE.test(type)) throw new TypeError("a type must be 1 to 64 letters, digits or any of _ . : -");
      const text = JSON.stringify(data) as string | undefined;
      if (text === undefined) throw new TypeError("data must be a JSON value");
      if (Buffer.byteLength(text) > MAX_STREAM_DATA_BYTES)
        throw new PrismError("PAYLOAD_TOO_LARGE", `The data of an entry exceeds ${MAX_STREAM_DATA_BYTES} bytes`);
      return service.publish(ownStream(String(stream), users), type, data, options);
    },
    isLive: (userId) => service.isLive(users.find(userId) ?? userId),
    authorizeChannel: (prefix, allows) => {
      if (typeof allows !== "function")
        throw new TypeError("the second argument must be a function that says who may subscribe");
      instance.requireAlive();
      const asked = service.authorizeChannel(String(prefix), (principal, channel) =>
        instance.call(() => allows(principal, channel)),
      );
      return instance.added(asked);
    },
  };
}

/** The rows of one module in `module_kv`. */
function moduleStore(module: string, db: Database, clock: Clock): api.ModuleStore {
  const rows = () => db.read.selectFrom("module_kv").where("module", "=", module);
  return {
    async get(key) {
      const row = await rows().select("value").where("key", "=", checkedKey(key)).executeTakeFirst();
      return row && (JSON.parse(row.value) as Json);
    },
    async set(key, value, options = {}) {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError("a value must be a JSON value");
      if (Buffer.byteLength(text) > MAX_VALUE_BYTES)
        throw new PrismError("PAYLOAD_TOO_LARGE", `A value exceeds ${MAX_VALUE_BYTES} bytes`);
      const row = { module, key: checkedKey(key), value: text, updatedAt: clock.now() };
      await db.writeIn(options, (trx) =>
        trx
          .insertInto("module_kv")
          .values(row)
          .onConflict((conflict) => conflict.doUpdateSet({ value: row.value, updatedAt: row.updatedAt }))
          .execute(),
      );
    },
    async list(prefix, { after = "", limit = 100 } = {}) {
      if (typeof prefix !== "string" || typeof after !== "string")
        throw new TypeError("a prefix and a key must be texts");
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LISTED)
        throw new TypeError(`limit must be a whole number from 1 to ${MAX_LISTED}`);
      const found = await rows()
        .select(["key", "value"])
        .where("key", ">", after)
        .where("key", ">=", prefix)
        .where("key", "<", `${prefix}${LAST_CHARACTER}`)
        .orderBy("key")
        .limit(limit)
        .execute();
      return found.map(({ key, value }) => ({ key, value: JSON.parse(value) as Json }));
    },
    async delete(key, options = {}) {
      await db.writeIn(options, (trx) =>
        trx.deleteFrom("module_kv").where("module", "=", module).where("key", "=", checkedKey(key)).execute(),
      );
    },
  };
}

/** @throws TypeError */
function checkedKey(key: string): string {
  if (typeof key === "string" && key !== "" && [...key].length <= MAX_KEY) return key;
  throw new TypeError(`a key must be a text of 1 to ${MAX_KEY} characters`);
}
