import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocketBehavior } from "uWebSockets.js";
import { withReloadable } from "../../config/changes.ts";
import type { Config } from "../../config/load.ts";
import {
  isModuleQueue,
  isWorkerQueue,
  parentQueue,
  type QueueName,
  type QueueSettings,
} from "../../core/limits/queues.ts";
import { CorsPolicy } from "./access.ts";

/** Where requests arrive: a port of Prism, the control socket, or the port of a face. */
export interface Entrance {
  readonly isControl: boolean;
  /** The face of all requests; null: the host of a request decides. */
  readonly face: string | null;
}

export const PORT: Entrance = { isControl: false, face: null };
export const CONTROL: Entrance = { isControl: true, face: "" };

/** Hosts by the prefix of their routes, such as `/ntfy`. */
export type FaceHosts = Readonly<Record<string, readonly string[]>>;

/**
 * Faces: another program's API at the root of a host, or of a port of its own, for clients that accept no path in the
 * address of their server. A request with such a host is routed as if its path had the prefix of
 * the face, so Prism's own routes cannot be reached there. The routes are always available below
 * the prefix on all other hosts.
 */
export class Faces {
  readonly #prefixes: ReadonlyMap<string, string>;

  constructor(hosts: FaceHosts) {
    const pairs = Object.entries(hosts).flatMap(([prefix, names]) =>
      names.map((name) => [name.toLowerCase(), prefix] as const),
    );
    this.#prefixes = new Map(pairs);
  }

  /** The prefix of the face that a request belongs to; '' for Prism's own hosts. */
  of(req: Pick<HttpRequest, "getHeader">): string {
    return this.#prefixes.size === 0 ? "" : this.ofHost(req.getHeader("host"));
  }

  /** @param host value of the field `Host`, with or without a port. */
  ofHost(host: string): string {
    const name = host.replace(/\.?(?::\d*)?$/, "").toLowerCase();
    return this.#prefixes.get(name) ?? "";
  }
}

type Upgrade = (res: HttpResponse, req: HttpRequest, context: us_socket_context_t) => void;

/**
 * Serves the WebSockets of a face: at `<prefix><path>`, and at `<path>` on its hosts. The request's
 * exchange has the path with the prefix in both cases.
 * @param faceOf the face of a request.
 */
export function serveFaceSocket<T>(
  app: Pick<TemplatedApp, "ws">,
  faceOf: (req: HttpRequest) => string,
  { prefix, path }: { readonly prefix: string; readonly path: string },
  behavior: WebSocketBehavior<T> & { readonly upgrade: Upgrade },
): void {
  const on = (pattern: string, face: string): void => {
    const upgrade: Upgrade = (res, req, context) => {
      if (faceOf(req) === face) behavior.upgrade(res, req, context);
      else req.setYield(true);
    };
    app.ws<T>(pattern, { ...behavior, upgrade });
  };
  on(`${prefix}${path}`, "");
  on(path, prefix);
}

/** The settings that SIGHUP or the console changes while the server runs. Read them at each use. */
export class LiveSettings {
  readonly #started: Config;
  #config: Config;
  #cors: CorsPolicy;
  #faces: Faces;

  constructor(config: Config) {
    this.#started = config;
    this.#config = config;
    this.#cors = corsOf(config);
    this.#faces = facesOf(config);
  }

  /** Settings that are not reloadable keep their values of the start. */
  reload(config: Config): void {
    this.#config = withReloadable(this.#started, config);
    this.#cors = corsOf(config);
    this.#faces = facesOf(config);
  }

  /** The settings in use. */
  get current(): Config {
    return this.#config;
  }

  get cors(): CorsPolicy {
    return this.#cors;
  }

  get faces(): Faces {
    return this.#faces;
  }

  get limits(): Config["limits"] {
    return this.#config.limits;
  }

  get rateLimit(): Config["rateLimit"] {
    return this.#config.rateLimit;
  }

  get work(): Config["work"] {
    return this.#config.work;
  }

  get receivers(): Config["receivers"] {
    return this.#config.receivers;
  }

  get messages(): Config["messages"] {
    return this.#config.messages;
  }

  get schedules(): Config["schedules"] {
    return this.#config.schedules;
  }

  get silences(): Config["silences"] {
    return this.#config.silences;
  }

  get delivery(): Config["delivery"] {
    return this.#config.delivery;
  }

  get alert(): Config["alert"] {
    return this.#config.alert;
  }

  get retention(): Config["retention"] {
    return this.#config.retention;
  }

  /** Settings of a queue: a module's has `queues.module`, a worker queue those of its parent. */
  queue(name: QueueName): QueueSettings {
    const { queues } = this.#config;
    if (isWorkerQueue(name)) return queues[parentQueue(name)];
    return isModuleQueue(name) ? queues.module : queues[name];
  }

  /** Default suppression for rules without their own; null: none. */
  get defaultSuppression() {
    const { defaultCount: count, defaultWindowMs: windowMs, enforceDefault } = this.#config.suppression;
    return enforceDefault ? { count, windowMs, mode: "suppress" as const, key: null } : null;
  }
}

function corsOf(config: Config): CorsPolicy {
  return new CorsPolicy(config.cors.origins, config.env === "development");
}

function facesOf({ ntfy, gotify }: Config): Faces {
  return new Faces({ "/ntfy": ntfy.hosts, "/gotify": gotify.hosts });
}
