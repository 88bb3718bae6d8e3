import type { Config } from "../../../config/load.ts";
import { publicConfig } from "../../../config/load.ts";
import { systemClock } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import { TimeService } from "../../../features/timers/time.ts";
import type { CoreServices, JobHandler, ModuleServer } from "../../../module/module-api.ts";
import { ServerOnly } from "./work.ts";

/** The instance of the module in the server does these; a worker has only to let them pass while the module registers. */
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

/** A module in a worker: what it registers, and where it stops. */
export interface ModuleStand {
  readonly server: ModuleServer;
  readonly services: CoreServices;
  readonly handlers: ReadonlyMap<string, JobHandler>;
  /** Its registration is over. */
  registered(): void;
}

/**
 * What a module is given in a worker: `scheduler.handle`, `time` but for users' own, `log` and `config`. Everything else stands on the database or on
 * live connections, which are the server's alone: while the module registers, what its instance in the server does is passed over; whatever it
 * asks for besides is refused by name.
 */
export function moduleStand(name: string, config: Config, log: Logger): ModuleStand {
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
  const time = new TimeService({ reader: null, clock: systemClock, timezone: config.timezone });
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
  const server = { get: pass, post: pass, put: pass, patch: pass, delete: pass };
  return {
    server,
    services: services as unknown as CoreServices,
    handlers,
    registered() {
      isRegistering = false;
    },
  };
}

/** What undoes a subscription; where the answer is a promise for an object, one without an id. */
const LEAVE = Object.assign(() => undefined, { jobId: "", scheduleId: "" });

/** A service whose every member, however deep, is a function that `call` answers for. */
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
