import type { OpenFeatures } from "./open-features.ts";
import type { Http } from "./open-http.ts";
import type { Services } from "./open-services.ts";
import type { Base } from "./open-store.ts";
import type { Upkeep } from "./open-upkeep.ts";
import type { Core } from "./start-core.ts";

/**
 * The parts of a running server, by the step that created them. For the steps of this folder,
 * tests, diagnosis and `prism seed`; features never see it.
 */
export interface Parts {
  readonly base: Base;
  readonly core: Core;
  readonly http: Http;
  readonly services: Services;
  readonly features: OpenFeatures;
  readonly upkeep: Upkeep;
}
