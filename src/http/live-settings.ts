import type { Config } from "../config/load.ts";
import { isModuleQueue, isWorkerQueue, parentQueue, type QueueName, type QueueSettings } from "../core/queues.ts";
import { CorsPolicy } from "./cors.ts";

/** The settings that SIGHUP changes while the server runs. Whoever uses one reads it here, each time. */
export class LiveSettings {
  #rateLimit: Config["rateLimit"];
  #cors: CorsPolicy;
  #queues: Config["queues"];
  #retention: Config["retention"];
  #alert: Config["alert"];
  #messages: Config["messages"];
  #suppression: Config["suppression"];
  #schedules: Config["schedules"];
  #delivery: Config["delivery"];
  #limits: Config["limits"];

  constructor(config: Config) {
    this.#retention = config.retention;
    this.#alert = config.alert;
    this.#rateLimit = config.rateLimit;
    this.#queues = config.queues;
    this.#messages = config.messages;
    this.#suppression = config.suppression;
    this.#schedules = config.schedules;
    this.#delivery = config.delivery;
    this.#limits = config.limits;
    this.#cors = corsOf(config);
  }

  get limits(): Config["limits"] {
    return this.#limits;
  }

  get rateLimit(): Config["rateLimit"] {
    return this.#rateLimit;
  }

  get cors(): CorsPolicy {
    return this.#cors;
  }

  /** A module's queue has the settings of `queues.module`, one for workers those of the queue that it is a part of. */
  queue(name: QueueName): QueueSettings {
    if (isWorkerQueue(name)) return this.#queues[parentQueue(name)];
    return isModuleQueue(name) ? this.#queues.module : this.#queues[name];
  }

  /** What holds of rules that say nothing of storms; null: nothing does. */
  get defaultSuppression() {
    const { defaultCount: count, defaultWindowMs: windowMs, enforceDefault } = this.#suppression;
    return enforceDefault ? { count, windowMs, mode: "suppress" as const, key: null } : null;
  }

  get messages(): Config["messages"] {
    return this.#messages;
  }

  get schedules(): Config["schedules"] {
    return this.#schedules;
  }

  get delivery(): Config["delivery"] {
    return this.#delivery;
  }

  get alert(): Config["alert"] {
    return this.#alert;
  }

  get retention(): Config["retention"] {
    return this.#retention;
  }

  reload(config: Config): void {
    this.#retention = config.retention;
    this.#alert = config.alert;
    this.#rateLimit = config.rateLimit;
    this.#queues = config.queues;
    this.#messages = config.messages;
    this.#suppression = config.suppression;
    this.#schedules = config.schedules;
    this.#delivery = config.delivery;
    this.#limits = config.limits;
    this.#cors = corsOf(config);
  }
}

function corsOf(config: Config): CorsPolicy {
  return new CorsPolicy(config.cors.origins, config.env === "development");
}
