import type { Config } from "../config/load.ts";
import { CorsPolicy } from "../http/cors.ts";

/** The settings that SIGHUP changes while the server runs. Whoever uses one reads it here, each time. */
export class LiveSettings {
  #rateLimit: Config["rateLimit"];
  #cors: CorsPolicy;
  #queues: Config["queues"];
  #retention: Config["retention"];

  constructor(config: Config) {
    this.#retention = config.retention;
    this.#rateLimit = config.rateLimit;
    this.#queues = config.queues;
    this.#cors = corsOf(config);
  }

  get rateLimit(): Config["rateLimit"] {
    return this.#rateLimit;
  }

  get cors(): CorsPolicy {
    return this.#cors;
  }

  get queues(): Config["queues"] {
    return this.#queues;
  }

  get retention(): Config["retention"] {
    return this.#retention;
  }

  reload(config: Config): void {
    this.#retention = config.retention;
    this.#rateLimit = config.rateLimit;
    this.#queues = config.queues;
    this.#cors = corsOf(config);
  }
}

function corsOf(config: Config): CorsPolicy {
  return new CorsPolicy(config.cors.origins, config.env === "development");
}
