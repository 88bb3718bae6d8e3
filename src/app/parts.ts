import type { FeatureCore, Offers } from "../module/feature.ts";
import type { OpenFeatures } from "./open-features.ts";
import type { Base } from "./open-store.ts";

/** The parts of a running server. For this folder, tests and diagnosis; features never see it. */
export interface Parts {
  readonly base: Base;
  readonly core: FeatureCore;
  readonly offers: Offers;
  readonly features: OpenFeatures;
}
