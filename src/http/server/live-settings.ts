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
import { Faces } from "./faces.ts";

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
